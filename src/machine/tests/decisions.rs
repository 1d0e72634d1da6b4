//! Every row of the table of `decide`, and every helper behind it.

use jiff::SignedDuration;

use super::decided::{decided, exited, next, words};
use super::sample::{
    CLOSES, GRACE, POLICY, aborted, after, api, at, baseline, before, begin, boot, booted, closed, done, end, failed,
    failed_on_trial, nothing_to_do, open, planned, reboot_requested, reboot_skipped, soft_reboot_requested,
    soft_rebooted, step, verified, with_history,
};
use crate::config::settings::Policy;
use crate::machine::decide::{
    Decision, MAX_ATTEMPTS, decide, may_abort, may_begin, next_planned, repair_is_due, report_is_due, restore_is_due,
};
use crate::model::{Change, Fact, Observation, Occasion, Outcome, Phase, Run, Step, WorkLook};

/// Cells of the rows of `decide`'s table, without its head.
fn documented_rows() -> Vec<[&'static str; 3]> {
    let lines = include_str!("../decide.rs").lines().filter_map(|line| line.strip_prefix("/// |")).skip(2);
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            [cells[0], cells[1], cells[2]]
        })
        .collect()
}

fn every_open_run() -> Vec<Run> {
    let planned_steps = planned().steps;
    let mut runs: Vec<Run> = planned_steps.iter().flat_map(|step| [before(step), open(step.clone())]).collect();
    runs.extend([reboot_requested(&open(Step::Reboot)), nothing_to_do(), verified(), failed(Step::Upgrade)]);
    runs.extend([begin(&failed(Step::Upgrade), Step::Repair), begin(&failed(Step::Upgrade), Step::Restore)]);
    runs.push(begin(&verified(), Step::Report));
    runs
}

