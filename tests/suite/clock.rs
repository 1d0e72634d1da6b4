//! Somebody sets the host's clock while a run is under way, at any step: the run goes on as if nobody had, says so, and
//! no time that it tells is off.

use crate::fake_host::{API, Scenario, assert_in_service, ended};
use jiff::SignedDuration;
use patchday::config::{OnFailure, RebootWhen};
use patchday::events::EventKind;
use patchday::exit_code;
use patchday::model::{Run, Step};
use patchday::report;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What the same run takes when nobody touches the clock.
fn took(run: &Run) -> SignedDuration {
    run.closed.unwrap().at.duration_since(run.planned)
}

fn set_at(step: Option<&Step>, by: SignedDuration, change: impl Fn(&mut Scenario)) -> (Scenario, u8, Run) {
    let mut scenario = Scenario::new();
    scenario.settings.verify.on_failure = OnFailure::PreviousKernel;
    change(&mut scenario);
    scenario.clock_set = step.map(|step| (step.clone(), by));
    let (end, run) = scenario.run_to_end();
    (scenario, ended(&end), run)
}

#[test]
fn a_clock_that_is_set_at_any_step_changes_nothing_of_the_run() {
    for reboots in [true, false] {
        let change = |scenario: &mut Scenario| {
            if !reboots {
                scenario.settings.reboot.when = RebootWhen::Never;
            }
        };
        let (_, _, plain) = set_at(None, SignedDuration::ZERO, change);
        let expected = took(&plain);
        let mut steps: Vec<Step> = plain.history.iter().map(|record| record.attempt.step.clone()).collect();
        steps.dedup();
        for step in steps {
            for by in [DAY, -DAY, SignedDuration::from_mins(20), -SignedDuration::from_mins(20)] {
                let (scenario, code, run) = set_at(Some(&step), by, change);
                let context = format!("{by:#} at {step}");
                assert_eq!(code, exit_code::DONE, "{context}: {:?}", run.phase);
                assert_in_service(&scenario, &context);
                assert_eq!((run.reboots, run.unplanned_reboots), (plain.reboots, 0), "{context}");
                let off = (took(&run) - expected).abs();
                assert!(off < SignedDuration::from_secs(5), "{context}: it took {:#}, not {expected:#}", took(&run));
                let ends: Vec<_> = run.history.iter().map(|record| record.ended).collect();
                assert!(ends.is_sorted(), "{context}: {ends:?}");

                let events = scenario.state.events(&run.id).read_new().unwrap();
                let report = report::build(&run, &events, run.closed.unwrap().at);
                for service in &report.services {
                    let away = service.downtime.as_ref().and_then(|down| down.took).unwrap_or_default();
                    assert!(away < SignedDuration::from_mins(10), "{context}: {} was away for {away:#}", service.unit);
                }
                let is_over = matches!(step, Step::Notify(_) if events.last().is_some());
                let told = events.iter().filter(
                    |event| matches!(&event.kind, EventKind::Noted { message } if message.contains("clock was set")),
                );
                assert!(told.count() == 1 || is_over, "{context}: it is told once");
            }
        }
    }
}

/// A service that does not come back is given its time, and no more.
#[test]
fn patience_is_measured_by_what_passed() {
    let look = |by: SignedDuration| {
        let (_, code, run) = set_at(Some(&Step::Verify), by, |scenario| {
            scenario.settings.verify.on_failure = OnFailure::Report;
            scenario.world().break_on_boot = vec![API];
        });
        assert_eq!(code, exit_code::NOT_VERIFIED, "{:?}", run.phase);
        let verify = run.last_record(&Step::Verify).unwrap();
        verify.ended.duration_since(verify.attempt.began)
    };
    let expected = look(SignedDuration::ZERO);
    for by in [DAY, -DAY] {
        let off = (look(by) - expected).abs();
        assert!(off < SignedDuration::from_secs(5), "{by:#}: off by {off:#} from {expected:#}");
    }
}
