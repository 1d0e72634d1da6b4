//! A run and its window: what begins while there is time, and what a run without time does.

use jiff::SignedDuration;

use super::sample::{CLOSES, POLICY, api, at, before, done, window_missed};
use crate::machine::{Decision, decide};
use crate::model::{Basis, Estimate, Observation, Run, Step, StepEstimate, WorkLook};

fn decided(run: &Run, seconds: i64) -> Decision {
    decide(
        run,
        &Observation { boot: Some(run.boot.clone()), soft_reboots: Some(0), work: WorkLook::NoWork },
        at(seconds),
        &POLICY,
    )
}

/// What is left out for want of time, and what is not: nothing is left down, and what was upgraded is verified.
#[test]
fn a_run_that_misses_its_window_ends_in_safety() {
    let ending = |run: &Run| {
        let mut run = run.clone();
        let mut steps = Vec::new();
        while let Decision::Begin(step) = decided(&run, CLOSES) {
            if step == Step::Report {
                break;
            }
            steps.push(step.to_string());
            run = done(&run, step);
        }
        (steps.join(", "), run.exit_code())
    };
    let missed_at = |step: Step| window_missed(&before(&step), step);
    let cases = [
        (missed_at(Step::stop(api())), "", 10),
        (missed_at(Step::Upgrade), "restore", 21),
        (missed_at(Step::BuildKernel), "stage-check, restore, verify", 0),
        (missed_at(Step::Reboot), "restore, verify", 0),
    ];
    for (run, steps, exit_code) in cases {
        assert_eq!(ending(&run), (steps.to_owned(), exit_code), "{:?}", run.window_missed);
    }
    // A reboot that was wanted is not done: that is not all well.
    let mut run = missed_at(Step::Reboot);
    run.reboot_reasons = vec!["a newer kernel is installed".into()];
    assert_eq!(ending(&run), ("restore, verify".to_owned(), 22));
}

/// The estimate of what is left counts, and the reserve.
#[test]
fn a_step_begins_while_the_rest_of_the_run_fits() {
    let minutes = |step: &Step, takes| StepEstimate {
        step: step.clone(),
        takes: SignedDuration::from_mins(takes),
        basis: Basis::Sizes,
    };
    let mut run = before(&Step::Upgrade);
    let steps = run.steps.iter().map(|step| minutes(step, if *step == Step::Verify { 100 } else { 5 })).collect();
    run.estimate = Some(Estimate { steps, until_ready: SignedDuration::from_mins(2), packaging: None });
    // upgrade, build-kernel, stage-check, reboot, until ready; reserve.
    let needed = 60 * (4 * 5 + 2 + 15);
    assert_eq!(decided(&run, CLOSES - needed), Decision::Begin(Step::Upgrade));
    let Decision::MissWindow { reason, .. } = decided(&run, CLOSES - needed + 1) else { panic!() };
    assert_eq!(
        reason,
        format!(
            "the window closes at {}: 36 min 59 s are left, and the rest of the run takes 22 min and 15 min in reserve",
            at(CLOSES)
        )
    );
    run.window = None;
    assert_eq!(decided(&run, CLOSES), Decision::Begin(Step::Upgrade));
}

#[test]
fn window_and_estimate_survive_their_file() {
    let mut run = window_missed(&before(&Step::Reboot), Step::Reboot);
    run.options.outside_window = true;
    let takes = SignedDuration::from_secs(7);
    let of = |basis| StepEstimate { step: Step::Upgrade, takes, basis };
    let steps = [Basis::History, Basis::Sizes, Basis::Boot, Basis::Assumed].map(of).to_vec();
    run.estimate = Some(Estimate { steps, until_ready: takes, packaging: None });
    let text = crate::store::encode(&run).unwrap();
    assert_eq!(crate::store::decode(&text, std::path::Path::new("run.json")).unwrap(), run);
}
