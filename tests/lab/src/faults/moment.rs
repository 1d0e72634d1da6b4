//! Moments of a run, told by what the agent sees.

use crate::agent::Sighting;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// When a fault is injected: some time after a line was seen.
#[derive(Debug, Clone)]
pub struct Moment {
    seen: Seen,
    /// How long after it.
    pub delay: Duration,
}

#[derive(Debug, Clone)]
enum Seen {
    /// An event of this kind; with a step, or a unit, of that name.
    Event { kind: &'static str, of: Option<&'static str> },
    /// The progress of a step has come at least so far.
    Progress { step: &'static str, fraction: f64 },
    /// dpkg logged a line with these words.
    Dpkg { words: &'static str },
}

impl Moment {
    /// When an event of this kind is told, the first time.
    pub fn event(kind: &'static str) -> Self {
        Self::at(Seen::Event { kind, of: None })
    }

    /// When an event of this kind is told of a step or a service.
    pub fn event_of(kind: &'static str, of: &'static str) -> Self {
        Self::at(Seen::Event { kind, of: Some(of) })
    }

    /// When a step is known to have come so far, from 0 to 1.
    pub fn progress(step: &'static str, fraction: f64) -> Self {
        Self::at(Seen::Progress { step, fraction })
    }

    /// When dpkg logs this.
    pub fn dpkg(words: &'static str) -> Self {
        Self::at(Seen::Dpkg { words })
    }

    fn at(seen: Seen) -> Self {
        Self { seen, delay: Duration::ZERO }
    }

    /// So much later.
    pub fn plus_millis(mut self, millis: u64) -> Self {
        self.delay = Duration::from_millis(millis);
        self
    }

    /// Whether it lies within dpkg's work.
    pub fn is_in_dpkg(&self) -> bool {
        matches!(self.seen, Seen::Dpkg { .. })
    }

    /// Whether this is the line.
    pub fn is_seen_in(&self, sighting: &Sighting) -> bool {
        match &self.seen {
            Seen::Dpkg { words } => sighting.source == "dpkg" && sighting.text.contains(words),
            Seen::Event { kind, of } => event(sighting).is_some_and(|event| {
                let is_of = |key: &str| of.is_none_or(|name| event[key] == name);
                event["event"] == *kind && (is_of("step") || is_of("unit"))
            }),
            Seen::Progress { step, fraction } => event(sighting).is_some_and(|event| {
                event["event"] == "step-progressed"
                    && event["step"] == *step
                    && event["fraction"].as_f64().is_some_and(|come| come >= *fraction)
            }),
        }
    }
}

/// The event that a line tells.
pub(super) fn event(sighting: &Sighting) -> Option<Value> {
    (sighting.source == "event").then(|| serde_json::from_str(&sighting.text).ok()).flatten()
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.seen {
            Seen::Event { kind, of: None } => write!(formatter, "{kind}"),
            Seen::Event { kind, of: Some(of) } => write!(formatter, "{kind} {of}"),
            Seen::Progress { step, fraction } => write!(formatter, "{step} at {:.0} %", fraction * 100.0),
            Seen::Dpkg { words } => write!(formatter, "dpkg: {words}"),
        }?;
        if self.delay > Duration::ZERO {
            write!(formatter, " + {} ms", self.delay.as_millis())?;
        }
        Ok(())
    }
}
