//! What facts make of a run beyond its phase: every field that `apply` writes.

use super::sample::{
    after, api, at, baseline, before, begin, boot, booted, closed, done, end, ended, failed, judged, mongod, open,
    planned, proof, reboot_requested, reboot_skipped, soft_reboot_requested, soft_rebooted, unit, verified,
};
use crate::model::{
    Attempt, BootReason, Change, CheckResult, Closing, Fact, KernelPlan, Outcome, Owed, PackageAction, PackageChange,
    Phase, Recovery, Restart, Run, SliceLimits, Step, UpgradePlan,
};

fn failed_at(run: &Run) -> (String, String) {
    match &run.phase {
        Phase::Failed { step, reason } => (step.to_string(), reason.clone()),
        other => panic!("{other:?}"),
    }
}

fn outcome_of(run: &Run, step: &Step) -> Outcome {
    run.last_record(step).unwrap().outcome
}

#[test]
fn attempts_are_numbered_and_recorded() {
    let run = open(Step::Upgrade);
    let expected = Attempt { step: Step::Upgrade, number: 1, boot: boot(1), began: at(10) };
    assert_eq!(run.attempt, Some(expected.clone()));
    let run = end(&run, Outcome::Interrupted);
    assert_eq!(run.attempt, None);
    let record = run.last_record(&Step::Upgrade).unwrap();
    assert_eq!((&record.attempt, record.outcome, record.ended), (&expected, Outcome::Interrupted, at(20)));
    assert_eq!(record.note.as_deref(), Some("as it was told"));
    assert_eq!(begin(&run, Step::Upgrade).attempt.unwrap().number, 2);
}

#[test]
fn what_a_step_found_is_kept() {
    let checks = vec![CheckResult { label: "dpkg-clean".into(), finding: None }];
    assert_eq!(after(&open(Step::Preflight), Fact::ChecksAnswered(checks.clone())).checks, checks);

    let change = PackageChange {
        name: "libc6".into(),
        action: PackageAction::Upgrade,
        from: Some("1".into()),
        to: Some("2".into()),
        origin: None,
    };
    let plan = UpgradePlan { changes: vec![change], ..UpgradePlan::default() };
    assert_eq!(after(&open(Step::Fetch), Fact::UpgradePlanned(plan.clone())).upgrade, Some(plan));

    let run = after(&open(Step::Baseline), Fact::BaselineTaken(Box::new(baseline())));
    assert_eq!(run.baseline, Some(baseline()));

    let run = after(&open(Step::StageCheck), Fact::RebootWanted(vec!["a new kernel".into()]));
    let kernel = KernelPlan { expected: "6.1".into(), managed_here: true, ..KernelPlan::default() };
    let run = after(&run, Fact::KernelExpected(kernel.clone()));
    assert_eq!((run.reboot_reasons, run.kernel), (vec!["a new kernel".to_owned()], Some(kernel)));

    let run = open(Step::Verify);
    assert_eq!(after(&run, judged(&run)).verification.unwrap().boot, boot(2));

    let recovery = Recovery { unit: api(), at: at(50) };
    let run = after(&run, Fact::RecoveryIntended(recovery.clone()));
    assert_eq!(run.recoveries, std::slice::from_ref(&recovery));
    assert!(super::super::apply(&run, Fact::RecoveryIntended(recovery)).is_err(), "once each");
}

#[test]
fn a_proof_replaces_the_older_one_of_its_unit() {
    let run = open(Step::stop(api()));
    let run = after(&run, Fact::ServiceStopped(Box::new(proof(&api()))));
    let mut newer = proof(&api());
    newer.was_running = false;
    let run = after(&run, Fact::ServiceStopped(Box::new(newer.clone())));
    assert_eq!(run.stops, [newer]);
}

#[test]
fn changes_are_noted_once_and_struck_out() {
    let held = Change::Held(api());
    let stopped = Change::Stopped(api());
    let mut run = open(Step::stop(api()));
    for change in [&held, &held, &stopped] {
        run = after(&run, Fact::ChangeIntended(change.clone()));
    }
    assert_eq!(run.changes, [held.clone(), stopped.clone()]);
    let run = begin(&end(&run, Outcome::Failed), Step::Restore);
    let run = after(&run, Fact::ChangeUndone(held.clone()));
    assert_eq!(run.changes, [stopped]);
    // Undoing what was never done is harmless.
    assert_eq!(after(&run, Fact::ChangeUndone(held)).changes, run.changes);
}

