//! Calls of the administrator's programs: none twice, none forgotten.

use super::sample::{after, api, at, before, begin, boot, booted, closed, done, end, failed, planned, verified};
use crate::machine::apply;
use crate::machine::decide::{late_hook, silence_is_due_to_end};
use crate::model::{Change, Fact, HookEnd, HookId, HookPoint, HookPolicy, HookRun, Outcome, Run, Step};

pub(super) fn called(step: &Step) -> HookRun {
    let policy = HookPolicy::MustSucceed;
    HookRun { step: step.clone(), program: "/usr/local/sbin/drain".into(), policy, began: at(50), end: None }
}

pub(super) fn call_ended() -> HookEnd {
    HookEnd { at: at(50), outcome: Outcome::Failed, why: Some("exit status 1".into()), lines: Vec::new() }
}

pub(super) const HOOK: Step = Step::Hook(HookId { point: HookPoint::BeforeStop, number: 1 });
pub(super) const LATE_HOOK: Step = Step::Hook(HookId { point: HookPoint::AfterVerify, number: 1 });

/// A run with hooks before its stops and after its verification.
pub(super) fn hooked(run: &Run) -> Run {
    let mut hooked = run.clone();
    hooked.steps.insert(3, HOOK);
    hooked.steps.push(LATE_HOOK);
    hooked
}

/// The hook was called, and has not ended.
pub(super) fn at_work(run: &Run, hook: Step) -> Run {
    after(&begin(&hooked(run), hook.clone()), Fact::HookBegan(called(&hook)))
}

#[test]
fn hooks_after_the_verification_are_called_once_each_whatever_becomes_of_them() {
    let hooks = ["hook:after-verify:1", "hook:after-verify:2"].map(|name| name.parse::<Step>().unwrap());
    let mut run = verified();
    run.steps.extend(hooks.clone());
    assert_eq!(late_hook(&run).as_ref(), Some(&hooks[0]));
    run = end(&begin(&run, hooks[0].clone()), Outcome::Failed);
    assert_eq!(late_hook(&run).as_ref(), Some(&hooks[1]));
    // The host goes down meanwhile: what the hook has done is not known, and it is not called again.
    run = after(&begin(&run, hooks[1].clone()), Fact::HookBegan(called(&hooks[1])));
    run = booted(&run, 3);
    assert_eq!(run.hooks[0].end.as_ref().unwrap().outcome, Outcome::Interrupted);
    assert_eq!(late_hook(&run), None);
}

#[test]
fn no_hook_follows_a_verification_that_there_was_not() {
    let mut run = failed(Step::Upgrade);
    run.steps.push(LATE_HOOK);
    assert_eq!(late_hook(&done(&done(&run, Step::Repair), Step::Restore)), None);
}

/// Monitoring was silenced before the first stop, as the ledger says.
pub(super) fn silenced(run: &Run) -> Run {
    let mut silenced = run.clone();
    silenced.changes.push(silence());
    silenced
}

fn silence() -> Change {
    Change::Silenced { end: vec!["/usr/local/sbin/speak".into()] }
}

#[test]
fn a_silence_is_recorded_by_its_step_survives_boots_and_is_ended_by_its_own() {
    let mut run = before(&Step::stop(api()));
    run.steps.insert(3, Step::Silence);
    assert!(apply(&run, Fact::ChangeIntended(silence())).is_err(), "no step is open");
    run = after(&begin(&run, Step::Silence), Fact::ChangeIntended(silence()));
    run = end(&run, Outcome::Succeeded);
    let run = booted(&begin(&run, Step::stop(api())), 2);
    assert_eq!(run.changes, [silence()], "monitoring is elsewhere");
    assert!(silence_is_due_to_end(&run));
    let ending = begin(&run, Step::EndSilence);
    // The host went down once more: it is tried again. A try that failed is told, and not made again.
    assert!(silence_is_due_to_end(&booted(&ending, 3)));
    let in_vain = end(&ending, Outcome::Failed);
    assert!(!silence_is_due_to_end(&in_vain));
    // But by a run that is opened again for it, on whatever boot.
    for number in [2, 5] {
        let opened = after(&closed(&in_vain), Fact::Reopened { boot: boot(number) });
        assert_eq!(opened.changes, [silence()]);
        assert!(silence_is_due_to_end(&opened));
    }
    let spoken = end(&after(&ending, Fact::ChangeUndone(silence())), Outcome::Succeeded);
    assert_eq!(spoken.changes, []);
    assert!(!silence_is_due_to_end(&spoken));
}

#[test]
fn a_healthy_host_that_nobody_watches_is_no_good_end() {
    assert_eq!(closed(&verified()).closed.unwrap().exit_code, 0);
    let run = end(&begin(&silenced(&verified()), Step::EndSilence), Outcome::Failed);
    assert_eq!(closed(&run).closed.unwrap().exit_code, 23);
    let early = Fact::StepBegan { step: Step::EndSilence, boot: planned().boot, at: at(50) };
    assert!(apply(&silenced(&planned()), early).is_err(), "the run goes on");
}

/// Rows of the table of decisions: their first cells, a run, and what is decided for it.
pub(super) fn endings() -> [([&'static str; 3], Run, &'static str); 2] {
    let hooks = ["none, judged, hooks after the verification left", "same", "–"];
    let silence = ["none, at the end, monitoring is silenced", "same", "–"];
    [(hooks, hooked(&verified()), "begin hook:after-verify:1"), (silence, silenced(&verified()), "begin end-silence")]
}
