//! Which facts may follow which, and what they make of the run.

use jiff::Timestamp;

use super::budget::goes_on_without_window;
use super::changes;
use super::decide::{may_abort, may_begin};
use crate::estimate::for_plan;
use crate::model::{
    Abort, Attempt, AttemptRecord, BootId, Change, Closing, Fact, HookEnd, Outcome, Phase, RejectedKernel, Restart,
    Run, Step, UpgradePlan,
};

/// A fact that cannot follow. Always a fault in Patchday: the coordinator stops without touching anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{fact}\" cannot follow \"{phase}\" with {attempt}")]
pub struct IllegalTransition {
    phase: String,
    attempt: String,
    fact: String,
}

/// Applies one fact.
///
/// # Errors
///
/// When the fact cannot follow; the error names both sides.
pub fn apply(run: &Run, fact: Fact) -> Result<Run, IllegalTransition> {
    let mut next = run.clone();
    let open_step = run.attempt.as_ref().map(|attempt| attempt.step.clone());
    match (&run.phase, open_step, fact) {
        (_, None, Fact::Reopened { boot }) if run.left_something() => {
            next.closed = None;
            next.restored.clear();
            next.reopened = Some(run.history.len());
            next.strike_out_undone_by(&boot);
            if boot != next.boot {
                next.owed.clear();
            }
            next.boot = boot;
        }
        (_, _, fact) if !run.is_open() => return Err(illegal(run, &fact)),

        (_, None, Fact::StepBegan { step, boot, at }) if boot == run.boot && may_begin(run, &step) => {
            let number = run.attempts_of(&step) + 1;
            next.attempt = Some(Attempt { step, number, boot, began: at });
        }
        (_, Some(open), Fact::StepEnded { step, outcome, note, at })
            if open == step && may_end(run, &step, outcome) =>
        {
            end_attempt(&mut next, outcome, note.clone(), at);
            next.phase = phase_after_end(run, &step, outcome, note);
        }
        (phase, _, Fact::GivenUp { step, reason, at }) if !phase.is_final() => {
            end_attempt(&mut next, Outcome::Failed, Some(reason.clone()), at);
            next.phase = Phase::Failed { step, reason };
        }

        (phase, None, Fact::WindowMissed(missed))
            if !phase.is_final()
                && run.window.is_some()
                && run.window_missed.is_none()
                && missed.step.nature().needs_window
                && may_begin(run, &missed.step) =>
        {
            if !goes_on_without_window(run) {
                next.phase = Phase::Failed { step: missed.step.clone(), reason: missed.reason.clone() };
            }
            next.window_missed = Some(missed);
        }

        (_, Some(Step::Preflight | Step::LookAgain), Fact::ChecksAnswered(checks)) => next.checks = checks,
        (_, Some(Step::Fetch), Fact::UpgradePlanned(plan)) => {
            let before = run.upgrade.clone().unwrap_or_default();
            next.estimate = run.estimate.as_ref().map(|estimate| for_plan(estimate, &before, &plan));
            next.upgrade = Some(plan);
            next.batch = None;
        }
        (_, Some(Step::Ahead), Fact::AheadChosen(choice)) if run.upgrade.is_some() => {
            let before = run.upgrade.clone().unwrap_or_default();
            let plan = UpgradePlan { ahead: Some(choice), ..before.clone() };
            next.estimate = run.estimate.as_ref().map(|estimate| for_plan(estimate, &before, &plan));
            next.upgrade = Some(plan);
        }
        (_, Some(Step::Fetch), Fact::BatchPrepared(batch)) => next.batch = Some(*batch),
        (_, Some(Step::Fetch), Fact::NothingFound { at }) => {
            end_attempt(&mut next, Outcome::Succeeded, Some("nothing to do".into()), at);
            next.phase = Phase::NothingToDo;
        }
        (_, Some(Step::Baseline), Fact::BaselineTaken(baseline)) => next.baseline = Some(*baseline),
        (_, Some(step), Fact::ProofExpected(expected)) if step.stops(&expected.unit) => {
            next.expected_proofs.retain(|known| known.unit != expected.unit);
            next.expected_proofs.push(*expected);
        }
        (_, Some(step), Fact::ServiceStopped(proof)) if step.stops(&proof.unit) => {
            next.stops.retain(|known| known.unit != proof.unit);
            next.stops.push(*proof);
        }

        (_, Some(step), Fact::ChangeIntended(change)) if changes::may_make(&step, &change) => {
            if !run.changes.iter().any(|known| known.is_of_same(&change)) {
                next.changes.push(change);
            }
        }
        (_, Some(step), Fact::ChangeUndone(change)) if changes::may_undo(&step, &change) => {
            if let (Step::Restore, Change::Stopped(unit)) = (&step, &change)
                && !run.restored.contains(unit)
            {
                next.restored.push(unit.clone());
            }
            next.changes.retain(|known| known != &change);
        }
        (_, Some(Step::LastLook), Fact::LookedLast(look)) => next.last_look = Some(look),
        (_, Some(Step::StageCheck | Step::Reboot), Fact::FailedMeanwhile(units)) => next.failed_meanwhile = units,

        (_, Some(open), Fact::StoodStill(stood)) if open == stood.step && open.works_on_packages() => {
            next.standstills.retain(|known| (&known.step, known.attempt) != (&stood.step, stood.attempt));
            next.standstills.push(stood);
        }

        (_, Some(Step::StageCheck), Fact::RebootWanted(reasons)) => next.reboot_reasons = reasons,
        (_, Some(step), Fact::BootOwes(owed)) if tells_what_a_boot_owes(&step) => next.owed = owed,
        (_, Some(Step::StageCheck), Fact::KernelExpected(kernel)) => next.kernel = Some(kernel),
        (Phase::Staged, Some(Step::Reboot), Fact::RebootRequested { at, restart }) => {
            next.phase = Phase::RebootRequested;
            next.reboots += 1;
            next.reboot_requested = Some(at);
            next.restart = restart;
        }
        (_, Some(Step::Reboot), Fact::HoldsLetGo) if run.awaits() == Some(Restart::Soft) => {
            next.holds_let_go = true;
        }
        (Phase::Failed { reason, .. }, Some(Step::Revert), Fact::RebootRequested { at, restart })
            if restart.restart == Restart::Full =>
        {
            let kernel = run.one_shot_boot().map(|trial| trial.kernel.clone()).unwrap_or_default();
            next.rejected_kernel = Some(RejectedKernel { kernel, because: reason.clone() });
            next.phase = Phase::RebootRequested;
            next.reboots += 1;
            next.reboot_requested = Some(at);
            next.restart = restart;
            next.reboot_forced = None;
        }

        (Phase::RebootRequested, Some(step), Fact::RebootForced { at })
            if step.asks_for_reboot() && run.reboot_forced.is_none() =>
        {
            next.reboot_forced = Some(at);
        }

        (_, open, Fact::BootChanged { boot, by_kexec, at }) if boot != run.boot => {
            let before = run.rebooted;
            boot_changed(&mut next, open, boot, at);
            // Of several boots it tells of the one that made the run go on.
            if next.rebooted != before {
                next.by_kexec = by_kexec;
            }
        }
        (_, open, Fact::SoftRebooted { count, at }) if run.is_soft_rebooted(Some(count)) => {
            soft_rebooted(&mut next, open, count, at);
        }
        (_, _, Fact::Resumed { boot, soft_reboots, automatic, .. }) if boot == run.boot => {
            next.soft_reboots_of_boot = run.soft_reboots_of_boot.or(soft_reboots);
            if automatic {
                next.resumed_on = Some(boot);
            }
            // Whatever kept the run from going on may have changed the host, and users are not yet touched by it.
            if !run.phase.is_final() && !run.options.fetch_only && run.is_before_the_first_stop() {
                next.asked_again_from = Some(run.history.len());
            }
        }
        (_, _, Fact::ClockAnchored(anchor)) => next.clock = Some(anchor),
        // Once each: a service that falls again stays down, and is reported.
        (_, Some(Step::Verify), Fact::RecoveryIntended(recovery))
            if run.recoveries.iter().all(|known| known.unit != recovery.unit) =>
        {
            next.recoveries.push(recovery);
        }
        (_, Some(Step::Verify), Fact::RestartIntended(restart))
            if run.restarts.iter().all(|known| known.unit != restart.unit) =>
        {
            next.restarts.push(restart);
        }
        (_, Some(open), Fact::HookBegan(call))
            if call.step == open && calls_programs(&open) && call.end.is_none() && !has_open_call(run) =>
        {
            next.hooks.push(call);
        }
        (_, Some(open), Fact::HookEnded(end)) if calls_programs(&open) && has_open_call(run) => {
            end_call(&mut next, end);
        }
        (_, Some(Step::Notify(occasion)), Fact::Notified(told)) if told.occasion == occasion => {
            next.notifications.retain(|known| (known.number, known.occasion) != (told.number, told.occasion));
            next.notifications.push(told);
        }
        (_, Some(Step::Verify), Fact::Judged(verification)) if verification.boot == run.boot => {
            next.verification = Some(*verification);
        }
        (_, _, Fact::AbortRequested { by, at }) if may_abort(run) => {
            next.abort = Some(Abort { by: by.clone(), at });
            next.phase = Phase::Aborted { by };
        }
        (phase, None, Fact::Closed { exit_code, at }) if phase.is_final() => {
            next.closed = Some(Closing { at, exit_code });
        }

        (_, _, fact) => return Err(illegal(run, &fact)),
    }
    Ok(next)
}

