//! What a run that reached its end is worth to a script.

use crate::exit_code;

use jiff::Timestamp;

use super::{Phase, Run, Step, Verdict};

impl Run {
    /// The exit code of a run in a final phase; anything else is unexpected. A run that could not undo all that it
    /// changed has neither gone through nor left the host untouched.
    pub fn exit_code(&self) -> u8 {
        match self.exit_code_of_phase() {
            exit_code::DONE | exit_code::BLOCKED | exit_code::UNTOUCHED if !self.changes.is_empty() => {
                exit_code::STEP_FAILED
            }
            code => code,
        }
    }

    /// Whether a run that ends like this is a healthy one: it was judged so, or found nothing to do. That packages were
    /// fetched says nothing of the host.
    pub fn is_healthy(&self) -> bool {
        self.exit_code() == exit_code::DONE && matches!(self.phase, Phase::Verified | Phase::NothingToDo)
    }

    /// When it ended as a healthy run.
    pub fn healthy_at(&self) -> Option<Timestamp> {
        self.closed.filter(|_| self.is_healthy()).map(|closing| closing.at)
    }

    fn exit_code_of_phase(&self) -> u8 {
        let stopped_something = self.has_stopped_something();
        match &self.phase {
            Phase::NothingToDo | Phase::OnlyFetched => exit_code::DONE,
            Phase::Verified => match self.verification.as_ref().map(|verification| verification.verdict) {
                // It was wanted, and there was no time left for it.
                Some(Verdict::Healthy) if self.window_missed.is_some() && !self.reboot_reasons.is_empty() => {
                    exit_code::NOT_REBOOTED
                }
                // An alarm that nobody can hear any more is not how the host was.
                Some(Verdict::Healthy) if self.is_marred_by_a_hook() || self.leaves_monitoring_silent() => {
                    exit_code::NOT_VERIFIED
                }
                Some(Verdict::Healthy) => exit_code::DONE,
                Some(Verdict::Degraded | Verdict::Failed) => exit_code::NOT_VERIFIED,
                None => exit_code::UNEXPECTED,
            },
            Phase::Failed { .. }
                if self.window_missed.is_some() && !stopped_something && !self.has_touched_packages() =>
            {
                exit_code::BLOCKED
            }
            Phase::Failed { step: Step::Verify | Step::Revert, .. } => exit_code::NOT_VERIFIED,
            Phase::Failed { step: Step::Reboot, .. } => exit_code::NOT_REBOOTED,
            Phase::Failed { step, .. }
                if (step.nature().leaves_host_untouched || *step == Step::KernelSource && !stopped_something)
                    && !self.has_touched_packages() =>
            {
                exit_code::UNTOUCHED
            }
            Phase::Aborted { .. } if !stopped_something && !self.has_touched_packages() => exit_code::UNTOUCHED,
            Phase::Failed { .. } | Phase::Aborted { .. } => exit_code::STEP_FAILED,
            _ => exit_code::UNEXPECTED,
        }
    }
}
