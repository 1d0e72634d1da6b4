//! Everything comes before the stop, on a host in memory: services run, protected, until the host is ready for its reboot,
//! and no moment at which the world may end leaves one down, held or protected.

use crate::fake_host::{API, Fault, MONGOD, Scenario, assert_in_service, at_every_moment, ended};
use patchday::config::{RebootWhen, StopOrder};
use patchday::exit_code;
use patchday::model::{Outcome, Phase, Step};

fn late() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.upgrade.order = StopOrder::LateStop;
    scenario
}

#[test]
fn services_stop_when_all_else_is_done() {
    let scenario = late();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let at = |step: &Step| run.history.iter().position(|record| &record.attempt.step == step).unwrap();
    let stops = [API, MONGOD].map(|unit| at(&Step::stop(unit.parse().unwrap())));
    assert!(at(&Step::StageCheck) < at(&Step::Announce) && at(&Step::Announce) < stops[0]);
    assert!(stops[0] < stops[1] && stops[1] < at(&Step::Reboot));
    assert_in_service(&scenario, "after the run");
    // What is done before is no downtime, and it cannot be shortened by doing it before.
    let estimate = run.estimate.clone().unwrap_or_default();
    assert!(estimate.steps.is_empty() || estimate.stops_late());
}

/// While services run, their users come first; once they are down, users wait for the work.
#[test]
fn work_gets_what_is_left_over_until_services_are_down() {
    let weights = |scenario: Scenario| {
        scenario.run_to_end();
        let world = scenario.world();
        let mut weights = world.weights.clone();
        weights.dedup();
        weights
    };
    assert_eq!(weights(late()), [Some(0)]);
    assert_eq!(weights(Scenario::new()), [Some(0), Some(20)]);
    let mut configured = Scenario::new();
    configured.settings.limits.cpu_weight = 7;
    assert_eq!(weights(configured), [Some(7)], "what was wished for stays");
}

#[test]
fn an_upgrade_that_fails_stops_nothing_and_lets_go() {
    let scenario = late();
    scenario.world().failing_work = Some("upgrade");
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    let world = scenario.world();
    assert_eq!((world.effects_of(&format!("stop {API}")), world.effects_of(&format!("start {API}"))), (0, 0));
    drop(world);
    assert_in_service(&scenario, "after a failed upgrade");
    assert!(run.changes.is_empty(), "{:?}", run.changes);
}

#[test]
fn without_a_reboot_the_services_are_started_anew() {
    let mut scenario = late();
    scenario.settings.reboot.when = RebootWhen::Never;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(scenario.world().effects_of(&format!("stop {MONGOD}")), 1);
    assert_in_service(&scenario, "without a reboot");
}

#[test]
fn a_service_that_does_not_stop_ends_the_run_in_service() {
    let scenario = late();
    scenario.world().unit(API).ignores_stop = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    assert!(matches!(&run.phase, Phase::Failed { step: Step::Stop(_), .. }), "{:?}", run.phase);
    assert_eq!(run.reboots, 0);
    assert_in_service(&scenario, "after a stop that failed");
}

#[test]
fn whenever_the_world_ends_services_run_and_nothing_protects_them() {
    for fault in [Fault::Kill, Fault::PowerCut] {
        let mut cut_off = 0;
        at_every_moment(fault, late, |scenario, run, code, context| {
            assert!(run.changes.is_empty(), "{:?} {context}", run.changes);
            if fault == Fault::Kill {
                assert_eq!(code, exit_code::DONE, "{context}: {:?}", run.phase);
                assert_eq!(scenario.world().effects_of("upgrade began"), 1, "{context}");
            }
            let upgrade = run.last_record(&Step::Upgrade);
            cut_off += usize::from(upgrade.is_some_and(|record| record.outcome == Outcome::Interrupted));
        });
        assert!(fault == Fault::Kill || cut_off > 0, "no {fault:?} hit the upgrade");
    }
}