/// Whether the step may call a program of the administrator.
fn calls_programs(step: &Step) -> bool {
    matches!(step, Step::Hook(_) | Step::Silence | Step::EndSilence)
}

/// Whether the step makes a boot owe something, or looks what is owed.
fn tells_what_a_boot_owes(step: &Step) -> bool {
    step.works_on_packages() || matches!(step, Step::StageCheck | Step::Verify | Step::Report)
}

/// A program was called, and its end is not recorded.
fn has_open_call(run: &Run) -> bool {
    run.hooks.last().is_some_and(|call| call.end.is_none())
}

fn end_call(run: &mut Run, end: HookEnd) {
    if let Some(call) = run.hooks.last_mut().filter(|call| call.end.is_none()) {
        call.end = Some(end);
    }
}

fn illegal(run: &Run, fact: &Fact) -> IllegalTransition {
    let attempt = match (&run.attempt, run.is_open()) {
        (_, false) => "a closed run".into(),
        (None, _) => "no open attempt".into(),
        (Some(attempt), _) => format!("an open attempt at {}", attempt.step),
    };
    IllegalTransition { phase: run.phase.name().into(), attempt, fact: fact.name().into() }
}

/// Only the next boot says that a reboot succeeded, and one that was asked for ends with that boot or fails.
fn may_end(run: &Run, step: &Step, outcome: Outcome) -> bool {
    match (step, outcome) {
        (step, Outcome::Succeeded) if step.asks_for_reboot() => false,
        (step, Outcome::Skipped | Outcome::Interrupted) if step.asks_for_reboot() => {
            run.phase != Phase::RebootRequested
        }
        _ => true,
    }
}

