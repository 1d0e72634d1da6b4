//! Services that do not depend on each other stop, and start, side by side, on a host in memory.

use crate::fake_host::{API, FakeUnit, Fault, MONGOD, Scenario, assert_in_service, at_every_moment, ended};
use patchday::config::RebootWhen;
use patchday::exit_code;
use patchday::model::{Phase, Step, UnitName};

const OTHERS: [&str; 2] = ["web.service", "worker.service"];

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

/// Three services beside each other, all of which use the database.
fn three() -> Scenario {
    let mut scenario = Scenario::new();
    for other in OTHERS {
        let mut service = scenario.settings.service(&unit(API)).unwrap().clone();
        service.unit = unit(other);
        scenario.settings.services.push(service);
        scenario.world().units.insert(other.into(), FakeUnit::running());
    }
    scenario
}

fn assert_all_in_service(scenario: &Scenario, context: &str) {
    assert_in_service(scenario, context);
    for other in OTHERS {
        let fake = scenario.world().units[other].clone();
        assert!(fake.active == "active" && !fake.held, "{other} is {}, held: {} {context}", fake.active, fake.held);
    }
}

fn stops(steps: &[Step]) -> Vec<String> {
    steps.iter().filter(|step| step.is_stop()).map(ToString::to_string).collect()
}

#[test]
fn what_uses_the_database_stops_in_one_step_and_the_database_in_the_next() {
    let scenario = three();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(stops(&run.steps), ["stop:api.service,web.service,worker.service", "stop:mongod.service"]);
    let proven: Vec<&str> = run.stops.iter().map(|proof| proof.unit.as_str()).collect();
    assert_eq!(proven, [API, "web.service", "worker.service", MONGOD]);
    assert!(run.stops.iter().all(|proof| proof.was_running), "{:?}", run.stops);
    assert_all_in_service(&scenario, "after the run");
}

#[test]
fn a_service_that_does_not_say_what_it_uses_stops_before_a_database_that_stands_before_it() {
    let mut scenario = three();
    for service in &mut scenario.settings.services {
        service.after.clear();
    }
    let (_, run) = scenario.run_to_end();
    assert_eq!(stops(&run.steps), ["stop:api.service,web.service,worker.service", "stop:mongod.service"]);
    scenario.settings.services.reverse();
    assert_eq!(scenario.settings.stop_waves().len(), 1, "nobody uses a server that stands behind it");
}

#[test]
fn one_that_does_not_stop_has_all_of_them_started_again() {
    let scenario = three();
    scenario.world().unit("web.service").ignores_stop = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    let Phase::Failed { step, reason } = &run.phase else { panic!("{:?}", run.phase) };
    assert!(step.is_stop() && reason.contains("web.service") && !reason.contains("worker"), "{step}: {reason}");
    // What was stopped beside it is proven, and not stopped a second time.
    assert_eq!(run.stops.len(), 2, "{:?}", run.stops);
    assert_eq!(scenario.world().effects_of("stop mongod.service"), 0);
    assert!(run.changes.is_empty(), "{:?}", run.changes);
    assert_all_in_service(&scenario, "after a stop that failed");
}

#[test]
fn one_that_does_not_start_again_keeps_none_of_the_others() {
    let mut scenario = three();
    scenario.settings.reboot.when = RebootWhen::Never;
    scenario.world().unit("web.service").fails_to_start = true;
    let (_, run) = scenario.run_to_end();
    for up in [API, "worker.service", MONGOD] {
        assert_eq!(scenario.world().unit(up).active, "active", "{up}: {:?}", run.phase);
    }
    assert!(!scenario.world().unit("web.service").held);
}

#[test]
fn whenever_the_coordinator_is_killed_all_of_them_are_back() {
    let without_reboot = || {
        let mut scenario = three();
        scenario.settings.reboot.when = RebootWhen::Never;
        scenario
    };
    at_every_moment(Fault::Kill, without_reboot, |scenario, run, code, context| {
        assert_eq!(code, exit_code::DONE, "{context}: {:?}", run.phase);
        assert_all_in_service(scenario, context);
        for stopped in [API, OTHERS[0], OTHERS[1], MONGOD] {
            assert_eq!(scenario.world().effects_of(&format!("stop {stopped}")), 1, "{stopped} {context}");
        }
    });
}
