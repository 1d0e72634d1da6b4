//! What views of lines say of progress: little, never backwards, and by the clock of the events.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use crate::events::{Event, EventKind};
use crate::model::Step;
use crate::report::telling;

/// How long a view of lines stays quiet where only the message changes.
const QUIET: SignedDuration = SignedDuration::from_secs(5);

/// Lets through a line of progress at every tenth, and at a change of the message at most every few seconds.
///
/// Time is what the events say. A replay of an old run therefore gives the very lines that the run gave.
#[derive(Debug, Default)]
pub(super) struct Steady {
    step: Option<Step>,
    attempt: u32,
    fraction: Option<f64>,
    tenth: u8,
    message: String,
    told: Option<Timestamp>,
}

impl Steady {
    /// The event with its progress kept from going backwards, and whether it is worth a line.
    pub(super) fn hear<'a>(&mut self, event: &'a Event) -> (Cow<'a, Event>, bool) {
        match &event.kind {
            EventKind::StepStarted { step, attempt } => {
                // A coordinator that goes on with an open attempt says again that it began.
                if self.step.as_ref() != Some(step) || self.attempt != *attempt {
                    *self = Self { step: Some(step.clone()), attempt: *attempt, ..Self::default() };
                }
                self.told = Some(event.at);
                (Cow::Borrowed(event), true)
            }
            EventKind::StepProgressed { step, fraction, remaining, message } => {
                if self.step.as_ref() != Some(step) {
                    *self = Self { step: Some(step.clone()), ..Self::default() };
                }
                // `max` drops a NaN.
                self.fraction = fraction.map(|new| new.max(self.fraction.unwrap_or(0.0))).or(self.fraction);
                let kind = EventKind::StepProgressed {
                    step: step.clone(),
                    fraction: self.fraction,
                    remaining: *remaining,
                    message: message.clone(),
                };
                (Cow::Owned(Event { kind, ..event.clone() }), self.is_news(event.at, message))
            }
            _ => (Cow::Borrowed(event), true),
        }
    }

    fn is_news(&mut self, at: Timestamp, message: &str) -> bool {
        // The first tenth is said by the line that the step started.
        let tenth = self.fraction.map_or(0, |fraction| telling::percent(fraction) / 10);
        let is_quiet = self.told.is_none_or(|told| at.duration_since(told) >= QUIET);
        let news = tenth > self.tenth || (message != self.message && is_quiet);
        if news {
            self.tenth = tenth;
            self.message = message.to_owned();
            self.told = Some(at);
        }
        news
    }
}
