//! What to do next.

use jiff::{SignedDuration, Timestamp};

use super::budget::overrun;
use crate::config::settings::Policy;
use crate::model::{
    AttemptRecord, Change, HookPoint, Observation, Occasion, Outcome, Phase, Run, Step, Verdict, WorkLook,
};

/// What the coordinator shall do. Each is carried out, recorded, and followed by another look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Record the intent, then perform the step.
    Begin(Step),
    /// Perform the step again under its open attempt.
    GoOn {
        step: Step,
        /// What it will find.
        with: OpenWork,
    },
    /// The outcome of its work is lost: record `interrupted`. A repair follows, then the step begins again.
    CountAsInterrupted(Step),
    /// Record that another boot runs.
    RecordBoot,
    /// Record that all but the kernel was started anew.
    RecordSoftReboot {
        /// How often that happened on this boot.
        count: u32,
    },
    /// The reboot is on its way.
    AwaitReboot {
        /// The end of the grace period.
        until: Timestamp,
    },
    /// The reboot did not happen in time, and the configuration wants it forced.
    ForceReboot,
    /// The reboot did not happen.
    ConcludeNoReboot,
    /// The step, and what follows it, does not fit into the window.
    MissWindow { step: Step, reason: String },
    /// End the run as failed.
    GiveUp { step: Step, reason: String },
    /// Nothing is left to do.
    Close {
        /// The exit code that the run is worth.
        exit_code: u8,
    },
    /// What is known does not suffice: touch nothing, and leave the run open.
    Stay {
        /// What is not known.
        reason: String,
    },
}

/// What is left of an open attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenWork {
    /// No unit of its own, or none that was named: the step looks before it acts.
    None,
    /// Its unit still runs, and is followed.
    Running,
    /// Its unit ended meanwhile: the outcome is recorded.
    Ended,
}

/// Attempts at one step before the run is given up; only lost outcomes lead to a second one.
pub(super) const MAX_ATTEMPTS: u32 = 3;

/// Decides by this table; total, without I/O. The steps whose work is one unit are those of [`Step::is_one_work`].
///
/// | current attempt | boot ID | unit | decision |
/// |---|---|---|---|
/// | any | unreadable | – | stay: it is neither the same nor another boot |
/// | any | changed | – | record the boot; it tells what that means for the phase |
/// | any | same, soft-rebooted | – | record that; it is the reboot that was asked for only where a soft one was |
/// | none, planned steps left | same | – | repair if the last packaging work was interrupted, else begin the next step |
/// | none, the next step does not fit into the window | same | – | record that; go on without it, or end the run |
/// | none, too many boots or attempts | same | – | give up at the next step |
/// | none, the verdict on a kernel on trial is failed | same | – | reboot once into the kernel before |
/// | none, reboot skipped | same | – | bring the services back, then verify |
/// | none, soft-rebooted as asked, holds left | same | – | bring the services back, then verify |
/// | none, failed, work stands still | same | – | bring the services back, then repair |
/// | none, failed or aborted | same | – | repair, bring the services back, report, tell how it ended, close |
/// | none, failed or aborted, and services may have come to harm | same | – | see whether they stay, before the report |
/// | none, judged, hooks after the verification left | same | – | call the next of them |
/// | none, at the end, monitoring is silenced | same | – | end its silence |
/// | none, verified or nothing to do | same | – | report, tell how it ended, close |
/// | the work of one unit | same | running | go on: follow it |
/// | the work of one unit | same | exited (kept) | go on: record its outcome |
/// | the work of one unit | same | not loaded | count as interrupted; repair if it works on packages; begin again |
/// | the work of one unit | same | unknown | stay |
/// | the work of one unit | same | none was named | go on |
/// | reboot or revert, requested | same, inside grace | – | await the reboot |
/// | reboot or revert, requested | same, past grace, to be forced later | – | await the reboot |
/// | reboot or revert, requested | same, past grace, to be forced now | – | force it, once; then a second grace period |
/// | reboot or revert, requested | same, past grace | – | conclude that it did not happen |
/// | any other | same | – | go on: these steps look before they act |
pub fn decide(run: &Run, observation: &Observation, now: Timestamp, policy: &Policy) -> Decision {
    let Some(boot) = &observation.boot else {
        return Decision::Stay { reason: "the boot ID cannot be read".into() };
    };
    if boot != &run.boot {
        return Decision::RecordBoot;
    }
    if let Some(count) = observation.soft_reboots.filter(|count| run.is_soft_rebooted(Some(*count))) {
        return Decision::RecordSoftReboot { count };
    }
    let Some(attempt) = &run.attempt else {
        return decide_without_attempt(run, now, policy);
    };
    let go_on = |with| Decision::GoOn { step: attempt.step.clone(), with };
    match &attempt.step {
        step if step.is_one_work() => match &observation.work {
            WorkLook::Running => go_on(OpenWork::Running),
            WorkLook::Exited(_) => go_on(OpenWork::Ended),
            WorkLook::NotLoaded => Decision::CountAsInterrupted(step.clone()),
            WorkLook::NoWork => go_on(OpenWork::None),
            WorkLook::Unknown(why) => Decision::Stay { reason: format!("the work of {step} is unknown: {why}") },
        },
        step if step.asks_for_reboot() && run.phase == Phase::RebootRequested => decide_reboot(run, now, policy),
        _ => go_on(OpenWork::None),
    }
}