#[test]
fn a_timer_is_paused_by_the_baseline_and_goes_on_with_the_report_at_the_latest() {
    let paused = Change::Paused(unit("apt-daily.timer"));
    let intended = Fact::ChangeIntended(paused.clone());
    let run = after(&after(&open(Step::Baseline), intended.clone()), intended.clone());
    assert_eq!(run.changes, std::slice::from_ref(&paused));
    for step in [Step::Fetch, Step::stop(api()), Step::Upgrade] {
        assert!(super::super::apply(&open(step.clone()), intended.clone()).is_err(), "{step} paused a timer");
    }
    let left = begin(&end(&run, Outcome::Failed), Step::Report);
    assert_eq!(left.exit_code(), crate::exit_code::STEP_FAILED, "it is not as it was");
    let run = after(&left, Fact::ChangeUndone(paused));
    assert_eq!((run.changes.len(), run.exit_code()), (0, crate::exit_code::UNTOUCHED));
}

#[test]
fn the_last_stop_ends_the_stops() {
    let run = done(&before(&Step::stop(api())), Step::stop(api()));
    assert_eq!(run.phase, Phase::BaselineTaken);
    assert_eq!(done(&run, Step::stop(mongod())).phase, Phase::ServicesStopped);
}

#[test]
fn the_first_failure_decides_the_phase() {
    let run = failed(Step::Upgrade);
    assert_eq!(failed_at(&run), ("upgrade".into(), "as it was told".into()));
    let run = end(&begin(&run, Step::Repair), Outcome::Failed);
    let run = end(&begin(&run, Step::Restore), Outcome::Failed);
    assert_eq!(failed_at(&run).0, "upgrade");
    assert_eq!(outcome_of(&run, &Step::Restore), Outcome::Failed);
    // Where nothing failed before, they do decide.
    let run = end(&begin(&reboot_skipped(), Step::Restore), Outcome::Failed);
    assert_eq!(failed_at(&run).0, "restore");
    let run = end(&begin(&end(&open(Step::Upgrade), Outcome::Interrupted), Step::Repair), Outcome::Failed);
    assert_eq!(failed_at(&run).0, "repair");
    // A verified run stays so when its report fails.
    assert_eq!(end(&begin(&verified(), Step::Report), Outcome::Failed).phase, Phase::Verified);
}

#[test]
fn giving_up_ends_the_open_attempt() {
    let give_up =
        |run: &Run| after(run, Fact::GivenUp { step: Step::Upgrade, reason: "the disk is full".into(), at: at(50) });
    let run = give_up(&open(Step::Upgrade));
    assert_eq!(run.attempt, None);
    assert_eq!(failed_at(&run), ("upgrade".into(), "the disk is full".into()));
    assert_eq!(outcome_of(&run, &Step::Upgrade), Outcome::Failed);
    // Without one there is nothing to record.
    assert_eq!(give_up(&planned()).history, []);
}

#[test]
fn a_reboot_is_counted_once_and_timed() {
    let run = reboot_requested(&open(Step::Reboot));
    assert_eq!((run.reboots, run.reboot_requested, run.rebooted), (1, Some(at(25)), None));
    let run = booted(&run, 2);
    assert_eq!((run.reboots, run.unplanned_reboots, run.rebooted), (1, 0, Some(at(30))));
    assert_eq!((run.boot.clone(), run.first_boot.clone()), (boot(2), boot(1)));
    assert_eq!(outcome_of(&run, &Step::Reboot), Outcome::Succeeded);
}

#[test]
fn a_boot_undoes_every_change() {
    let mut run = open(Step::stop(api()));
    for change in [Change::Held(api()), Change::Stopped(api())] {
        run = after(&run, Fact::ChangeIntended(change));
    }
    assert_eq!(booted(&run, 2).changes, []);
}

