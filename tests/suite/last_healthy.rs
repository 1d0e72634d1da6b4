//! When a host was last healthy is told by every run, whatever the run itself came to.

use std::fs::remove_dir_all;

use crate::fake_host::{Scenario, ended};
use jiff::Timestamp;
use patchday::exit_code;
use patchday::model::{Channel, NotifyWhen, Parcel, Run, Way};

const METRIC: &str = "patchday_last_healthy_run_timestamp_seconds";

fn told() -> Scenario {
    let mut scenario = Scenario::new();
    let way = Way::Metrics { file: "/var/lib/patchday.prom".into() };
    scenario.settings.notify = vec![Channel { way, when: NotifyWhen::Always, retry_for: Channel::usual_retry() }];
    scenario
}

/// What the collector reads after a run.
fn metric(scenario: &Scenario) -> Option<i64> {
    let world = scenario.world();
    let written = world.sent.iter().rev().find_map(|parcel| match parcel {
        Parcel::File { content: Some(content), .. } => Some(content),
        _ => None,
    });
    let lines = written.unwrap().lines().filter_map(|line| line.strip_prefix(METRIC)?.strip_prefix(' '));
    lines.map(|value| value.parse().unwrap()).next()
}

fn run(scenario: &Scenario, code: u8) -> Run {
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), code, "{:?}", run.phase);
    run
}

/// The metrics are written a moment before the run is closed.
fn assert_is_end_of(told: Option<i64>, run: &Run) {
    let closed = run.closed.unwrap().at.as_second();
    assert!(told.is_some_and(|told| (run.planned.as_second() + 1..=closed).contains(&told)), "{told:?}, {closed}");
}

#[test]
fn runs_that_are_not_healthy_keep_when_the_host_was() {
    let scenario = told();
    let pending = scenario.world().pending.clone();
    scenario.world().reboot_is_refused = true;
    run(&scenario, exit_code::NOT_REBOOTED);
    assert_eq!(metric(&scenario), None, "0 would be a time");
    scenario.world().reboot_is_refused = false;
    let healthy = run(&scenario, exit_code::DONE);
    assert_is_end_of(metric(&scenario), &healthy);
    let at = healthy.closed.unwrap().at;

    scenario.world().pending = pending;
    scenario.world().reboot_is_refused = true;
    for _ in 0..3 {
        let failed = run(&scenario, exit_code::NOT_REBOOTED);
        assert_eq!((failed.last_healthy, metric(&scenario)), (Some(at), Some(at.as_second())));
        // Only so many runs are kept.
        let _ = remove_dir_all(scenario.state_path().join("runs").join(healthy.id.as_str()));
    }
    scenario.world().reboot_is_refused = false;
    let again = run(&scenario, exit_code::DONE);
    assert_is_end_of(metric(&scenario), &again);
    assert!(scenario.state.last_healthy().unwrap() > Some(at));
}

#[test]
fn a_host_that_needs_nothing_is_healthy_and_one_for_which_was_only_fetched_may_not_be() {
    let mut scenario = told();
    scenario.options.fetch_only = true;
    run(&scenario, exit_code::DONE);
    assert_eq!(scenario.state.last_healthy().unwrap(), None);
    scenario.options.fetch_only = false;
    run(&scenario, exit_code::DONE);
    let idle = run(&scenario, exit_code::DONE);
    assert_is_end_of(metric(&scenario), &idle);
}

#[test]
fn a_record_that_is_spoiled_hides_none_behind_it() {
    let scenario = told();
    let healthy = run(&scenario, exit_code::DONE);
    let idle = run(&scenario, exit_code::DONE);
    std::fs::write(scenario.state_path().join("runs").join(idle.id.as_str()).join("run.json"), "{").unwrap();
    let known: Option<Timestamp> = scenario.state.last_healthy().unwrap();
    assert_eq!(known, healthy.closed.map(|closing| closing.at));
}