fn decide_reboot(run: &Run, now: Timestamp, policy: &Policy) -> Decision {
    let requested = run.reboot_requested.unwrap_or(run.planned);
    // A clock that was set back while we waited must not make a wait endless, and one that was only corrected must not
    // end it: set back by less than the time to wait it stretches the wait, by more it ends it.
    let is_within = |since: Timestamp, time: SignedDuration| now.duration_since(since).abs() < time;
    match (run.reboot_forced, policy.reboot_force_after) {
        (Some(forced), _) if is_within(forced, policy.reboot_grace) => {
            Decision::AwaitReboot { until: forced + policy.reboot_grace }
        }
        (None, Some(force_after)) if is_within(requested, force_after) => {
            Decision::AwaitReboot { until: requested + force_after }
        }
        (None, Some(_)) => Decision::ForceReboot,
        (None, None) if is_within(requested, policy.reboot_grace) => {
            Decision::AwaitReboot { until: requested + policy.reboot_grace }
        }
        _ => Decision::ConcludeNoReboot,
    }
}

fn decide_without_attempt(run: &Run, now: Timestamp, policy: &Policy) -> Decision {
    if repair_is_due(run) && !services_come_first(run) {
        return Decision::Begin(Step::Repair);
    }
    if run.phase.is_final() {
        return decide_ending(run, policy);
    }
    let Some(step) = next_planned(run) else {
        return Decision::GiveUp { step: Step::Report, reason: "no step is left, and the run is not final".into() };
    };
    if step == Step::Verify && restore_is_due(run) {
        return Decision::Begin(Step::Restore);
    }
    if run.reboots + run.unplanned_reboots > policy.max_boots {
        let reason = format!("the host rebooted {} times during the run", run.reboots + run.unplanned_reboots);
        return Decision::GiveUp { step, reason };
    }
    let lost = |record: &&AttemptRecord| record.attempt.step == step && record.outcome == Outcome::Interrupted;
    if run.history.iter().filter(lost).count() >= MAX_ATTEMPTS as usize {
        let reason = format!("{step} was interrupted {MAX_ATTEMPTS} times");
        return Decision::GiveUp { step, reason };
    }
    match overrun(run, &step, now) {
        Some(reason) => Decision::MissWindow { step, reason },
        None => Decision::Begin(step),
    }
}

fn decide_ending(run: &Run, policy: &Policy) -> Decision {
    if revert_is_due(run, policy) {
        return Decision::Begin(Step::Revert);
    }
    if restore_is_due(run) {
        return Decision::Begin(Step::Restore);
    }
    if last_look_is_due(run) {
        return Decision::Begin(Step::LastLook);
    }
    if let Some(hook) = late_hook(run) {
        return Decision::Begin(hook);
    }
    if silence_is_due_to_end(run) {
        return Decision::Begin(Step::EndSilence);
    }
    if report_is_due(run) {
        return Decision::Begin(Step::Report);
    }
    if end_is_to_be_told(run) {
        return Decision::Begin(Step::Notify(Occasion::End));
    }
    Decision::Close { exit_code: run.exit_code() }
}

