//! How often a witness asks one service: often at first, and less often the longer it takes. Pure.

use jiff::SignedDuration;

use crate::model::ReadinessProbe;

/// Between two questions, for each service that is asked at the same time.
const SHORTEST: SignedDuration = SignedDuration::from_millis(5);
const LONGEST: SignedDuration = SignedDuration::from_secs(1);
/// A program is started for each question.
const SHORTEST_OF_PROGRAMS: SignedDuration = SignedDuration::from_millis(250);
const LONGEST_OF_PROGRAMS: SignedDuration = SignedDuration::from_secs(2);
/// A question to a server that does not listen costs nobody else anything.
const LONGEST_OF_SERVERS: SignedDuration = SignedDuration::from_millis(100);
/// A pause is such a part of the time for which was asked already.
const PART: i32 = 20;
/// So long somebody is asked often whose dependency has just become ready, whoever else is asked.
const TURNED_TO: SignedDuration = SignedDuration::from_millis(300);

/// The pace of one service.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    bounds: (SignedDuration, SignedDuration),
    /// Since when is asked, by the kernel's clock.
    since: SignedDuration,
    turned_to: Option<SignedDuration>,
}

impl Pace {
    pub(super) fn of(probe: &ReadinessProbe) -> Self {
        let bounds = match probe {
            ReadinessProbe::Command { .. } => (SHORTEST_OF_PROGRAMS, LONGEST_OF_PROGRAMS),
            ReadinessProbe::Mongodb(_) => (SHORTEST, LONGEST_OF_SERVERS),
            _ => (SHORTEST, LONGEST),
        };
        Self { bounds, since: SignedDuration::ZERO, turned_to: None }
    }

    /// From here on it may become ready at any moment.
    pub(super) fn begin(&mut self, now: SignedDuration) {
        self.since = now;
        self.turned_to = None;
    }

    /// What it waits for is there.
    pub(super) fn turn_to(&mut self, now: SignedDuration) {
        self.begin(now);
        self.turned_to = Some(now);
    }

    /// Until the next question, where so many are asked at the same time.
    pub(super) fn pause(&self, now: SignedDuration, busy: usize) -> SignedDuration {
        let (shortest, longest) = self.bounds;
        let is_turned_to = self.turned_to.is_some_and(|since| now - since < TURNED_TO);
        let busy = if is_turned_to { 1 } else { i32::try_from(busy.max(1)).unwrap_or(i32::MAX) };
        let shortest = shortest.checked_mul(busy).unwrap_or(longest).min(longest);
        ((now - self.since) / PART).clamp(shortest, longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_come_often_at_first_and_never_too_often() {
        let http = ReadinessProbe::Http { url: "http://127.0.0.1/".into(), status: 200, header: None, body: None };
        let program = ReadinessProbe::Command { argv: vec!["/bin/true".into()] };
        let server = ReadinessProbe::Mongodb(crate::model::DatabaseAccess::default());
        for (case, probe, asked_for, busy, expected) in [
            ("at first", &http, 0, 1, 5),
            ("after a second", &http, 1000, 1, 50),
            ("after minutes", &http, 600_000, 1, 1000),
            ("two at a time", &http, 0, 2, 10),
            ("many at a time", &http, 0, 500, 1000),
            ("a program at first", &program, 0, 1, 250),
            ("a program after a minute", &program, 60_000, 1, 2000),
            ("a server after a minute", &server, 60_000, 1, 100),
        ] {
            let mut pace = Pace::of(probe);
            let ms = SignedDuration::from_millis;
            pace.begin(ms(7));
            assert_eq!(pace.pause(ms(7 + asked_for), busy), ms(expected), "{case}");
            pace.turn_to(ms(7 + asked_for));
            let shortest = if case.contains("program") { 250 } else { 5 };
            assert_eq!(pace.pause(ms(7 + asked_for), busy), ms(shortest), "{case}, turned to");
        }
    }
}