#[test]
fn a_boot_that_nobody_asked_for_is_counted_and_told() {
    // During a step: the step is interrupted, and named.
    let run = booted(&open(Step::Upgrade), 2);
    assert_eq!((run.unplanned_reboots, run.rebooted), (1, None));
    assert_eq!(outcome_of(&run, &Step::Upgrade), Outcome::Interrupted);
    let note = run.last_record(&Step::Upgrade).unwrap().note.clone();
    assert_eq!(note.as_deref(), Some("the host went down during \"upgrade the packages\""));
    assert_eq!(failed_at(&run), ("upgrade".into(), note.unwrap()));
    // Between two steps: the next one is named.
    assert_eq!(failed_at(&booted(&before(&Step::Upgrade), 2)).0, "upgrade");
    // While the host waited for a reboot, it got one.
    for run in [before(&Step::Reboot), open(Step::Reboot), begin(&reboot_skipped(), Step::Restore)] {
        let run = booted(&run, 2);
        assert_eq!((&run.phase, run.reboots, run.unplanned_reboots), (&Phase::Rebooted, 0, 1));
        assert_eq!(run.rebooted, Some(at(30)));
    }
    // During the verification: it is judged again.
    let run = booted(&open(Step::Verify), 3);
    assert_eq!((&run.phase, run.unplanned_reboots, run.rebooted), (&Phase::Rebooted, 1, Some(at(30))));
    assert_eq!(outcome_of(&run, &Step::Verify), Outcome::Interrupted);
    // After the verdict: it is judged, reported and told again, on the boot that runs now.
    let reported = end(&begin(&verified(), Step::Report), Outcome::Succeeded);
    let run = booted(&reported, 3);
    assert_eq!((&run.phase, run.unplanned_reboots, run.verification.is_none()), (&Phase::Rebooted, 1, true));
    let run = after(&begin(&run, Step::Verify), judged(&run));
    assert_eq!(run.verification.as_ref().unwrap().boot, boot(3));
    let run = end(&run, Outcome::Succeeded);
    assert_eq!(begin(&run, Step::Report).attempt.unwrap().number, 2);
    // After the end: only counted.
    let run = booted(&begin(&failed(Step::Upgrade), Step::Restore), 2);
    assert_eq!(run.unplanned_reboots, 1);
    assert_eq!(outcome_of(&run, &Step::Restore), Outcome::Interrupted);
    assert_eq!(failed_at(&run), ("upgrade".into(), "as it was told".into()));
}

#[test]
fn a_soft_reboot_is_no_reboot_and_undoes_nothing() {
    let held = after(&open(Step::stop(api())), Fact::ChangeIntended(Change::Held(api())));
    let run = soft_rebooted(&held);
    assert_eq!(run.changes, [Change::Held(api())], "a hold is in /run");
    let reason = "the host was soft-rebooted during \"stop api.service\"";
    assert_eq!(failed_at(&run), ("stop:api.service".into(), reason.into()));
    assert_eq!((run.soft_reboots, run.unplanned_reboots, &run.boot), (1, 0, &run.first_boot));
    // Instead of the reboot that was asked for: that one did not happen.
    let run = soft_rebooted(&reboot_requested(&open(Step::Reboot)));
    assert_eq!((outcome_of(&run, &Step::Reboot), run.rebooted), (Outcome::Failed, None));
    assert!(failed_at(&run).1.contains("soft-rebooted instead"), "{:?}", run.phase);
    assert_eq!(run.exit_code(), crate::exit_code::NOT_REBOOTED);
    // A host that waits for its reboot is not ready for this one.
    assert_eq!(failed_at(&soft_rebooted(&before(&Step::Reboot))).0, "reboot");
    // During the verification, with a reboot and without one: it is judged again.
    for (run, phase) in [
        (open(Step::Verify), Phase::Rebooted),
        (begin(&done(&reboot_skipped(), Step::Restore), Step::Verify), Phase::Staged),
    ] {
        let judged_once = end(&after(&run, judged(&run)), Outcome::Succeeded);
        for run in [soft_rebooted(&run), soft_rebooted(&judged_once)] {
            assert_eq!((&run.phase, run.verification.is_none()), (&phase, true));
            let run = begin(&run, Step::Verify);
            assert_eq!(end(&after(&run, judged(&run)), Outcome::Succeeded).phase, Phase::Verified);
        }
    }
}