/// The first planned step that has not finished. What there is no time for is left out. A reboot that somebody else did is not done again.
pub(super) fn next_planned(run: &Run) -> Option<Step> {
    let is_left = |step: &&Step| {
        // Judged, and then the host went down: it is judged again.
        let may_be_judged = matches!(run.phase, Phase::Rebooted | Phase::Staged);
        let is_stale = **step == Step::Verify && may_be_judged && run.verification.is_none();
        let is_left_out = run.window_missed.is_some() && step.nature().needs_window || is_told_often_enough(run, step);
        let is_past = !step.nature().follows_reboot && run.rebooted.is_some();
        (!run.has_finished(step) || is_stale || run.is_to_be_asked_again(step)) && !is_past && !is_left_out
    };
    run.steps.iter().find(is_left).cloned()
}

/// The last packaging work did not end well, and no repair followed it.
pub(super) fn repair_is_due(run: &Run) -> bool {
    // A run that is opened again for what it left: packages that are perhaps not on disk are installed once more.
    if run.reopened.is_some() && run.unsynced_since().is_some() && is_untried(run, &Step::Repair) {
        return true;
    }
    let mut restored = false;
    let newest_first = run.history.iter().rev();
    for record in newest_first {
        match (&record.attempt.step, record.outcome) {
            (Step::Restore, Outcome::Succeeded | Outcome::Failed) => restored = true,
            // It waited for a service that was down, and may find it up now.
            (Step::Repair, Outcome::Failed) if restored && run.standstill_of(&record.attempt).is_some() => {
                return run.attempts_of(&Step::Repair) < MAX_ATTEMPTS;
            }
            (Step::Repair, Outcome::Interrupted) => return run.attempts_of(&Step::Repair) < MAX_ATTEMPTS,
            (Step::Repair, _) => return false,
            (step, Outcome::Failed | Outcome::Interrupted) if step.works_on_packages() => return true,
            (step, Outcome::Succeeded) if step.works_on_packages() => {
                return matches!(&run.phase, Phase::Failed { step: Step::StageCheck, .. });
            }
            _ => {}
        }
    }
    false
}

/// Work stands still on this boot, and what it waits for may be a service that is down: it is repaired when they are up.
fn services_come_first(run: &Run) -> bool {
    let stands_still =
        |record: &AttemptRecord| record.attempt.boot == run.boot && run.standstill_of(&record.attempt).is_some();
    run.phase.is_final() && restore_is_due(run) && run.history.iter().any(stands_still)
}

/// Services were stopped, nobody brought them back, and no reboot of ours did. A restore that was interrupted is tried
/// again, and so is one that left a hold: a unit that is held stays down, whoever starts it. One that only could not
/// start a service is not: its findings are in the report. A run that was opened again undoes what is on record, no more.
pub(super) fn restore_is_due(run: &Run) -> bool {
    let is_held = run.changes.iter().any(|change| matches!(change, Change::Held(_)));
    let restores = || run.since_opened().iter().filter(|record| record.attempt.step == Step::Restore);
    let tried = restores().next_back().is_some_and(|record| match record.outcome {
        Outcome::Interrupted => false,
        Outcome::Failed => !is_held,
        Outcome::Succeeded | Outcome::Skipped => true,
    });
    if tried || restores().count() >= MAX_ATTEMPTS as usize {
        return false;
    }
    if run.reopened.is_some() {
        let is_left = |change: &Change| {
            let of_service = matches!(change, Change::Held(_) | Change::Protected(_) | Change::Stopped(_));
            of_service || matches!(change, Change::TakenAlong { .. })
        };
        return run.changes.iter().any(is_left);
    }
    if run.is_held_over_soft_reboot() {
        return true;
    }
    let stopped_something = run.has_stopped_something();
    (stopped_something || run.protects_services()) && run.rebooted.is_none() && run.phase != Phase::Verified
}

/// Services may have come to harm, nobody has judged the host since, and nobody has looked at them once more. A look that
/// found one down is not taken again, but by a run that is opened for it.
pub(super) fn last_look_is_due(run: &Run) -> bool {
    let stopped_something = run.has_stopped_something();
    let may_have_harmed = stopped_something || run.has_touched_packages();
    let is_judged = run.verification.is_some() && run.reopened.is_none();
    run.baseline.is_some() && may_have_harmed && !is_judged && is_untried(run, &Step::LastLook)
}

/// The host is not well under the kernel on trial, and the boot loader would start the one before: once, and only
/// where one more boot is not one too many.
pub(super) fn revert_is_due(run: &Run, policy: &Policy) -> bool {
    may_revert(run) && run.reboots + run.unplanned_reboots < policy.max_boots
}

