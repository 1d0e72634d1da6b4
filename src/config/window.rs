//! `[[window]]` and `[[blackout]]`.

use jiff::civil::{Date, DateTime, Time};
use serde::Deserialize;
use toml::Spanned;

use super::check::Check;
use super::keys;
use super::kind::Kind;
use super::values::{Wrong, quoted};
use crate::window::{self as model, Expression};

/// `[[window]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    calendar: Spanned<String>,
    duration: Spanned<String>,
    reserve: Option<Spanned<String>>,
}

/// `[[blackout]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blackout {
    from: Spanned<String>,
    until: Option<Spanned<String>>,
    reason: Spanned<String>,
}

impl Check<'_> {
    pub(super) fn window(&mut self, given: &Window) -> Option<model::Window> {
        let calendar = self.taken(&keys::CALENDAR, Some(&given.calendar), calendar);
        let duration = self.duration(&keys::WINDOW_DURATION, Some(&given.duration));
        let reserve = self.duration(&keys::RESERVE, given.reserve.as_ref());
        if !duration.is_zero() && duration <= reserve {
            let message = format!("expected more than the reserve of {reserve:#}, found {duration:#}");
            let hint = "a run needs time besides the reserve: choose a longer window, or a shorter reserve";
            self.problem(&given.duration.span(), keys::WINDOW_DURATION.path(), message, hint);
        }
        Some(model::Window { calendar: calendar?, duration, reserve })
    }

    pub(super) fn blackout(&mut self, given: &Blackout) -> Option<model::Blackout> {
        let from = self.taken(&keys::BLACKOUT_FROM, Some(&given.from), |text| day(text, DayEnd::Begin));
        let last = given.until.as_ref().unwrap_or(&given.from);
        let until = self.taken(&keys::BLACKOUT_UNTIL, Some(last), |text| day(text, DayEnd::End));
        let reason = self.text(&keys::BLACKOUT_REASON, Some(&given.reason), words);
        let (from, until) = (from?, until?);
        if until <= from {
            let (message, hint) = ("expected an end after the begin, found one before it", "exchange from and until");
            self.problem(&last.span(), keys::BLACKOUT_UNTIL.path(), message, hint);
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

fn words(text: &str) -> Result<(), Wrong> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Wrong::new(Kind::Words.expected(), quoted(text), "say it in a few words"));
    }
    Ok(())
}