/// Row by row: the row's first three cells, and what is decided there.
#[test]
fn every_row_of_the_table_is_true() {
    let works = [Step::Upgrade, Step::BuildKernel];
    let mut checked: Vec<[&str; 3]> = Vec::new();
    let mut check = |row: [&'static str; 3], decision: &Decision, expected: &str| {
        assert_eq!(words(decision), expected, "{row:?}");
        checked.push(row);
    };

    for run in every_open_run() {
        let looks = [WorkLook::Running, exited(), WorkLook::NotLoaded, WorkLook::NoWork, WorkLook::Unknown("x".into())];
        for work in looks {
            let soft = Observation { boot: Some(run.boot.clone()), soft_reboots: Some(1), work: work.clone() };
            check(["any", "same, soft-rebooted", "–"], &decide(&run, &soft, at(50), &POLICY), "record soft-reboot 1");
            let unreadable = Observation { boot: None, soft_reboots: Some(1), work: work.clone() };
            let decision = decide(&run, &unreadable, at(50), &POLICY);
            check(["any", "unreadable", "–"], &decision, "stay: the boot ID cannot be read");
            let changed = Observation { boot: Some(boot(9)), soft_reboots: Some(1), work };
            check(["any", "changed", "–"], &decide(&run, &changed, at(50), &POLICY), "record boot");
        }
    }

    let row = ["none, planned steps left", "same", "–"];
    for step in planned().steps {
        check(row, &next(&before(&step)), &format!("begin {step}"));
    }
    for work in &works {
        let interrupted = end(&open(work.clone()), Outcome::Interrupted);
        check(row, &next(&interrupted), "begin repair");
        for outcome in [Outcome::Succeeded, Outcome::Skipped] {
            let repaired = end(&begin(&interrupted, Step::Repair), outcome);
            check(row, &next(&repaired), &format!("begin {work}"));
        }
    }
    for run in [before(&Step::Reboot), open(Step::Reboot)] {
        // Somebody else rebooted the host that was ready for it: it is not rebooted again.
        check(row, &next(&booted(&run, 2)), "begin verify");
    }

    let row = ["none, the next step does not fit into the window", "same", "–"];
    for step in [Step::stop(api()), Step::Upgrade, Step::BuildKernel, Step::Reboot] {
        let decision = decided(&before(&step), WorkLook::NoWork, CLOSES);
        let closed = format!("miss the window at {step}: the window closed at {}", at(CLOSES));
        check(row, &decision, &closed);
    }
    let row = ["none, planned steps left", "same", "–"];
    for step in [Step::Preflight, Step::Fetch, Step::Baseline, Step::StageCheck, Step::Verify] {
        check(row, &decided(&before(&step), WorkLook::NoWork, CLOSES), &format!("begin {step}"));
    }

    let row = ["none, too many boots or attempts", "same", "–"];
    let once = booted(&open(Step::Verify), 3);
    check(["none, planned steps left", "same", "–"], &next(&once), "begin verify");
    let twice = booted(&begin(&once, Step::Verify), 4);
    check(row, &next(&twice), "give up verify: the host rebooted 3 times during the run");
    let mut run = before(&Step::Upgrade);
    for _ in 0..MAX_ATTEMPTS {
        run = done(&end(&begin(&run, Step::Upgrade), Outcome::Interrupted), Step::Repair);
    }
    check(row, &next(&run), "give up upgrade: upgrade was interrupted 3 times");

    let row = ["none, reboot skipped", "same", "–"];
    check(row, &next(&reboot_skipped()), "begin restore");
    check(row, &next(&done(&reboot_skipped(), Step::Restore)), "begin verify");

    let row = ["none, soft-rebooted as asked, holds left", "same", "–"];
    let held = Run { changes: vec![Change::Held(api())], ..open(Step::Reboot) };
    let let_go = after(&soft_reboot_requested(&held), Fact::HoldsLetGo);
    check(row, &next(&soft_rebooted(&soft_reboot_requested(&held))), "begin restore");
    check(["none, planned steps left", "same", "–"], &next(&soft_rebooted(&let_go)), "begin verify");
    let row = ["none, failed or aborted", "same", "–"];
    let run = failed(Step::Upgrade);
    check(row, &next(&run), "begin repair");
    let run = end(&begin(&run, Step::Repair), Outcome::Failed);
    check(row, &next(&run), "begin restore");
    let run = done(&run, Step::Restore);
    check(row, &next(&run), "begin report");
    check(row, &next(&done(&run, Step::Report)), "close 21");
    check(row, &next(&failed(Step::Preflight)), "begin report");
    check(row, &next(&done(&failed(Step::Preflight), Step::Report)), "close 20");
    check(row, &next(&aborted(&before(&Step::Upgrade))), "begin restore");
    check(row, &next(&aborted(&planned())), "begin report");

    let row = ["none, failed or aborted, and services may have come to harm", "same", "–"];
    let mut run = done(&end(&begin(&failed(Step::Upgrade), Step::Repair), Outcome::Failed), Step::Restore);
    run.baseline = Some(baseline());
    check(row, &next(&run), "begin last-look");
    check(row, &next(&done(&run, Step::LastLook)), "begin report");

    let row = ["none, verified or nothing to do", "same", "–"];
    // The power went under the report: it is written again, of the boot that runs now.
    for (run, after_a_cut) in [(verified(), "begin verify"), (nothing_to_do(), "begin report")] {
        check(row, &next(&run), "begin report");
        check(row, &next(&end(&begin(&run, Step::Report), Outcome::Failed)), "close 0");
        assert_eq!(words(&next(&booted(&begin(&run, Step::Report), 3))), after_a_cut);
    }

    for (row, run, decision) in super::hooks::endings().into_iter().chain(super::standstill::endings()) {
        check(row, &next(&run), decision);
    }

    // Whoever was to be told of the beginning is told of the end, whatever became of the report; but not for ever.
    let mut watched = verified();
    watched.steps.insert(3, Step::Notify(Occasion::Start));
    let telling = Step::Notify(Occasion::End);
    check(row, &next(&watched), "begin report");
    watched = end(&begin(&watched, Step::Report), Outcome::Failed);
    for _ in 0..MAX_ATTEMPTS {
        check(row, &next(&watched), "begin notify-end");
        watched = end(&begin(&watched, telling.clone()), Outcome::Interrupted);
    }
    check(row, &next(&watched), "close 0");

    for work in &works {
        let run = open(work.clone());
        let row = |unit| ["the work of one unit", "same", unit];
        check(row("running"), &decided(&run, WorkLook::Running, 50), &format!("attach {work}"));
        check(row("exited (kept)"), &decided(&run, exited(), 50), &format!("collect {work}"));
        check(row("not loaded"), &decided(&run, WorkLook::NotLoaded, 50), &format!("interrupted {work}"));
        let unknown = decided(&run, WorkLook::Unknown("no answer".into()), 50);
        check(row("unknown"), &unknown, &format!("stay: the work of {work} is unknown: no answer"));
        check(row("none was named"), &decided(&run, WorkLook::NoWork, 50), &format!("continue {work}"));
    }

    let row = ["none, the verdict on a kernel on trial is failed", "same", "–"];
    let reverting = begin(&failed_on_trial(), Step::Revert);
    check(row, &next(&failed_on_trial()), "begin revert");
    let mut unlucky = failed_on_trial();
    unlucky.unplanned_reboots = 1;
    let row = ["none, failed or aborted", "same", "–"];
    check(row, &next(&unlucky), "begin report");
    check(row, &next(&end(&reverting, Outcome::Failed)), "begin report");
    let row = ["any other", "same", "–"];
    check(row, &next(&reverting), "continue revert");
    let row = ["none, planned steps left", "same", "–"];
    let reverted = booted(&reboot_requested(&reverting), 3);
    check(row, &next(&reverted), "begin verify");
    assert_eq!(reverted.verification, None, "a verdict on another boot");

    let run = reboot_requested(&open(Step::Reboot));
    let requested = run.reboot_requested.unwrap().duration_since(at(0)).as_secs();
    let grace = GRACE.as_secs();
    for run in [&run, &reboot_requested(&reverting)] {
        for waited in [0, 1, grace - 1] {
            let decision = decided(run, WorkLook::NoWork, requested + waited);
            assert_eq!(decision, Decision::AwaitReboot { until: at(requested + grace) });
            check(["reboot or revert, requested", "same, inside grace", "–"], &decision, "await reboot");
        }
        for waited in [grace, grace + 1, 86_400] {
            let decision = decided(run, WorkLook::NoWork, requested + waited);
            check(["reboot or revert, requested", "same, past grace", "–"], &decision, "conclude no reboot");
        }
    }

    let forcing = Policy { reboot_force_after: Some(GRACE * 2), ..POLICY };
    let decided_by = |run: &Run, waited: i64| {
        let seen = Observation { boot: Some(run.boot.clone()), soft_reboots: Some(0), work: WorkLook::NoWork };
        decide(run, &seen, at(requested + waited), &forcing)
    };
    let row = |when| ["reboot or revert, requested", when, "–"];
    check(row("same, past grace, to be forced later"), &decided_by(&run, grace + 1), "await reboot");
    check(row("same, past grace, to be forced now"), &decided_by(&run, 2 * grace), "force reboot");
    let forced = after(&run, Fact::RebootForced { at: at(requested + 2 * grace) });
    check(row("same, past grace, to be forced now"), &decided_by(&forced, 3 * grace - 1), "await reboot");
    check(row("same, past grace"), &decided_by(&forced, 3 * grace), "conclude no reboot");

    let row = ["any other", "same", "–"];
    for step in planned().steps.into_iter().filter(|step| !works.contains(step)) {
        for look in [WorkLook::NoWork, WorkLook::NotLoaded, WorkLook::Running, exited()] {
            check(row, &decided(&open(step.clone()), look, 50), &format!("continue {step}"));
        }
    }
    for step in [Step::Repair, Step::Restore, Step::Report] {
        check(row, &next(&begin(&failed(Step::Upgrade), step.clone())), &format!("continue {step}"));
    }

    let documented = documented_rows();
    assert!(!documented.is_empty(), "the table is gone");
    for row in &documented {
        assert!(checked.contains(row), "no test for the row {row:?}");
    }
    for row in &checked {
        assert!(documented.contains(row), "the table has no row {row:?}");
    }
}