fn may_revert(run: &Run) -> bool {
    let is_judged = matches!(run.phase, Phase::Failed { step: Step::Verify, .. });
    let judged = run.verification.as_ref().filter(|_| is_judged && run.attempts_of(&Step::Revert) == 0);
    let on_trial = run.one_shot_boot();
    judged.zip(on_trial).is_some_and(|(verification, trial)| {
        verification.verdict == Verdict::Failed && verification.kernel == trial.kernel
    })
}

/// The next hook to call after the verification. None is called twice: what a call that was interrupted has done
/// already, nobody knows.
pub(super) fn late_hook(run: &Run) -> Option<Step> {
    let is_judged = matches!(run.phase, Phase::Verified | Phase::Failed { step: Step::Verify, .. });
    let mut late = run.steps.iter().filter(|step| step.hook_point() == Some(HookPoint::AfterVerify));
    let is_left = |step: &&Step| run.attempts_of(step) == 0;
    late.find(is_left).filter(|_| is_judged && run.verification.is_some()).cloned()
}

/// Monitoring is silenced, and nobody tried to end that. A failed try is told, and made again only by a run that is opened
/// for it; an interrupted one is made again.
pub(super) fn silence_is_due_to_end(run: &Run) -> bool {
    run.leaves_monitoring_silent() && is_untried(run, &Step::EndSilence)
}

/// Nobody wrote the report yet. A failed report is not tried again; an interrupted one is.
pub(super) fn report_is_due(run: &Run) -> bool {
    is_untried(run, &Step::Report)
}

/// No attempt came to an end of its own since the run was opened, and too many were not cut off either.
fn is_untried(run: &Run, step: &Step) -> bool {
    let tries = || run.since_opened().iter().filter(|record| record.attempt.step == *step);
    let tried = tries().next_back().is_some_and(|record| record.outcome != Outcome::Interrupted);
    !tried && tries().count() < MAX_ATTEMPTS as usize
}

/// That nobody can be told must not end a run.
fn is_told_often_enough(run: &Run, step: &Step) -> bool {
    let tries = run.since_opened().iter().filter(|record| record.attempt.step == *step).count();
    matches!(step, Step::Notify(_)) && tries >= MAX_ATTEMPTS as usize
}

/// Whoever was to be told of the beginning is told of the end, in every run. An interrupted telling is tried again.
pub(super) fn end_is_to_be_told(run: &Run) -> bool {
    let step = Step::Notify(Occasion::End);
    let somebody_waits = run.steps.iter().any(|step| matches!(step, Step::Notify(_)));
    let told = run.since_opened().iter().rfind(|record| record.attempt.step == step);
    let told = told.is_some_and(|record| matches!(record.outcome, Outcome::Succeeded | Outcome::Skipped));
    somebody_waits && !told && !is_told_often_enough(run, &step) && !report_is_due(run)
}

/// Whether the step may begin now: the next planned one, or one that serves an ending.
pub(super) fn may_begin(run: &Run, step: &Step) -> bool {
    match step {
        Step::Repair => run.has_touched_packages(),
        Step::Restore => {
            let has_stopped = run.has_stopped_something();
            // The last look puts on record what ended by itself, also where no step has stopped anything.
            let is_on_record = run.changes.iter().any(|change| matches!(change, Change::Stopped(_)));
            run.protects_services() || has_stopped || is_on_record
        }
        Step::LastLook => run.phase.is_final() && last_look_is_due(run),
        Step::Report => run.phase.is_final(),
        Step::Revert => may_revert(run),
        Step::EndSilence => run.phase.is_final() && silence_is_due_to_end(run),
        step if step.hook_point() == Some(HookPoint::AfterVerify) => late_hook(run).as_ref() == Some(step),
        Step::Notify(Occasion::End) => run.phase.is_final() && end_is_to_be_told(run),
        step => !run.phase.is_final() && next_planned(run).as_ref() == Some(step),
    }
}

/// Whether the run can still be aborted: at a step's border, before the point of no return.
pub fn may_abort(run: &Run) -> bool {
    let past_return = matches!(run.phase, Phase::RebootRequested | Phase::Rebooted);
    run.is_open() && run.attempt.is_none() && !run.phase.is_final() && !past_return
}
