//! Whole runs on a host in memory that meet with rivals, a systemd that does not answer, and a reboot that does not come.

use crate::fake_host::{API, IDLE_TIMER, MONGOD, Scenario, TIMER, ended};
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
    for words in ["still up after 5m", "waits for the stop of stuck.service", "the shutdown was taken back"] {
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
            assert!(reason.contains("not free after 1m") && reason.contains(holder), "{reason}");
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
