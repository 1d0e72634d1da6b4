//! Units unlike the lab's, on a host in memory: what systemd calls active is no proof that anything runs.

use crate::fake_host::{API, Fault, MONGOD, Scenario, assert_in_service, at_every_moment, ended};
use patchday::config::RebootWhen;
use patchday::exit_code;
use patchday::model::Step;

/// An init script, and a job that started the server, are active until they are stopped, whatever becomes of the server.
const REMAINING: [&str; 2] = ["forking", "oneshot"];

fn remaining(service_type: &'static str, unit: &str) -> Scenario {
    let scenario = Scenario::new();
    {
        let mut world = scenario.world();
        let fake = world.unit(unit);
        (fake.remains, fake.service_type) = (true, service_type);
    }
    scenario
}

fn assert_all_runs(scenario: &Scenario, context: &str) {
    assert_in_service(scenario, context);
    for unit in [API, MONGOD] {
        assert!(scenario.world().unit(unit).runs(), "{unit} is active, and does not run {context}");
    }
}

#[test]
fn a_unit_that_remains_without_its_server_is_stopped_by_its_job_and_started_again() {
    for service_type in REMAINING {
        for (way, code) in [
            ("reboot", exit_code::DONE),
            ("no reboot", exit_code::DONE),
            ("failed upgrade", exit_code::STEP_FAILED),
            ("abort", exit_code::STEP_FAILED),
        ] {
            let mut scenario = remaining(service_type, MONGOD);
            match way {
                "no reboot" => scenario.settings.reboot.when = RebootWhen::Never,
                "failed upgrade" => scenario.world().failing_work = Some("upgrade"),
                "abort" => scenario.abort_at = Some(Step::Stop(MONGOD.parse().unwrap())),
                _ => {}
            }
            let (end, run) = scenario.run_to_end();
            let context = format!("{service_type}, {way}");
            assert_eq!(ended(&end), code, "{context}: {:?}", run.phase);
            assert_all_runs(&scenario, &context);
            let world = scenario.world();
            assert_eq!(world.effects_of(&format!("stop {MONGOD}")), 1, "{context}: {:?}", world.effects);
            // The stop job comes after the server's own end, and before the start.
            assert_eq!(world.effects_of(&format!("reset {MONGOD}")), 1, "{context}: {:?}", world.effects);
            let proof = run.stops.iter().find(|proof| proof.unit.as_str() == MONGOD).unwrap();
            assert_eq!(proof.processes_left, 0, "{context}");
        }
    }
}

/// Whenever the coordinator is killed: what it left active and empty is started anew, not taken for what runs.
#[test]
fn no_kill_leaves_a_unit_active_and_empty() {
    for service_type in REMAINING {
        let scenario = || {
            let mut scenario = remaining(service_type, MONGOD);
            scenario.settings.reboot.when = RebootWhen::Never;
            scenario
        };
        at_every_moment(Fault::Kill, scenario, |scenario, _, code, context| {
            assert_eq!(code, exit_code::DONE, "{service_type} {context}");
            assert_all_runs(scenario, context);
        });
    }
}

/// The server ended, and the run ended before its unit's stop job: a start alone would do nothing.
#[test]
fn a_service_that_is_active_and_empty_is_reset_when_services_are_brought_back() {
    for service_type in REMAINING {
        let scenario = remaining(service_type, API);
        scenario.world().failing_work = Some("upgrade");
        scenario.world().unit(API).ignores_stop = true;
        scenario.world().unit(API).hollows_on_stop = true;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
        assert_all_runs(&scenario, service_type);
        assert!(run.changes.is_empty(), "{:?}", run.changes);
    }
}