#[test]
fn a_run_without_steps_left_that_is_not_final_is_given_up() {
    let mut run = planned();
    run.steps.clear();
    assert_eq!(words(&next(&run)), "give up report: no step is left, and the run is not final");
}

#[test]
fn a_restore_that_leaves_changes_behind_is_not_begun_for_ever() {
    let run = end(&begin(&reboot_skipped(), Step::Restore), Outcome::Succeeded);
    assert!(!run.changes.is_empty());
    assert_eq!(words(&next(&run)), "begin verify");
}

fn failed_phase(at: &str) -> Phase {
    Phase::Failed { step: step(at), reason: String::new() }
}

#[test]
fn packages_are_repaired_once_after_work_that_did_not_end_well() {
    let stopped = || Phase::ServicesStopped;
    let cases = [
        ("", stopped(), false),
        ("preflight failed", failed_phase("preflight"), false),
        ("upgrade succeeded", Phase::PackagesUpgraded, false),
        ("upgrade skipped", Phase::PackagesUpgraded, false),
        ("upgrade failed", failed_phase("upgrade"), true),
        ("upgrade interrupted", stopped(), true),
        ("upgrade succeeded, build-kernel failed", failed_phase("build-kernel"), true),
        ("upgrade succeeded, build-kernel interrupted", Phase::PackagesUpgraded, true),
        ("upgrade succeeded, build-kernel skipped", Phase::KernelBuilt, false),
        ("upgrade failed, restore succeeded", failed_phase("upgrade"), true),
        ("upgrade interrupted, repair succeeded", stopped(), false),
        ("upgrade interrupted, repair skipped", stopped(), false),
        ("upgrade failed, repair failed", failed_phase("upgrade"), false),
        ("upgrade interrupted, repair succeeded, upgrade interrupted", stopped(), true),
        ("upgrade interrupted, repair succeeded, upgrade succeeded", Phase::PackagesUpgraded, false),
        // An interrupted repair is tried again, but not for ever.
        ("upgrade failed, repair interrupted", failed_phase("upgrade"), true),
        ("upgrade failed, repair interrupted, repair interrupted", failed_phase("upgrade"), true),
        ("upgrade failed, repair interrupted, repair interrupted, repair interrupted", failed_phase("upgrade"), false),
        ("upgrade failed, repair interrupted, repair succeeded", failed_phase("upgrade"), false),
        // The stage check may have found a package database that the work left dirty.
        ("upgrade succeeded, build-kernel skipped, stage-check failed", failed_phase("stage-check"), true),
        ("upgrade succeeded, stage-check failed, repair failed", failed_phase("stage-check"), false),
        ("stage-check failed", failed_phase("stage-check"), false),
    ];
    for (history, phase, expected) in cases {
        assert_eq!(repair_is_due(&with_history(history, phase.clone())), expected, "{history:?} in {phase:?}");
    }
}