fn end_attempt(run: &mut Run, outcome: Outcome, note: Option<String>, at: Timestamp) {
    if let Some(attempt) = run.attempt.take() {
        run.history.push(AttemptRecord { attempt, outcome, note, ended: at });
    }
}

/// The first failure decides the phase: what fails while the host is brought to safety is in the history only.
fn phase_after_end(run: &Run, step: &Step, outcome: Outcome, note: Option<String>) -> Phase {
    match outcome {
        _ if run.phase.is_final() => run.phase.clone(),
        Outcome::Interrupted => run.phase.clone(),
        // The host is what it was judged to be.
        Outcome::Failed if *step == Step::Revert => {
            let reason = run.rejected_kernel.as_ref().map(|rejected| rejected.because.clone()).unwrap_or_default();
            Phase::Failed { step: Step::Verify, reason }
        }
        Outcome::Failed => Phase::Failed { step: step.clone(), reason: note.unwrap_or_default() },
        // Without a reboot there is no new boot to speak of; the phase stays at the last thing that is true.
        Outcome::Skipped if *step == Step::Reboot => run.phase.clone(),
        Outcome::Skipped | Outcome::Succeeded => match step {
            // Where everything else came before the stops, the host is staged already.
            Step::Stop(_) if !is_last_stop(run, step) || run.phase == Phase::Staged => run.phase.clone(),
            Step::Fetch if run.options.fetch_only => Phase::OnlyFetched,
            _ => step.nature().phase_after.unwrap_or_else(|| run.phase.clone()),
        },
    }
}

