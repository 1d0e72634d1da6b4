//! Between the end of our own work on packages and the reboot nobody begins to work on them; and work that may safely be ended
//! has a time, and obeys who wants the run to end.

use crate::fake_host::{API, Fault, Scenario, World, assert_in_service, at_every_moment, ended};
use jiff::SignedDuration;
use patchday::config::StopOrder;
use patchday::exit_code;
use patchday::model::{Outcome, Phase, Step};

#[test]
fn the_locks_are_ours_when_the_reboot_is_asked_for() {
    for order in [StopOrder::StopFirst, StopOrder::LateStop] {
        let mut scenario = Scenario::new();
        scenario.settings.upgrade.order = order;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
        let world = scenario.world();
        let first = |moment: &str| world.first[moment];
        // Behind our own work, while it has them: there is no moment in which they are free.
        assert!(first("packages locked") < first("reboot"));
        assert_eq!(world.moments.get("unlock packages"), None, "given up before the reboot");
    }
}

#[test]
fn without_a_reboot_they_are_given_up_or_not_taken() {
    let mut scenario = Scenario::new();
    scenario.options.no_reboot = true;
    let (_, run) = scenario.run_to_end();
    assert!(!scenario.world().moments.contains_key("lock packages") && run.changes.is_empty());

    for spoil in [
        (|world| world.reboot_does_nothing = true) as fn(&mut World),
        |world| world.reboot_is_refused = true,
        |world| world.foreign_lock = true,
        |world| world.failing_work = Some("upgrade"),
    ] {
        let scenario = Scenario::new();
        spoil(&mut scenario.world());
        let (end, run) = scenario.run_to_end();
        assert_ne!(ended(&end), exit_code::DONE, "{:?}", run.phase);
        assert_in_service(&scenario, "after no reboot came");
    }
}

/// An admin's apt that waits for the lock has it when our work ends.
fn somebody_elses(scenario: &Scenario, seconds: i64, dirty: bool) {
    let change: fn(&mut World) = match (seconds, dirty) {
        (30, false) => |world| world.locked_until = Some(world.now + SignedDuration::from_secs(30)),
        (_, false) => |world| world.locked_until = Some(world.now + SignedDuration::from_hours(2)),
        (_, true) => |world| {
            world.locked_until = Some(world.now + SignedDuration::from_secs(10));
            world.dpkg_broken = vec!["iF lab".into()];
        },
    };
    scenario.world().then = Some(("upgrade", change));
}

#[test]
fn somebody_elses_dpkg_is_waited_for_and_never_rebooted_over() {
    let scenario = Scenario::new();
    somebody_elses(&scenario, 30, false);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let look = run.last_record(&Step::StageCheck).unwrap();
    assert!(look.ended.duration_since(look.attempt.began) >= SignedDuration::from_secs(25));

    // Users do not wait for somebody else's work: a minute, and they have their services back.
    let scenario = Scenario::new();
    somebody_elses(&scenario, 7200, false);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED);
    assert!(
        matches!(&run.phase, Phase::Failed { step: Step::StageCheck, reason } if reason.contains("4711 (apt-get)"))
    );
    assert_eq!(scenario.world().effects_of("reboot"), 0);
    assert_in_service(&scenario, "after somebody else's work took too long");

    let scenario = Scenario::new();
    somebody_elses(&scenario, 10, true);
    let (end, _) = scenario.run_to_end();
    assert_eq!((ended(&end), scenario.world().effects_of("reboot")), (exit_code::STEP_FAILED, 0));
}

#[test]
fn a_crash_at_any_moment_leaves_no_lock_behind() {
    for fault in [Fault::Kill, Fault::PowerCut] {
        let scenario = || {
            let scenario = Scenario::new();
            scenario.world().reboot_does_nothing = true;
            scenario
        };
        // That none is left is part of what every host must be like afterwards.
        at_every_moment(fault, scenario, |_, run, _, context| assert!(run.changes.is_empty(), "{context}"));
    }
}

#[test]
fn work_that_hangs_is_ended_when_its_time_is_over() {
    for (hangs, step, code) in
        [("refresh", Step::Fetch, exit_code::UNTOUCHED), ("download", Step::Fetch, exit_code::UNTOUCHED)]
    {
        let mut scenario = Scenario::new();
        scenario.settings.upgrade.fetch_timeout = SignedDuration::from_mins(5);
        scenario.world().hanging_work = Some(hangs);
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), code, "{hangs}: {:?}", run.phase);
        let Phase::Failed { step: failed, reason } = &run.phase else { panic!("{hangs}: {:?}", run.phase) };
        assert_eq!(*failed, step);
        assert!(reason.contains("took longer than 5 min ([upgrade] fetch-timeout)"), "{reason}");
        let took = run.last_record(&step).map(|record| record.ended.duration_since(record.attempt.began)).unwrap();
        assert!(took < SignedDuration::from_mins(6), "{took:#}");
        assert_eq!(scenario.world().effects_of(&format!("{hangs} cut short")), 1);
        assert_in_service(&scenario, hangs);
    }
}

#[test]
fn whoever_wants_the_run_to_end_is_obeyed_by_work_that_may_be_ended() {
    let mut scenario = Scenario::new();
    scenario.world().hanging_work = Some("download");
    scenario.abort_at = Some(Step::Fetch);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::UNTOUCHED, "{:?}", run.phase);
    assert!(matches!(run.phase, Phase::Aborted { .. }), "{:?}", run.phase);
    let fetch = run.last_record(&Step::Fetch).unwrap();
    assert_eq!(fetch.outcome, Outcome::Interrupted);
    assert!(fetch.ended.duration_since(fetch.attempt.began) < SignedDuration::from_secs(10));
    // dpkg is not: it comes to its end first.
    let mut scenario = Scenario::new();
    scenario.abort_at = Some(Step::Upgrade);
    let (_, run) = scenario.run_to_end();
    assert_eq!(run.last_record(&Step::Upgrade).unwrap().outcome, Outcome::Succeeded);
    assert_eq!(scenario.world().effects_of("upgrade cut short"), 0);
    assert_eq!(scenario.world().unit(API).active, "active");
}