#[test]
fn services_are_brought_back_unless_a_boot_did_it() {
    let stopped = "stop:api.service succeeded";
    let cases = [
        ("", failed_phase("fetch"), false, false),
        ("baseline succeeded", failed_phase("baseline"), false, false),
        ("stop:api.service failed", failed_phase("stop:api.service"), false, true),
        ("stop:api.service interrupted", failed_phase("stop:api.service"), false, true),
        (stopped, failed_phase("upgrade"), false, true),
        (stopped, Phase::Aborted { by: "root".into() }, false, true),
        (stopped, Phase::Staged, false, true),
        (stopped, failed_phase("verify"), true, false),
        (stopped, Phase::Verified, false, false),
        ("stop:api.service succeeded, restore succeeded", failed_phase("verify"), false, false),
        ("stop:api.service succeeded, restore failed", failed_phase("upgrade"), false, false),
        ("stop:api.service succeeded, restore interrupted", failed_phase("upgrade"), false, true),
        (
            "stop:api.service succeeded, restore interrupted, restore interrupted, restore interrupted",
            failed_phase("upgrade"),
            false,
            false,
        ),
    ];
    for (history, phase, rebooted, expected) in cases {
        let mut run = with_history(history, phase.clone());
        run.rebooted = rebooted.then(|| at(30));
        assert_eq!(restore_is_due(&run), expected, "{history:?} in {phase:?}, rebooted: {rebooted}");
    }
}

#[test]
fn the_report_is_written_once() {
    let cases = [
        ("", true),
        ("report interrupted", true),
        ("report interrupted, report interrupted", true),
        ("report interrupted, report interrupted, report interrupted", false),
        ("report succeeded", false),
        ("report failed", false),
        ("report interrupted, report succeeded", false),
    ];
    for (history, expected) in cases {
        assert_eq!(report_is_due(&with_history(history, Phase::Verified)), expected, "{history:?}");
    }
}

