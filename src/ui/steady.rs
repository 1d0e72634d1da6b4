//! What views of lines say of progress: little, never backwards, and by the clock of the events.

use jiff::{SignedDuration, Timestamp};

use crate::events::{Event, EventKind};
use crate::model::Step;
use crate::report::telling;

/// How many lines of progress one gets at most where only the message changes.
const QUIET: SignedDuration = SignedDuration::from_secs(5);

/// Lets through a line of progress at every tenth, and at a change of the message at most every few seconds.
///
/// Time is what the events say. A replay of an old run therefore gives the very lines that the run gave.
#[derive(Debug, Default)]
pub(super) struct Steady {
    step: Option<Step>,
    tenth: Option<u8>,
    message: String,
    told: Option<Timestamp>,
}

impl Steady {
    /// Whether the event is worth a line.
    pub(super) fn lets_through(&mut self, event: &Event) -> bool {
        match &event.kind {
            EventKind::StepStarted { step, .. } | EventKind::StepAttached { step } => {
                *self = Self { step: Some(step.clone()), told: Some(event.at), ..Self::default() };
                true
            }
            EventKind::StepProgressed { step, fraction, message } => {
                if self.step.as_ref() != Some(step) {
                    *self = Self { step: Some(step.clone()), ..Self::default() };
                }
                self.is_news(event.at, fraction.map(|fraction| telling::percent(fraction) / 10), message)
            }
            _ => true,
        }
    }

    fn is_news(&mut self, at: Timestamp, tenth: Option<u8>, message: &str) -> bool {
        // Forward only. The first tenth is said by the line that the step started.
        let came_forward = tenth.is_some_and(|tenth| tenth > self.tenth.unwrap_or(0));
        let is_quiet = self.told.is_none_or(|told| at.duration_since(told) >= QUIET);
        let news = came_forward || (message != self.message && is_quiet);
        if news {
            self.tenth = self.tenth.max(tenth);
            self.message = message.to_owned();
            self.told = Some(at);
        }
        news
    }
}
