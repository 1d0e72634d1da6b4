//! Calls of the administrator's programs: none twice, none forgotten.

use super::sample::{after, at, begin, booted, done, end, failed, verified};
use crate::machine::decide::late_hook;
use crate::model::{Fact, HookEnd, HookId, HookPoint, HookPolicy, HookRun, Outcome, Run, Step};

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