#[test]
fn the_next_step_is_the_first_that_has_not_finished() {
    let up_to_the_stops = "preflight succeeded, fetch succeeded, baseline succeeded, stop:api.service succeeded, \
                           stop:mongod.service succeeded, upgrade succeeded";
    let all = "preflight succeeded, fetch succeeded, baseline succeeded, stop:api.service succeeded, \
               stop:mongod.service succeeded, upgrade succeeded, build-kernel skipped, stage-check succeeded";
    let finished = format!("{all}, reboot skipped, verify succeeded");
    let interrupted = format!("{all}, reboot interrupted");
    let cases = [
        ("", None, Some("preflight")),
        ("preflight failed", None, Some("preflight")),
        ("preflight interrupted", None, Some("preflight")),
        ("preflight succeeded, fetch skipped", None, Some("baseline")),
        (up_to_the_stops, None, Some("build-kernel")),
        (all, None, Some("reboot")),
        (all, Some(at(30)), Some("verify")),
        (interrupted.as_str(), Some(at(30)), Some("verify")),
        (finished.as_str(), None, None),
    ];
    for (history, rebooted, expected) in cases {
        let mut run = with_history(history, Phase::Planned);
        run.rebooted = rebooted;
        assert_eq!(next_planned(&run), expected.map(step), "{history:?}, rebooted: {rebooted:?}");
    }
}

/// Which steps may begin, in every situation between two steps.
#[test]
fn only_the_next_step_or_one_that_serves_an_ending_may_begin() {
    let interrupted = end(&open(Step::Upgrade), Outcome::Interrupted);
    let cases = [
        (planned(), "preflight"),
        (before(&Step::Fetch), "fetch"),
        (before(&Step::stop(api())), "stop:api.service"),
        (before(&Step::Upgrade), "upgrade restore"),
        (interrupted, "upgrade repair restore"),
        (before(&Step::BuildKernel), "build-kernel repair restore"),
        (before(&Step::Reboot), "reboot repair restore"),
        (booted(&before(&Step::Reboot), 2), "verify repair restore"),
        (before(&Step::Verify), "verify repair restore"),
        (nothing_to_do(), "report"),
        (failed(Step::Preflight), "report"),
        (failed(Step::stop(api())), "restore report"),
        (failed(Step::Upgrade), "repair restore report"),
        (aborted(&planned()), "report"),
        (verified(), "repair restore report"),
    ];
    let serving = [Step::Repair, Step::Restore, Step::Report];
    for (run, expected) in cases {
        let all: Vec<Step> = run.steps.iter().chain(&serving).cloned().collect();
        let may: Vec<String> = all.iter().filter(|step| may_begin(&run, step)).map(ToString::to_string).collect();
        assert_eq!(may.join(" "), expected, "{:?}", run.phase);
    }
}

#[test]
fn a_run_can_be_aborted_between_two_steps_before_the_point_of_no_return() {
    for step in planned().steps {
        assert_eq!(may_abort(&before(&step)), step != Step::Verify, "before {step}");
        assert!(!may_abort(&open(step.clone())), "during {step}");
    }
    assert!(may_abort(&reboot_skipped()), "nothing was asked of the host yet");
    assert!(!may_abort(&reboot_requested(&open(Step::Reboot))));
    let finals = [verified(), nothing_to_do(), failed(Step::Upgrade), aborted(&planned())];
    for run in finals {
        assert!(!may_abort(&run), "{:?}", run.phase);
        assert!(!may_abort(&closed(&run)), "{:?}, closed", run.phase);
    }
}

#[test]
fn the_grace_period_is_that_of_the_policy() {
    let run = reboot_requested(&open(Step::Reboot));
    let mut policy = POLICY;
    policy.reboot_grace = SignedDuration::ZERO;
    let observation = Observation { boot: Some(run.boot.clone()), soft_reboots: Some(0), work: WorkLook::NoWork };
    let now = run.reboot_requested.unwrap();
    assert_eq!(decide(&run, &observation, now, &policy), Decision::ConcludeNoReboot);
}
