//! Units unlike the lab's, on a host in memory: what systemd calls active is no proof that anything runs.

use crate::fake_host::{API, Fault, MONGOD, Scenario, assert_in_service, at_every_moment, ended, host};
use jiff::SignedDuration;
use patchday::checks::{CheckInputs, run_all};
use patchday::config::RebootWhen;
use patchday::events::EventKind;
use patchday::exit_code;
use patchday::model::{
    Basis, Change, Estimate, Finding, Outcome, ReadinessProbe, Reading, Run, RunOptions, Severity, Step, StepEstimate,
    Trigger, UpgradePlan,
};

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
                "abort" => scenario.abort_at = Some(Step::stop(MONGOD.parse().unwrap())),
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
    let scenario = || {
        let mut scenario = remaining("forking", MONGOD);
        scenario.settings.reboot.when = RebootWhen::Never;
        scenario
    };
    at_every_moment(Fault::Kill, scenario, |scenario, _, code, context| {
        assert_eq!(code, exit_code::DONE, "{context}");
        assert_all_runs(scenario, context);
    });
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

/// Bound to the database, to what is bound to it, and to the API; and what would start the API.
const COMPANIONS: [(&str, &str); 4] =
    [("exporter.service", MONGOD), ("view.service", "exporter.service"), ("sidecar.service", API), ("api.socket", API)];

fn with_companions() -> Scenario {
    let scenario = Scenario::new();
    for (unit, on) in COMPANIONS {
        scenario.world().with_bond(unit, on);
    }
    scenario.world().with_bond("idle.service", API);
    scenario.world().unit("idle.service").active = "inactive";
    scenario.world().unit("idle.service").enabled = false;
    scenario
}

fn assert_companions_run(scenario: &Scenario, run: &Run, context: &str) {
    assert_in_service(scenario, context);
    let mut world = scenario.world();
    for (unit, _) in COMPANIONS {
        assert_eq!(world.unit(unit).active, "active", "{unit} is down {context}");
        assert!(!world.unit(unit).held, "{unit} is held {context}");
    }
    assert_eq!(world.unit("idle.service").active, "inactive", "what did not run was started {context}");
    assert!(run.changes.is_empty(), "{context}: {:?}", run.changes);
}

#[test]
fn what_goes_down_with_a_service_is_named_stopped_before_it_and_started_with_it() {
    for (way, code) in [
        ("reboot", exit_code::DONE),
        ("no reboot", exit_code::DONE),
        ("failed upgrade", exit_code::STEP_FAILED),
        ("abort", exit_code::STEP_FAILED),
    ] {
        let mut scenario = with_companions();
        match way {
            "no reboot" => scenario.settings.reboot.when = RebootWhen::Never,
            "failed upgrade" => scenario.world().failing_work = Some("upgrade"),
            "abort" => scenario.abort_at = Some(Step::stop(MONGOD.parse().unwrap())),
            _ => {}
        }
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), code, "{way}: {:?}", run.phase);
        assert_companions_run(&scenario, &run, way);
        let world = scenario.world();
        let at = |effect: &str| world.effects.iter().position(|one| one == effect);
        // The socket first, so that nobody starts the service; then what is bound to it; then the service.
        assert!(at("stop api.socket") < at("stop sidecar.service"), "{way}: {:?}", world.effects);
        for (first, then) in [
            ("stop sidecar.service", "stop api.service"),
            ("stop view.service", "stop exporter.service"),
            ("stop exporter.service", "stop mongod.service"),
        ] {
            assert!(at(first).is_some() && at(first) < at(then), "{way}, {first}: {:?}", world.effects);
        }
        if way != "reboot" {
            let starts = ["start api.socket", "start api.service", "start sidecar.service"].map(at);
            assert!(starts.is_sorted() && starts[0].is_some(), "{way}: {:?}", world.effects);
        }
        drop(world);
        let told = scenario.state.events(&run.id).read_new().unwrap();
        let names = |unit: &str| {
            told.iter().any(|event| matches!(&event.kind, EventKind::Noted { message } if message.contains(unit)))
        };
        assert!(names("sidecar.service is bound to api.service") && names("api.socket starts api.service"));
    }
}

