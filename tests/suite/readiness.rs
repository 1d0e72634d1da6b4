//! Probes that never worked, and services that turn away who asks too often: whole runs on a host in memory.

use crate::fake_host::{API, Scenario, World, ended};
use jiff::SignedDuration;
use patchday::exit_code;
use patchday::model::{ReadinessProbe, Severity, Verdict};

/// The API has a probe that asks it.
fn with_probe(allowed: &[&str]) -> Scenario {
    let mut scenario = Scenario::new();
    let api = scenario.settings.services.iter_mut().find(|service| service.unit.as_str() == API).unwrap();
    api.readiness = ReadinessProbe::Tcp { address: "127.0.0.1:8080".into() };
    scenario.settings.allowed_checks = allowed.iter().map(|&label| label.to_owned()).collect();
    scenario
}

#[test]
fn a_probe_that_never_worked_stops_the_run_before_anything_else_does() {
    let scenario = with_probe(&[]);
    scenario.world().unit(API).never_ready = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::UNTOUCHED, "{:?}", run.phase);
    assert!(scenario.world().effects.iter().all(|effect| !effect.starts_with("stop ")));
}

/// Somebody knows that it never works: then nothing waits for it, and it is no news.
#[test]
fn where_it_is_allowed_it_is_known_in_the_verdict() {
    type Change = fn(&mut World);
    let cases: [(&str, Change); 2] = [
        ("not ready", |world| world.unit(API).never_ready = true),
        ("asked too often", |world| world.asked_too_often = Some(SignedDuration::from_mins(10))),
    ];
    for (case, change) in cases {
        let scenario = with_probe(&["readiness"]);
        change(&mut scenario.world());
        let began = scenario.world().now;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{case}: {:?}", run.phase);
        let verification = run.verification.as_ref().unwrap();
        assert_eq!(verification.verdict, Verdict::Healthy, "{case}: {:?}", verification.findings);
        let known = verification.findings.iter().find(|finding| finding.key == "service-not-ready-before").unwrap();
        assert_eq!((known.severity, known.subject.clone()), (Severity::Info, Some(API.into())), "{case}");
        let took = scenario.world().now.duration_since(began);
        assert!(took < SignedDuration::from_mins(5), "{case}: somebody waited {took:#}");
    }
}

/// A service that was ready and is not any more is news, whatever another one was.
#[test]
fn what_was_ready_before_must_be_ready_after() {
    let scenario = with_probe(&["readiness"]);
    scenario.world().break_on_boot = vec![API];
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_VERIFIED, "{:?}", run.phase);
}

#[test]
fn nobody_is_asked_more_often_than_a_patient_client_would() {
    let scenario = with_probe(&[]);
    scenario.run_to_end();
    let world = scenario.world();
    let asked: Vec<_> = world.probes.iter().filter(|(_, unit)| unit == API).map(|(at, _)| *at).collect();
    let busiest = asked
        .iter()
        .map(|from| {
            asked.iter().filter(|at| *at >= from && at.duration_since(*from) < SignedDuration::from_secs(1)).count()
        })
        .max();
    assert!(busiest.is_some_and(|count| count <= 8), "{busiest:?} questions within a second: {asked:?}");
}

/// What is taken for "as before" after the boot must not be the accident of one moment before it.
#[test]
fn a_service_that_was_ready_and_is_not_any_more_is_no_baseline() {
    for (answers, allowed, expected) in
        [(1, &[][..], exit_code::UNTOUCHED), (5, &[], exit_code::UNTOUCHED), (1, &["readiness"], exit_code::DONE)]
    {
        let scenario = with_probe(allowed);
        scenario.world().ready_answers = Some(answers);
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), expected, "{answers} {allowed:?}: {:?}", run.phase);
        let stopped = scenario.world().effects.iter().any(|effect| effect.starts_with("stop "));
        assert_eq!(stopped, expected == exit_code::DONE, "{answers} {allowed:?}");
    }
}
