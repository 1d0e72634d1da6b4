//! Whole runs on a host in memory that meet with rivals, a systemd that does not answer, and a reboot that does not come.

use crate::fake_host::{API, Fault, IDLE_TIMER, MONGOD, Scenario, TIMER, ended};
use jiff::SignedDuration;
use patchday::config::RebootWhen;
use patchday::events::EventKind;
use patchday::exit_code;
use patchday::model::{Change, Phase, Step};

#[test]
fn a_shutdown_that_hangs_is_named_and_taken_back() {
    let scenario = Scenario::new();
    scenario.world().reboot_hangs = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_REBOOTED);
    let Phase::Failed { step: Step::Reboot, reason } = &run.phase else { panic!("{:?}", run.phase) };
    for words in ["still up after 5 min", "waits for the stop of stuck.service", "the shutdown was taken back"] {
        assert!(reason.contains(words), "{reason}");
    }
    assert!(!reason.contains("reboot.target"), "what waits itself is not to blame: {reason}");
    let mut world = scenario.world();
    assert_eq!((world.effects_of("shutdown taken back"), world.effects_of("reboot forced")), (1, 0));
    for unit in [API, MONGOD] {
        assert!(world.unit(unit).active == "active" && !world.unit(unit).held, "{unit}");
    }
}

#[test]
fn a_reboot_that_logind_refuses_leaves_nobody_waiting_for_it() {
    let scenario = Scenario::new();
    scenario.world().reboot_is_refused = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_REBOOTED);
    let Phase::Failed { step: Step::Reboot, reason } = &run.phase else { panic!("{:?}", run.phase) };
    assert!(reason.contains("a shutdown is inhibited"), "{reason}");
    let mut world = scenario.world();
    assert!(!world.watches_the_reboot);
    for unit in [API, MONGOD] {
        assert!(world.unit(unit).active == "active" && !world.unit(unit).held, "{unit}");
    }
}

#[test]
fn a_shutdown_that_hangs_is_forced_where_that_is_wanted() {
    let mut scenario = Scenario::new();
    scenario.settings.reboot.force_after = Some(SignedDuration::from_mins(8));
    scenario.world().reboot_hangs = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let world = scenario.world();
    assert_eq!((world.effects_of("shutdown taken back"), world.effects_of("reboot forced")), (0, 1));
    assert_eq!(run.reboots, 1);
    let waited = run.reboot_forced.unwrap().duration_since(run.reboot_requested.unwrap());
    assert_eq!(waited.as_mins(), 8);
}

#[test]
fn locks_of_others_are_waited_for_while_the_services_run_and_their_holder_is_named() {
    for (held_for, code) in [(30, exit_code::DONE), (7200, exit_code::UNTOUCHED)] {
        let scenario = Scenario::new();
        let until = scenario.world().now + SignedDuration::from_secs(held_for);
        scenario.world().locked_until = Some(until);
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), code, "{:?}", run.phase);
        let holder = "process 4711 (apt-get) of apt-daily-upgrade.service holds /var/lib/dpkg/lock-frontend";
        let told = scenario.state.events(&run.id).read_new().unwrap();
        let told = told.iter().filter(
            |event| matches!(&event.kind, EventKind::StepProgressed { message, .. } if message.contains(holder)),
        );
        assert_eq!(told.count(), 1, "told once, not with every second");
        let mut world = scenario.world();
        assert_eq!(world.effects_of(&format!("stop {API}")), usize::from(code == exit_code::DONE));
        assert_eq!(world.unit(TIMER).active, "active");
        if code == exit_code::UNTOUCHED {
            let Phase::Failed { step: Step::Fetch, reason } = &run.phase else { panic!("{:?}", run.phase) };
            assert!(reason.contains("not free after 1 min") && reason.contains(holder), "{reason}");
        }
    }
}

#[test]
fn a_hold_that_systemd_does_not_let_go_is_released_by_another_try() {
    // Within the step, and then by another attempt at it.
    for (unanswered, attempts) in [(1, 1), (3, 1), (9, 2)] {
        let scenario = Scenario::new();
        scenario.world().failing_work = Some("upgrade");
        scenario.world().unanswered_releases = unanswered;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::STEP_FAILED);
        assert!(run.changes.is_empty(), "{unanswered}: {:?}", run.changes);
        assert_eq!(run.attempts_of(&Step::Restore), attempts, "{unanswered}");
        for unit in [API, MONGOD] {
            let mut world = scenario.world();
            assert!(world.unit(unit).active == "active" && !world.unit(unit).held, "{unit} after {unanswered}");
        }
    }
}

#[test]
fn what_a_run_leaves_behind_is_told_and_undone_by_a_later_resume() {
    for rebooted in [false, true] {
        let scenario = Scenario::new();
        scenario.world().failing_work = Some("upgrade");
        scenario.world().unanswered_releases = u32::MAX;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::STEP_FAILED);
        assert_eq!(run.attempts_of(&Step::Restore), 3, "it does not try for ever");
        let report = || scenario.state.read_file(&run.id, "report.txt").unwrap();
        assert!(run.left_something() && report().contains("not undone: "), "{}", report());

        scenario.world().unanswered_releases = 0;
        if rebooted {
            scenario.world().boot_anew();
        }
        let starts = scenario.world().effects_of(&format!("start {MONGOD}"));
        let run = scenario.undo_leftovers(&run.id);
        assert!(run.closed.is_some() && run.changes.is_empty(), "{:?}", run.changes);
        assert!(!report().contains("not undone: "), "{}", report());
        let mut world = scenario.world();
        for unit in [API, MONGOD] {
            assert!(world.unit(unit).active == "active" && !world.unit(unit).held, "{unit}");
        }
        let started = world.effects_of(&format!("start {MONGOD}")) - starts;
        assert_eq!(started, usize::from(!rebooted), "after a boot nothing is left to start");
        assert_eq!(run.unplanned_reboots, 0, "a boot after the run is none of it");
    }
}

