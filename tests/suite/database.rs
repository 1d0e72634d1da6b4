//! The stop of a database on a host in memory: what is done about clients and operations that stay, under every policy.

use crate::fake_host::{MONGOD, Scenario, World};
use jiff::SignedDuration;
use patchday::config::{LeftoverClients, LongOperations};
use patchday::coordinator::RunEnd;
use patchday::exit_code;
use patchday::model::{ClientConnection, DatabaseStopEvidence, Phase, Run, RunningOperation, StopProof, UnitProcess};

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

    for (policy, why) in [(LongOperations::Wait, "still at work after 10 s"), (LongOperations::Abort, "is abort")] {
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

fn process(pid: u32, name: &str, own_pid: u32) -> UnitProcess {
    UnitProcess { pid, name: name.into(), own_pid }
}

/// Hosts that run their database in ways of their own: whoever stands between systemd and the server, its own end is
/// what counts, and what cannot be known is told before anything is stopped.
#[test]
fn whatever_starts_the_server_its_own_end_counts() {
    type Change = fn(&mut World);
    let below_a_shell = |world: &mut World| {
        world.database_processes = vec![process(7, "start-mongod", 7), process(8, "mongod", 8)];
        (world.database_facts.pid, world.database_facts.db_path) = (Some(8), Some("/var/lib/mongodb".into()));
    };
    let cases: [(&str, u8, &str, Change); 7] = [
        ("below a shell", exit_code::DONE, "", below_a_shell),
        ("below a shell that SIGTERM ends", exit_code::DONE, "", |world| {
            world.database_processes = vec![process(7, "sh", 7), process(8, "mongod", 8)];
            (world.database_facts.pid, world.database_facts.db_path) = (Some(8), Some("/var/lib/mongodb".into()));
            world.database_ended = ("success", None);
        }),
        ("in a PID namespace", exit_code::DONE, "", |world| {
            world.database_processes = vec![process(7, "unshare", 7), process(8, "mongod", 1)];
            (world.database_facts.pid, world.database_facts.db_path) = (Some(1), Some("/srv/db".into()));
        }),
        ("with an ExecStop= that fails", exit_code::DONE, "", |world| world.database_ended = ("exit-code", Some(0))),
        ("that fails", exit_code::STEP_FAILED, "exit status 14", |world| {
            world.database_ended = ("exit-code", Some(14));
        }),
        ("below a shell that hides a crash", exit_code::STEP_FAILED, "its mongod.lock still holds 4 bytes", |world| {
            world.database_processes = vec![process(7, "sh", 7), process(8, "mongod", 8)];
            (world.database_facts.pid, world.database_facts.db_path) = (Some(8), Some("/var/lib/mongodb".into()));
            world.stop_evidence = DatabaseStopEvidence { lock_file_bytes: Some(4), ..DatabaseStopEvidence::default() };
        }),
        ("of another unit", exit_code::UNTOUCHED, "", |world| world.database_facts.pid = Some(99)),
    ];
    for (case, expected, why, change) in cases {
        let scenario = Scenario::new();
        change(&mut scenario.world());
        let (end, run) = scenario.run_to_end();
        assert!(
            matches!(end, RunEnd::Closed { exit_code } if exit_code == expected),
            "{case}: {end:?}, {:?}",
            run.phase
        );
        if let Phase::Failed { reason, .. } = &run.phase {
            assert!(reason.contains(why), "{case}: {reason}");
        }
        let untouched = scenario.world().effects.iter().all(|effect| !effect.starts_with("stop "));
        assert_eq!(untouched, expected == exit_code::UNTOUCHED, "{case}: {:?}", scenario.world().effects);
    }
}

/// A unit that only steers a container elsewhere: somebody says that the right server answers.
#[test]
fn a_process_that_nobody_can_place_is_trusted_only_where_somebody_says_so() {
    for (allowed, expected) in [(false, exit_code::UNTOUCHED), (true, exit_code::DONE)] {
        let mut scenario = Scenario::new();
        if allowed {
            scenario.settings.allowed_checks = vec!["database-process".into()];
        }
        scenario.world().database_processes = vec![process(7, "docker", 7)];
        scenario.world().database_facts.pid = Some(1);
        scenario.world().stop_evidence = DatabaseStopEvidence::default();
        let (end, run) = scenario.run_to_end();
        assert!(matches!(end, RunEnd::Closed { exit_code } if exit_code == expected), "{end:?}, {:?}", run.phase);
    }
}