#[test]
fn no_kill_and_no_power_cut_leaves_a_companion_down() {
    for (fault, when) in [
        (Fault::Kill, RebootWhen::Never),
        (Fault::PowerCut, RebootWhen::Needed),
        (Fault::SoftReboot, RebootWhen::Never),
    ] {
        let scenario = || {
            let mut scenario = with_companions();
            scenario.settings.reboot.when = when;
            scenario
        };
        at_every_moment(fault, scenario, |scenario, run, _, context| assert_companions_run(scenario, run, context));
    }
}

/// It is told with what to type, and stays on record: `resume` tries again.
#[test]
fn a_companion_that_does_not_come_back_is_told_and_tried_again_by_resume() {
    let scenario = with_companions();
    scenario.world().failing_work = Some("upgrade");
    scenario.world().unit("sidecar.service").fails_to_start = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED);
    let note = run.last_record(&Step::Restore).unwrap().note.clone().unwrap();
    assert!(note.contains("sidecar.service, which went down with api.service, is not back"), "{note}");
    assert!(note.contains("systemctl start sidecar.service"), "{note}");
    let left = Change::TakenAlong { unit: "sidecar.service".parse().unwrap(), with: API.parse().unwrap() };
    assert_eq!(run.changes, [left]);
    assert!(!scenario.world().unit("sidecar.service").held);
    scenario.world().unit("sidecar.service").fails_to_start = false;
    let run = scenario.undo_leftovers(&run.id);
    assert_companions_run(&scenario, &run, "after resume");
}

/// Its stop deletes what a program made. That is no failure of the run, and nothing that `resume` could mend.
#[test]
fn a_companion_that_nobody_can_start_again_is_told_and_keeps_nothing_on_record() {
    let mut scenario = with_companions();
    scenario.settings.reboot.when = RebootWhen::Never;
    scenario.settings.allowed_checks.push("stop-along".to_owned());
    scenario.world().unit("sidecar.service").is_transient = true;
    let (end, run) = scenario.run_to_end();
    let restore = run.last_record(&Step::Restore).unwrap();
    assert_eq!(restore.outcome, Outcome::Succeeded, "{restore:?}");
    assert_eq!(ended(&end), exit_code::NOT_VERIFIED, "it ran, and does not: {:?}", run.phase);
    assert!(run.changes.is_empty(), "{:?}", run.changes);
    let told = scenario.state.events(&run.id).read_new().unwrap();
    let is_it =
        |kind: &EventKind| matches!(kind, EventKind::Noted { message } if message.contains("the program that made it"));
    assert!(told.iter().any(|event| is_it(&event.kind)), "{told:#?}");
}

/// systemd does not open a socket while its service runs: a coordinator that died between the two stops left just that.
#[test]
fn a_socket_is_opened_before_its_service_even_where_that_still_runs() {
    let mut scenario = with_companions();
    scenario.settings.reboot.when = RebootWhen::Never;
    scenario.world().unit(API).ignores_stop = true;
    let (_, run) = scenario.run_to_end();
    assert_eq!(scenario.world().unit("api.socket").active, "inactive", "it cannot: its service does not stop");
    assert!(run.changes.iter().any(|change| matches!(change, Change::TakenAlong { .. })), "it stays on record");
    assert_eq!(scenario.world().unit(API).active, "active");
    scenario.world().unit(API).ignores_stop = false;
    let run = scenario.undo_leftovers(&run.id);
    assert_companions_run(&scenario, &run, "after resume");
}

