//! `[[window]]` and `[[blackout]]`.

use jiff::civil::{Date, DateTime, Time};

use super::keys;
use super::kind::Kind;
use super::reader::Reader;
use super::values::{Wrong, quoted};
use crate::window::{self as model, Expression};

impl Reader<'_> {
    pub(super) fn window(self) -> Option<model::Window> {
        let calendar = self.taken(&keys::CALENDAR, calendar);
        let duration = self.duration(&keys::WINDOW_DURATION);
        let reserve = self.duration(&keys::RESERVE);
        if !duration.is_zero() && duration <= reserve {
            let message = format!("expected more than the reserve of {reserve:#}, found {duration:#}");
            let hint = "a run needs time besides the reserve: choose a longer window, or a shorter reserve";
            self.problem_of(&keys::WINDOW_DURATION, message, hint);
        }
        Some(model::Window { calendar: calendar?, duration, reserve })
    }

    pub(super) fn blackout(self) -> Option<model::Blackout> {
        let from = self.taken(&keys::BLACKOUT_FROM, |text| day(text, DayEnd::Begin));
        let until = match self.written(&keys::BLACKOUT_UNTIL) {
            Some(_) => self.taken(&keys::BLACKOUT_UNTIL, |text| day(text, DayEnd::End)),
            None => self.written(&keys::BLACKOUT_FROM).and_then(|text| day(text, DayEnd::End).ok()),
        };
        let reason = self.text(&keys::BLACKOUT_REASON);
        let (from, until) = (from?, until?);
        if until <= from {
            let (message, hint) = ("expected an end after the begin, found one before it", "exchange from and until");
            self.problem_of(&keys::BLACKOUT_UNTIL, message, hint);
        }
        Some(model::Blackout { from, until, reason: reason? })
    }
}

fn calendar(text: &str) -> Result<Expression, Wrong> {
    text.parse().map_err(|why| {
        let hint = format!("see what systemd says to it: systemd-analyze calendar {}", quoted(text));
        Wrong::new(Kind::Calendar.expected(), format!("{} ({why})", quoted(text)), hint)
    })
}

/// What a day without a time means.
#[derive(Clone, Copy)]
enum DayEnd {
    Begin,
    End,
}

fn day(text: &str, end: DayEnd) -> Result<DateTime, Wrong> {
    let at = match (text.parse::<Date>(), end) {
        // jiff also reads the date of a text that has a time.
        (Ok(date), DayEnd::Begin) if text.len() == 10 => Ok(date.to_datetime(Time::midnight())),
        (Ok(date), DayEnd::End) if text.len() == 10 => date.tomorrow().map(|next| next.to_datetime(Time::midnight())),
        _ => text.parse::<DateTime>(),
    };
    at.map_err(|_| {
        let hint = "write it as in \"2026-12-20\" or \"2026-12-20 18:00\"";
        Wrong::new(Kind::Day.expected(), quoted(text), hint)
    })
}