#[test]
fn a_soft_reboot_that_was_asked_for_is_the_reboot() {
    let mut asked = soft_reboot_requested(&open(Step::Reboot));
    let slice = Change::Limited { slice: unit("patchday.slice"), before: SliceLimits::default() };
    asked.changes = vec![Change::Held(api()), Change::Stopped(api()), slice.clone(), Change::Announced];
    let kernel = BootReason::RebootRequired { packages: Vec::new() };
    let reasons = [BootReason::OldCode { by: "dbus.service".into(), passing: false }, kernel.clone()];
    asked.owed = reasons.map(|reason| Owed { since: at(1), reason }).to_vec();
    // What is set at run time, and written below /run, is as it was.
    let run = soft_rebooted(&after(&asked, Fact::HoldsLetGo));
    assert_eq!((&run.phase, run.rebooted, run.restarted()), (&Phase::Rebooted, Some(at(30)), Some(Restart::Soft)));
    assert_eq!((outcome_of(&run, &Step::Reboot), run.reboots, run.soft_reboots), (Outcome::Succeeded, 1, 0));
    assert_eq!((&run.changes, run.holds_let_go), (&vec![slice, Change::Announced], false));
    assert_eq!(run.owed.iter().map(|owed| &owed.reason).collect::<Vec<_>>(), [&kernel]);
    assert!(run.is_started_anew_on(&run.boot) && run.boot == run.first_boot);
    let judged_run = end(&after(&begin(&run, Step::Verify), judged(&run)), Outcome::Succeeded);
    assert_eq!(judged_run.phase, Phase::Verified);
    // Another one behind it is nobody's wish: the host is judged again.
    let again = after(&judged_run, Fact::SoftRebooted { count: 2, at: at(40) });
    assert_eq!((&again.phase, again.soft_reboots, again.verification.is_none()), (&Phase::Rebooted, 1, true));
    // The power went before it: a boot does all that was owed.
    let cut = booted(&after(&asked, Fact::HoldsLetGo), 2);
    assert_eq!((&cut.phase, cut.restarted(), cut.unplanned_reboots), (&Phase::Rebooted, Some(Restart::Full), 0));
    assert!(cut.changes.is_empty() && !cut.is_softly_restarted());
    // Somebody came before the holds were let go: what is held is brought back first.
    let early = soft_rebooted(&asked);
    assert_eq!((&early.phase, early.changes.len()), (&Phase::Rebooted, 4));
    let early = begin(&early, Step::Restore);
    let early = [Change::Held(api()), Change::Stopped(api())]
        .into_iter()
        .fold(early, |run, change| after(&run, Fact::ChangeUndone(change)));
    let early = end(&early, Outcome::Succeeded);
    assert_eq!(begin(&early, Step::Verify).phase, Phase::Rebooted);
}

#[test]
fn only_an_automatic_resume_uses_up_the_boot() {
    let resumed = |automatic| {
        after(&planned(), Fact::Resumed { boot: boot(1), soft_reboots: None, automatic, at: at(50) }).resumed_on
    };
    assert_eq!(resumed(true), Some(boot(1)));
    assert_eq!(resumed(false), None);
}

#[test]
fn an_abort_and_a_closing_say_who_and_when() {
    let run = after(&planned(), Fact::AbortRequested { by: "root".into(), at: at(40) });
    let abort = run.abort.clone().unwrap();
    assert_eq!((abort.by.as_str(), abort.at, run.phase.name()), ("root", at(40), "aborted"));
    assert_eq!(closed(&run).closed, Some(Closing { at: at(99), exit_code: run.exit_code() }));
}

#[test]
fn a_run_is_opened_again_only_for_what_it_left() {
    let mut run = open(Step::stop(api()));
    for change in [Change::Held(api()), Change::Stopped(api())] {
        run = after(&run, Fact::ChangeIntended(change));
    }
    let left = begin(&end(&run, Outcome::Failed), Step::Report);
    let left = closed(&end(&left, Outcome::Succeeded));
    let reopened = |number| after(&left, Fact::Reopened { boot: boot(number) });
    let run = reopened(1);
    assert_eq!((run.is_open(), run.changes.len(), run.since_opened().len()), (true, 2, 0));
    // Another boot has undone it, after the run: it is none of the run's.
    let run = reopened(2);
    assert_eq!((run.boot.clone(), run.changes.len(), run.unplanned_reboots), (boot(2), 0, 0));
    let refused = |run: &Run| super::super::apply(run, Fact::Reopened { boot: boot(1) }).is_err();
    assert!(refused(&reopened(1)), "it is open");
    assert!(refused(&closed(&verified())), "nothing is left");
}

#[test]
fn nothing_to_do_ends_the_fetch_well() {
    let run = after(&open(Step::Fetch), Fact::NothingFound { at: at(20) });
    assert_eq!((run.attempt.clone(), outcome_of(&run, &Step::Fetch)), (None, Outcome::Succeeded));
}

#[test]
fn a_refused_fact_changes_nothing() {
    let run = open(Step::Upgrade);
    let copy = run.clone();
    assert!(crate::machine::apply(&run, ended(&open(Step::Fetch), Outcome::Succeeded)).is_err());
    assert_eq!(run, copy);
}