/// What the preflight knows before anybody loses a service.
#[test]
fn what_a_stop_does_besides_and_what_cannot_be_done_is_known_before() {
    let check = |scenario: &Scenario, label: &str| {
        let host = host(&scenario.world);
        let options = RunOptions::new(Trigger::Unattended);
        found(&CheckInputs::new(&host, &scenario.settings, &options), label)
    };
    type Strange = fn(&mut Scenario);
    let cases: [(&str, Severity, &str, Strange); 7] = [
        ("unit-control", Severity::Blocker, "api.service was made by a program", |scenario| {
            scenario.world().unit(API).is_transient = true;
        }),
        (
            "unit-control",
            Severity::Blocker,
            "a stop of api.service stops mongod.service, before its turn",
            |scenario| {
                scenario.world().bonds.push((MONGOD, API));
            },
        ),
        ("unit-control", Severity::Blocker, "api.service has no process and no ExecStop=", |scenario| {
            scenario.settings.services[1].readiness = ReadinessProbe::Tcp { address: "127.0.0.1:1".into() };
            scenario.world().unit(API).hollow = true;
        }),
        ("stop-along", Severity::Info, "sidecar.service is bound to api.service", |scenario| {
            scenario.world().with_bond("sidecar.service", API);
        }),
        ("stop-along", Severity::Info, "api.socket starts api.service when it is asked to", |scenario| {
            scenario.world().with_bond("api.socket", API);
        }),
        ("stop-along", Severity::Blocker, "its stop deletes it", |scenario| {
            scenario.world().with_bond("sidecar.service", API);
            scenario.world().unit("sidecar.service").is_transient = true;
        }),
        ("timers-due", Severity::Warning, "backup.timer at 2026-11-23T03:05:00Z", |scenario| {
            let at = |minutes| Some(scenario.world().now + SignedDuration::from_mins(minutes));
            let timers = [
                ("backup.timer", at(5)),
                ("late.timer", at(500)),
                ("phpsessionclean.timer", at(5)),
                ("never.timer", None),
            ];
            let timers = timers.map(|(timer, next)| (timer.parse().unwrap(), next));
            scenario.world().inventory.timers = Reading::Known(timers.into());
        }),
    ];
    for (label, severity, text, change) in cases {
        let mut scenario = Scenario::new();
        assert_eq!(check(&scenario, label), None, "{label} of a host at rest");
        change(&mut scenario);
        let finding = check(&scenario, label).unwrap_or_else(|| panic!("{label} is content: {text}"));
        assert_eq!(finding.severity, severity, "{finding:?}");
        assert!(finding.evidence.len() == 1 && finding.evidence[0].contains(text), "{finding:?}");
        assert!(finding.remedy.is_some(), "{finding:?}");
    }
}

/// It was ready when it was brought back: how long the host is up has nothing to do with it.
#[test]
fn a_service_is_told_ready_once_where_nobody_reboots() {
    let mut scenario = Scenario::new();
    scenario.settings.reboot.when = RebootWhen::Never;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let told = scenario.state.events(&run.id).read_new().unwrap();
    for name in [API, MONGOD] {
        let is_it = |kind: &EventKind| matches!(kind, EventKind::ServiceReady { unit, .. } if unit.as_str() == name);
        assert_eq!(told.iter().filter(|event| is_it(&event.kind)).count(), 1, "{name}");
    }
}

/// An hour is a guess: where it is known how long the run takes, that counts.
#[test]
fn what_comes_due_is_judged_by_the_time_that_the_run_takes() {
    for (takes, due_in, is_told) in [(1, 6, true), (1, 8, false), (120, 200, true), (120, 300, false)] {
        let scenario = Scenario::new();
        let at = scenario.world().now + SignedDuration::from_mins(due_in);
        scenario.world().inventory.timers = Reading::Known([("backup.timer".parse().unwrap(), Some(at))].into());
        let step = StepEstimate { step: Step::Reboot, takes: SignedDuration::from_mins(takes), basis: Basis::History };
        let estimate = Estimate { steps: vec![step], until_ready: SignedDuration::ZERO, packaging: None };
        let host = host(&scenario.world);
        let options = RunOptions::new(Trigger::Unattended);
        let inputs = CheckInputs::new(&host, &scenario.settings, &options).expecting(estimate, UpgradePlan::default());
        let finding = found(&inputs, "timers-due");
        assert_eq!(finding.is_some(), is_told, "a run of {takes} minutes, due in {due_in}: {finding:?}");
    }
}

fn found(inputs: &CheckInputs<'_>, label: &str) -> Option<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let results = runtime.block_on(run_all(inputs));
    results.into_iter().find(|check| check.label == label).unwrap().finding
}
