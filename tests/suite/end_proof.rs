//! The stop of a server that must prove its clean end, on a host in memory: what a proof, none, and another one lead to.

use crate::fake_host::{API, Fault, Scenario, World, assert_in_service, at_every_moment};
use patchday::coordinator::RunEnd;
use patchday::exit_code;
use patchday::model::{EndEvidence, InnodbEnd, Phase, RedisEnd, Run, StopProof, WantedProof};

fn scenario() -> Scenario {
    let mut scenario = Scenario::new();
    let service = scenario.settings.services.iter_mut().find(|service| service.unit.as_str() == API).unwrap();
    service.stop_proof = Some(WantedProof::Redis);
    scenario
}

fn proof(run: &Run) -> &StopProof {
    run.stops.iter().find(|proof| proof.unit.as_str() == API).unwrap()
}

fn evidence(end: RedisEnd) -> EndEvidence {
    EndEvidence::Redis { log: "the journal".into(), end }
}

fn position(world: &World, effect: &str) -> Option<usize> {
    world.effects.iter().position(|one| one == effect)
}

#[test]
fn the_proof_is_taken_when_the_server_is_down_and_before_packages_are_touched() {
    let scenario = scenario();
    let (end, run) = scenario.run_to_end();
    assert!(matches!(end, RunEnd::Closed { exit_code: exit_code::DONE }), "{end:?}, {:?}", run.phase);
    assert_eq!(proof(&run).end_evidence, Some(evidence(RedisEnd::Saved)));
    let world = scenario.world();
    let stopped = position(&world, &format!("stop {API}"));
    assert!(stopped < position(&world, "proof taken"), "{:?}", world.effects);
    assert!(position(&world, "proof taken") < position(&world, "upgrade began"), "{:?}", world.effects);
    assert_eq!(world.effects_of("proof taken"), 1);
}

#[test]
fn without_a_proof_nothing_is_upgraded_and_the_services_come_back() {
    let innodb = |innodb| EndEvidence::Mariadb { log: "/var/log/mysql/error.log".into(), innodb };
    for (evidence, why) in [
        (evidence(RedisEnd::Untold), "the journal does not say that it was ready to exit"),
        (evidence(RedisEnd::NotSaved), "could not save"),
        (innodb(InnodbEnd::ToRecover), "recovers at its next start"),
        (EndEvidence::Command { program: "/bin/proof".into(), exit_status: Some(1), said: None }, "status 1"),
    ] {
        let scenario = scenario();
        scenario.world().end_evidence = evidence;
        let (end, run) = scenario.run_to_end();
        assert!(matches!(end, RunEnd::Closed { exit_code: exit_code::STEP_FAILED }), "{why}: {end:?}");
        let Phase::Failed { reason, .. } = &run.phase else { panic!("{:?}", run.phase) };
        assert!(reason.contains(&format!("{API} did not end cleanly: ")) && reason.contains(why), "{reason}");
        assert_eq!(scenario.world().effects_of("upgrade began"), 0, "{why}");
        assert_in_service(&scenario, why);
    }
}

#[test]
fn what_could_not_be_proven_is_known_before_anything_stops_and_may_be_allowed() {
    for (allowed, expected) in [(false, exit_code::UNTOUCHED), (true, exit_code::DONE)] {
        let mut scenario = scenario();
        if allowed {
            scenario.settings.allowed_checks = vec!["stop-proof".into()];
        }
        scenario.world().proof_is_missing = Some("its log is elsewhere");
        let (end, run) = scenario.run_to_end();
        assert!(matches!(end, RunEnd::Closed { exit_code } if exit_code == expected), "{end:?}, {:?}", run.phase);
        let check = run.checks.iter().find(|check| check.label == "stop-proof").unwrap();
        let said = &check.finding.as_ref().unwrap().evidence;
        assert!(said.contains(&format!("{API}: its log is elsewhere")), "{said:?}");
        let world = scenario.world();
        assert_eq!(world.effects_of("proof taken"), 0);
        assert_eq!(world.effects_of(&format!("stop {API}")), usize::from(allowed));
        assert!(run.stops.iter().all(|proof| proof.end_evidence.is_none()));
    }
}

#[test]
fn of_a_service_that_was_down_no_proof_is_wanted() {
    let scenario = scenario();
    scenario.world().unit(API).active = "inactive";
    let (_, run) = scenario.run_to_end();
    assert_eq!((proof(&run).was_running, &proof(&run).end_evidence), (false, &None));
    assert_eq!(scenario.world().effects_of("proof taken"), 0);
}

/// A coordinator that is killed between the stop and the proof finds a unit that is down, and takes it all the same.
#[test]
fn a_kill_at_any_moment_loses_no_proof() {
    let look = |scenario: &Scenario, run: &Run, _: u8, context: &str| {
        assert_eq!(proof(run).end_evidence, Some(evidence(RedisEnd::Saved)), "{context}");
        assert!(scenario.world().effects_of("proof taken") >= 1, "{context}");
    };
    at_every_moment(Fault::Kill, scenario, look);
    let unclean = || {
        let scenario = scenario();
        scenario.world().end_evidence = evidence(RedisEnd::Untold);
        scenario
    };
    at_every_moment(Fault::Kill, unclean, |scenario, _, exit_code, context| {
        assert_eq!(exit_code, exit_code::STEP_FAILED, "{context}");
        assert_eq!(scenario.world().effects_of("upgrade began"), 0, "{context}");
    });
}

#[test]
fn every_service_with_a_proof_gets_the_time_to_stop_that_is_configured() {
    let said = |scenario: &Scenario| {
        let (_, run) = scenario.run_to_end();
        run.checks.into_iter().find(|check| check.label == "stop-timeout").unwrap().finding
    };
    let mut scenario = Scenario::new();
    // At 90 s, as systemd has it, or less.
    assert_eq!(said(&scenario), None);
    for service in &mut scenario.settings.services {
        service.stop_timeout = jiff::SignedDuration::from_mins(5);
    }
    let mongod = said(&scenario).unwrap();
    assert_eq!(mongod.title, "a stop without Patchday may kill mongod.service");
    let api = scenario.settings.services.iter_mut().find(|service| service.unit.as_str() == API).unwrap();
    api.stop_proof = Some(WantedProof::Redis);
    let both = said(&scenario).unwrap();
    assert_eq!(both.title, format!("a stop without Patchday may kill mongod.service, {API}"));
    assert_eq!(both.evidence.last().unwrap(), &format!("{API}: 90 s, configured are 300 s"));
    let command = both.remedy.unwrap().command.unwrap();
    assert_eq!(command.matches("TimeoutStopSec=300").count(), 2, "{command}");
    assert!(command.ends_with(&format!("/{API}.d/stop.conf && systemctl daemon-reload")), "{command}");
}
