//! How far an open run is, and how long it will still take: as it was estimated, and as its work tells.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::telling::percent;
use super::words::between;
use crate::events::{Event, EventKind};
use crate::model::{Run, Step};

/// What is known of the rest of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Ahead {
    /// What the current step told last, with the time that has passed since then taken off.
    pub step: Option<Told>,
    /// How far the whole is, 0 to 1, and how long it will still take; none where nothing was estimated, or where the run
    /// does not go on as it was planned.
    pub whole: Option<(f64, SignedDuration)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub fraction: Option<f64>,
    pub remaining: Option<SignedDuration>,
    pub message: String,
}

/// How far something is, for scripts; null where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Progress {
    /// Whole percent, rounded down.
    pub percent: Option<u8>,
    pub seconds_left: Option<i64>,
}

impl Progress {
    fn new(fraction: Option<f64>, left: Option<SignedDuration>) -> Self {
        Self { percent: fraction.map(percent), seconds_left: left.map(|left| left.as_secs()) }
    }
}

impl Ahead {
    /// Of the whole run.
    pub fn of_run(&self) -> Progress {
        let (fraction, left) = self.whole.unzip();
        Progress::new(fraction, left)
    }

    /// Of the step at which it is.
    pub fn of_step(&self) -> Progress {
        self.step.as_ref().map(|told| Progress::new(told.fraction, told.remaining)).unwrap_or_default()
    }
}

/// What is short of complete while the run is open.
const ALMOST: f64 = 0.99;

pub fn ahead(run: &Run, timeline: &[Event], now: Timestamp) -> Ahead {
    let step = run.attempt.as_ref().and_then(|attempt| told(&attempt.step, attempt.began, timeline, now));
    Ahead { whole: whole(run, step.as_ref(), now), step }
}

fn told(current: &Step, began: Timestamp, timeline: &[Event], now: Timestamp) -> Option<Told> {
    timeline.iter().rev().take_while(|event| event.at >= began).find_map(|event| match &event.kind {
        EventKind::StepProgressed { step, fraction, remaining, message } if step == current => {
            let since = between(event.at, now).unwrap_or_default();
            let remaining = remaining.map(|remaining| (remaining - since).max(SignedDuration::ZERO));
            Some(Told { fraction: *fraction, remaining, message: message.clone() })
        }
        _ => None,
    })
}

fn whole(run: &Run, step: Option<&Told>, now: Timestamp) -> Option<(f64, SignedDuration)> {
    let estimate = run.estimate.as_ref().filter(|_| !run.phase.is_final() && run.abort.is_none())?;
    let current = run.attempt.as_ref();
    let is_to_come = |step: &&Step| !run.has_finished(step) && current.is_none_or(|attempt| attempt.step != **step);
    let to_come: SignedDuration = run.steps.iter().filter(is_to_come).map(|step| estimate.takes(step)).sum();
    let of_current = current.map(|attempt| {
        let expected = estimate.takes(&attempt.step) - between(attempt.began, now).unwrap_or_default();
        step.and_then(|told| told.remaining).unwrap_or(expected).max(SignedDuration::ZERO)
    });
    let left = to_come + of_current.unwrap_or_default();
    let all = estimate.total().as_secs_f64();
    (all > 0.0).then(|| ((1.0 - left.as_secs_f64() / all).clamp(0.0, ALMOST), left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Abort, Basis, Estimate, StepEstimate};
    use crate::report::sample::{Story, at};

    #[test]
    fn what_is_left_is_the_estimate_corrected_by_what_the_work_tells() {
        let mut story = Story::new();
        story.prepare();
        story.begin(Step::Upgrade);
        let began = story.run.attempt.as_ref().unwrap().began;
        let takes = SignedDuration::from_secs(10);
        let one = |step: &Step| StepEstimate { step: step.clone(), takes, basis: Basis::Assumed };
        let steps = story.run.steps.iter().map(one).collect();
        story.run.estimate = Some(Estimate { steps, until_ready: takes, packaging: None });
        let rest = story.run.steps.iter().filter(|step| !story.run.has_finished(step)).count() as i64 - 1;
        let left = |story: &Story, after: i64| {
            let ahead = ahead(&story.run, &story.events, began + SignedDuration::from_secs(after));
            ahead.whole.map(|(_, left)| left.as_secs() - 10 * rest)
        };
        // As estimated; never less than nothing, however long it takes.
        assert_eq!((left(&story, 0), left(&story, 4), left(&story, 60)), (Some(10), Some(6), Some(0)));
        // As it tells, less what has passed since.
        let remaining = Some(SignedDuration::from_secs(30));
        let kind =
            EventKind::StepProgressed { step: Step::Upgrade, fraction: Some(0.5), remaining, message: "x".into() };
        story
            .events
            .push(Event { at: began + SignedDuration::from_secs(20), ..crate::report::sample::event(0.0, kind) });
        assert_eq!(left(&story, 25), Some(25));
        let (fraction, _) = ahead(&story.run, &story.events, began).whole.unwrap();
        assert!((0.0..1.0).contains(&fraction), "{fraction}");
        let told = ahead(&story.run, &story.events, began + SignedDuration::from_secs(25));
        assert_eq!(told.of_step(), Progress { percent: Some(50), seconds_left: Some(25) });
        let all = 10 * story.run.steps.len() as i64;
        let percent = Some((100 * (all - 25 - 10 * rest) / all) as u8);
        assert_eq!(told.of_run(), Progress { percent, seconds_left: Some(25 + 10 * rest) });
        // Whoever ends it makes it go another way.
        story.run.abort = Some(Abort { by: "root".into(), at: at(30.0) });
        let told = ahead(&story.run, &story.events, began);
        assert_eq!((told.whole, told.of_run()), (None, Progress::default()));
        assert_eq!(ahead(&Story::new().run, &[], began).of_step(), Progress::default());
    }
}