#[test]
fn timers_of_other_patch_tools_are_paused_while_services_are_down() {
    for (fails, pauses, starts) in [(None, 1, 0), (Some("upgrade"), 1, 1), (Some("download"), 0, 0)] {
        let scenario = Scenario::new();
        scenario.world().failing_work = fails;
        let (_, run) = scenario.run_to_end();
        let mut world = scenario.world();
        assert_eq!(world.effects_of(&format!("stop {TIMER}")), pauses, "{fails:?}: {:?}", world.effects);
        // After a reboot it is the boot that starts it.
        assert_eq!(world.effects_of(&format!("start {TIMER}")), starts, "{fails:?}: {:?}", world.effects);
        assert_eq!(world.effects_of(&format!("start {IDLE_TIMER}")), 0, "it was not active before");
        assert_eq!((world.unit(TIMER).active, world.unit(IDLE_TIMER).active), ("active", "inactive"));
        assert!(run.changes.is_empty(), "{:?}", run.changes);
        if pauses > 0 {
            let baseline = run.baseline.unwrap();
            assert!(baseline.units.active.iter().any(|unit| unit.as_str() == TIMER), "the baseline misses {TIMER}");
            let position = |effect: String| world.effects.iter().position(|other| *other == effect).unwrap();
            assert!(position(format!("stop {TIMER}")) < position(format!("stop {API}")));
        }
    }
}

#[test]
fn a_timer_that_cannot_be_started_again_is_missed_and_told() {
    let mut scenario = Scenario::new();
    scenario.settings.reboot.when = RebootWhen::Never;
    scenario.world().unit(TIMER).fails_to_start = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_VERIFIED, "{:?}", run.phase);
    assert_eq!(run.changes, [Change::Paused(TIMER.parse().unwrap())]);
    let report = scenario.state.read_file(&run.id, "report.txt").unwrap();
    assert!(report.contains(&format!("not undone: {TIMER} (paused)")), "{report}");
    assert!([API, MONGOD].iter().all(|unit| scenario.world().unit(unit).active == "active"));
}

/// logind or the bus is killed right when the reboot is asked for.
#[test]
fn a_reboot_whose_request_is_lost_is_asked_for_again_within_seconds() {
    for (lost, is_gone, by_systemd) in [(1, false, 0), (2, false, 1), (9, false, 1), (0, true, 1)] {
        let scenario = Scenario::new();
        scenario.world().lost_requests = lost;
        scenario.world().logind_is_gone = is_gone;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{lost}: {:?}", run.phase);
        assert_eq!(scenario.world().effects_of("reboot begun by systemd"), by_systemd, "{lost}");
        let waited = run.rebooted.unwrap().duration_since(run.reboot_requested.unwrap());
        assert!(waited < SignedDuration::from_secs(45), "{lost}: {waited:#}");
        assert_eq!(run.reboots, 1, "{lost}");
    }
    // A shutdown that hangs is under way: it is not asked for over and over.
    let scenario = Scenario::new();
    scenario.world().reboot_hangs = true;
    scenario.run_to_end();
    assert_eq!(scenario.world().effects_of("reboot begun by systemd"), 0);
}

/// The disk was full, or the coordinator was killed, and hours later somebody goes on.
#[test]
fn a_run_that_is_gone_on_with_before_the_first_stop_asks_again() {
    let mut refused = 0;
    for point in 1_u32.. {
        let scenario = Scenario::new().crash_at(point, Fault::Kill);
        // Who goes on finds a service that no boot would bring back.
        scenario.world().disabled_at_crash = Some(API);
        let (end, run) = scenario.run_to_end();
        if !scenario.has_crashed() || run.attempts_of(&Step::stop(API.parse().unwrap())) > 0 {
            break;
        }
        refused += 1;
        assert_eq!(ended(&end), exit_code::UNTOUCHED, "{point}: {:?}", run.phase);
        assert!(matches!(run.phase, Phase::Failed { step: Step::Preflight, .. }), "{point}: {:?}", run.phase);
        assert_eq!(scenario.world().effects_of(&format!("stop {API}")), 0, "{point}");
    }
    assert!(refused > 30, "only {refused} moments came before the first stop");
}

#[test]
fn who_was_killed_is_no_longer_listed_as_failed_when_the_run_is_over() {
    let scenario = Scenario::new().crash_at(60, Fault::Kill);
    scenario.world().killed = vec!["patchday-resume.service"];
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert!(scenario.has_crashed() && scenario.world().killed.is_empty());
    // A run that nobody took over leaves what is not its own.
    let scenario = Scenario::new();
    scenario.world().killed = vec!["patchday-resume.service"];
    scenario.world().pending.clear();
    scenario.run_to_end();
    assert_eq!(scenario.world().killed.len(), 1);
}
