//! How long services were away, as far as records say.

use jiff::SignedDuration;

use super::{api_broken, nothing_to_do, open, stop_failed};
use crate::model::Step;
use crate::report::sample::{Story, at, unit};
use crate::report::{Style, text};

#[test]
fn downtime_is_measured_from_the_stop_until_the_next_readiness() {
    let report = Story::healthy().report();
    let took: Vec<_> = report.services.iter().map(|s| s.downtime.as_ref().and_then(|d| d.took)).collect();
    // Stops began 9.9 s and 10.2 s after the beginning; readiness was seen at 47.1 s and 48.0 s.
    assert_eq!(took, [Some(SignedDuration::from_millis(36_900)), Some(SignedDuration::from_millis(38_100))]);
    assert_eq!(report.longest_downtime().map(|(unit, _)| unit.as_str()), Some("sample-api.service"));
    assert!(report.services.iter().all(|s| s.downtime.as_ref().is_some_and(|d| d.proven)));
}

#[test]
fn no_downtime_is_claimed_without_records() {
    let unmeasured = |story: &Story| story.report().longest_downtime().is_none();
    assert!(unmeasured(&nothing_to_do()));
    assert!(unmeasured(&open()), "a service that is still down has no measure yet");
    assert!(unmeasured(&api_broken()), "a service that did not come back has no measure");
    let mut down_before = Story::healthy();
    for proof in &mut down_before.run.stops {
        proof.was_running = false;
    }
    assert!(unmeasured(&down_before), "a service that was down already was not taken down");
    let mut twice = Story::healthy();
    let again = twice.run.history.iter().find(|r| r.attempt.step == Step::stop(unit("mongod.service"))).cloned();
    twice.run.history.extend(again);
    twice.run.stops.iter_mut().for_each(|proof| proof.was_running = false);
    assert!(!unmeasured(&twice), "an interrupted first attempt may have taken it down");
    let failed = stop_failed().report();
    let api = failed.services.iter().find(|s| s.unit == unit("sample-api.service")).unwrap();
    assert!(!api.downtime.as_ref().unwrap().proven, "a stop that failed proves no downtime");
}

#[test]
fn a_clock_that_was_set_back_gives_no_measure() {
    let mut story = Story::healthy();
    for record in &mut story.run.history {
        if record.attempt.step == Step::stop(unit("mongod.service")) {
            record.attempt.began = at(3_600.0);
        }
    }
    let report = story.report();
    assert_eq!(report.services[0].downtime.as_ref().unwrap().took, None);
    assert!(text::render(&report, &Style::plain()).contains("the clock was set back"));
}
