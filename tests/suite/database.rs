//! The stop of a database on a host in memory: what is done about clients and operations that stay, under every policy.

use crate::fake_host::{MONGOD, Scenario};
use jiff::SignedDuration;
use patchday::config::{LeftoverClients, LongOperations};
use patchday::coordinator::RunEnd;
use patchday::exit_code;
use patchday::model::{ClientConnection, Phase, Run, RunningOperation, StopProof};

fn client() -> ClientConnection {
    ClientConnection {
        client: "127.0.0.1:51234".into(),
        app_name: "leaky-api".into(),
        user: Some("api@admin".into()),
        ..ClientConnection::default()
    }
}

fn operation(is_index_build: bool) -> RunningOperation {
    RunningOperation {
        id: 42,
        who: "nightly-report (10.0.0.7:1)".into(),
        what: "aggregate shop.orders".into(),
        running: SignedDuration::from_mins(10),
        is_index_build,
    }
}

fn with_policy(long: LongOperations, leftover: LeftoverClients) -> Scenario {
    let mut scenario = Scenario::new();
    let service = scenario.settings.services.iter_mut().find(|service| service.unit.as_str() == MONGOD).unwrap();
    service.mongodb.long_operations = long;
    service.mongodb.leftover_clients = leftover;
    scenario
}

fn proof(run: &Run) -> &StopProof {
    run.stops.iter().find(|proof| proof.unit.as_str() == MONGOD).unwrap()
}

fn assert_back_in_service(scenario: &Scenario, (end, run): (RunEnd, Run), why: &str) {
    assert!(matches!(end, RunEnd::Closed { exit_code: exit_code::STEP_FAILED }), "{end:?}");
    let Phase::Failed { reason, .. } = &run.phase else { panic!("{:?}", run.phase) };
    assert!(reason.contains(why), "{reason}");
    let mut world = scenario.world();
    assert_eq!(world.effects_of("upgrade began"), 0);
    assert_eq!((world.unit(MONGOD).active, world.unit(MONGOD).held), ("active", false));
}

#[test]
fn clients_that_stay_are_named_and_stop_nothing() {
    let scenario = with_policy(LongOperations::Wait, LeftoverClients::Report);
    scenario.world().clients = vec![client()];
    let (end, run) = scenario.run_to_end();
    assert!(matches!(end, RunEnd::Closed { exit_code: exit_code::DONE }), "{end:?}");
    assert_eq!(proof(&run).clients_left, [client()]);
    assert!(proof(&run).took >= SignedDuration::from_secs(5), "the drain time was not waited for");
}

#[test]
fn clients_that_stay_end_the_run_where_that_is_wanted() {
    let scenario = with_policy(LongOperations::Wait, LeftoverClients::Abort);
    scenario.world().clients = vec![client()];
    let end = scenario.run_to_end();
    assert_back_in_service(&scenario, end, "leaky-api as api@admin from 127.0.0.1: 1");
}

#[test]
fn a_long_operation_is_ended_only_where_that_is_wanted() {
    let scenario = with_policy(LongOperations::Kill, LeftoverClients::Report);
    scenario.world().operations = vec![operation(false)];
    let (end, _) = scenario.run_to_end();
    assert!(matches!(end, RunEnd::Closed { exit_code: exit_code::DONE }), "{end:?}");
    assert_eq!(scenario.world().effects_of("kill operation 42"), 1);

    for (policy, why) in [(LongOperations::Wait, "still at work after 10s"), (LongOperations::Abort, "is abort")] {
        let scenario = with_policy(policy, LeftoverClients::Report);
        scenario.world().operations = vec![operation(false)];
        let end = scenario.run_to_end();
        assert_back_in_service(&scenario, end, why);
        assert_eq!(scenario.world().effects_of("kill operation 42"), 0);
    }
}

#[test]
fn an_index_build_is_never_ended() {
    let scenario = with_policy(LongOperations::Kill, LeftoverClients::Kill);
    scenario.world().operations = vec![operation(true)];
    let (end, _) = scenario.run_to_end();
    assert!(matches!(end, RunEnd::Closed { exit_code: exit_code::DONE }), "{end:?}");
    assert_eq!(scenario.world().effects_of("kill operation 42"), 0);
}

#[test]
fn a_server_that_refuses_is_ended_by_its_unit() {
    let scenario = Scenario::new();
    scenario.world().shutdown_is_refused = true;
    let (end, run) = scenario.run_to_end();
    assert!(matches!(end, RunEnd::Closed { exit_code: exit_code::DONE }), "{end:?}");
    assert!(proof(&run).ended_by_signal);
    assert_eq!(proof(&run).compatibility.as_deref(), Some("6.0"));
}
