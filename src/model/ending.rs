//! What a run that reached its end is worth to a script.

use crate::exit_code;

use super::{Phase, Run, Step, Verdict};

impl Run {
    /// The exit code of a run in a final phase; anything else is unexpected.
    pub fn exit_code(&self) -> u8 {
        let stopped_something = self.history.iter().any(|record| matches!(record.attempt.step, Step::Stop(_)));
        match &self.phase {
            Phase::NothingToDo => exit_code::DONE,
            Phase::Verified => match self.verification.as_ref().map(|verification| verification.verdict) {
                Some(Verdict::Healthy) => exit_code::DONE,
                Some(Verdict::Degraded | Verdict::Failed) => exit_code::NOT_VERIFIED,
                None => exit_code::UNEXPECTED,
            },
            Phase::Failed { step: Step::Verify, .. } => exit_code::NOT_VERIFIED,
            Phase::Failed { step: Step::Reboot, .. } => exit_code::NOT_REBOOTED,
            Phase::Failed { step, .. } if step.leaves_host_untouched() => exit_code::UNTOUCHED,
            Phase::Aborted { .. } if !stopped_something && !self.has_touched_packages() => exit_code::UNTOUCHED,
            Phase::Failed { .. } | Phase::Aborted { .. } => exit_code::STEP_FAILED,
            _ => exit_code::UNEXPECTED,
        }
    }
}