fn is_last_stop(run: &Run, step: &Step) -> bool {
    run.steps.iter().rfind(|step| step.is_stop()) == Some(step)
}

/// What `changes` has of this host lives in `/run` or in systemd's memory: the boot has undone it.
fn boot_changed(run: &mut Run, open: Option<Step>, boot: BootId, at: Timestamp) {
    run.strike_out_undone_by(&boot);
    run.boot = boot;
    run.owed.clear();
    run.soft_reboots_of_boot = None;
    run.holds_let_go = false;
    if run.phase == Phase::RebootRequested {
        // A verdict is of one boot, and the kernel that was judged runs no more.
        run.verification = None;
        end_attempt(run, Outcome::Succeeded, None, at);
        run.phase = Phase::Rebooted;
        run.rebooted = Some(at);
        return;
    }
    run.unplanned_reboots += 1;
    // The host was ready for a reboot; somebody else did it.
    let was_ready = run.phase == Phase::Staged;
    if went_down(run, open, at, "the host went down", was_ready) || was_ready {
        run.phase = Phase::Rebooted;
        run.rebooted = Some(at);
    }
}

/// All but the kernel was started anew. `/run` is as it was, holds and all, so that what is changed stays on record, but for
/// what the run itself has let go before.
fn soft_rebooted(run: &mut Run, open: Option<Step>, count: u32, at: Timestamp) {
    run.soft_reboots_of_boot = Some(count);
    run.owed.retain(|owed| owed.reason.outlives_soft_reboot());
    if run.awaits() == Some(Restart::Soft) {
        if std::mem::take(&mut run.holds_let_go) {
            run.changes.retain(|change| !change.ends_with_processes());
        }
        run.verification = None;
        end_attempt(run, Outcome::Succeeded, None, at);
        run.phase = Phase::Rebooted;
        run.rebooted = Some(at);
        run.softly = true;
        return;
    }
    run.soft_reboots += 1;
    if run.phase == Phase::RebootRequested {
        let reason = "the host was soft-rebooted instead: all but the kernel was started anew".to_owned();
        let step = open.unwrap_or(Step::Reboot);
        run.phase = phase_after_end(run, &step, Outcome::Failed, Some(reason.clone()));
        end_attempt(run, Outcome::Failed, Some(reason), at);
        return;
    }
    // Where no reboot was wanted, the host is about to be judged, and still can be.
    let goes_on = run.phase == Phase::Staged && run.has_finished(&Step::Reboot);
    if went_down(run, open, at, "the host was soft-rebooted", goes_on) {
        run.phase = if run.rebooted.is_some() { Phase::Rebooted } else { Phase::Staged };
    }
}

/// Everything ended under the run, which `goes_on` or fails. Whether it was judged before: a verdict is of one start of the
/// services, and the next one must not be called what the last one was.
fn went_down(run: &mut Run, open: Option<Step>, at: Timestamp, how: &str, goes_on: bool) -> bool {
    let why = Some(format!("{how} while it was at work"));
    end_call(run, HookEnd { at, outcome: Outcome::Interrupted, why, lines: Vec::new() });
    let was_judged = run.verification.take().is_some();
    let reason = |step: &Step| format!("{how} during \"{}\"", step.title());
    let note = open.as_ref().map(reason);
    end_attempt(run, Outcome::Interrupted, note, at);
    match &run.phase {
        Phase::Rebooted => {}
        Phase::Verified | Phase::Failed { step: Step::Verify, .. } if was_judged => {
            run.reopened = Some(run.history.len());
            return true;
        }
        phase if goes_on || phase.is_final() => {}
        _ => {
            let step = open.or_else(|| super::decide::next_planned(run)).unwrap_or(Step::Verify);
            run.phase = Phase::Failed { reason: reason(&step), step };
        }
    }
    false
}
