//! When a run may begin: windows, without what is blacked out or held.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Expression;
use crate::model::Hold;

/// A time in which the host may be patched, again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub calendar: Expression,
    /// How long it is open.
    pub duration: SignedDuration,
    /// What must be left of it when the host is back, by estimate.
    pub reserve: SignedDuration,
}

/// A time in which the host must not be patched, whatever the windows say. In the host's own zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blackout {
    pub from: DateTime,
    /// Its end: the first instant that is free again.
    pub until: DateTime,
    pub reason: String,
}

/// A time in which windows are open, one or more that overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Opening {
    /// When the first of them opens. One opening, one automatic run.
    pub opens: Timestamp,
    /// When the last of them closes.
    pub closes: Timestamp,
    /// See [`Window::reserve`]; the longest.
    pub reserve: SignedDuration,
}

/// A part of an opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    pub from: Timestamp,
    pub until: Timestamp,
    /// Why nothing may be done in it; none if the host may be patched.
    pub blocked: Option<String>,
    /// The opening that it is a part of.
    pub opening: Opening,
}

/// Why a run may not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    Held(Hold),
    /// It is blacked out.
    BlackedOut {
        reason: String,
        until: Timestamp,
    },
    /// No window is open.
    Outside {
        /// When one opens next.
        next: Option<Timestamp>,
    },
}

impl Closed {
    /// In words, with the clock of the zone.
    pub fn told(&self, zone: &TimeZone) -> String {
        match self {
            Self::Held(hold) => format!("{hold} (until {})", clock_time(hold.until, zone)),
            Self::BlackedOut { reason, until } => {
                format!("this time is blacked out until {}: {reason}", clock_time(*until, zone))
            }
            Self::Outside { next: Some(next) } => {
                format!("no maintenance window is open; the next one opens {}", clock_time(*next, zone))
            }
            Self::Outside { next: None } => "no maintenance window is open, and none will be".to_owned(),
        }
    }
}

/// An instant for people, as in `Sat 2026-11-28 02:00 CET`.
pub fn clock_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string()
}

/// Windows and blackouts, in a time zone.
#[derive(Debug, Clone, Copy)]
pub struct Schedule<'a> {
    /// Without any, the host may always be patched.
    pub windows: &'a [Window],
    /// These are taken out.
    pub blackouts: &'a [Blackout],
    pub zone: &'a TimeZone,
}

/// Openings before that of today are looked for from so long before: a time that comes twice, when the clocks are set
/// back, is then always seen the first time.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);

/// Occurrences of one window that are looked at for one answer.
const MAX_OCCURRENCES: usize = 10_000;

impl Schedule<'_> {
    /// The openings that end after `now`, in order, as far as `count` of them.
    pub fn openings(&self, now: Timestamp, count: usize) -> Vec<Opening> {
        if self.windows.is_empty() {
            let always = Opening { opens: Timestamp::MIN, closes: Timestamp::MAX, reserve: SignedDuration::ZERO };
            return vec![always];
        }
        let mut all: Vec<Opening> =
            self.windows.iter().flat_map(|window| self.occurrences(window, now, count)).collect();
        all.sort_by_key(|opening| opening.opens);
        let mut merged: Vec<Opening> = Vec::new();
        for next in all {
            match merged.last_mut() {
                Some(last) if next.opens <= last.closes => {
                    last.closes = last.closes.max(next.closes);
                    last.reserve = last.reserve.max(next.reserve);
                }
                _ => merged.push(next),
            }
        }
        merged.retain(|opening| opening.closes > now);
        merged.truncate(count);
        merged
    }

    fn occurrences(&self, window: &Window, now: Timestamp, count: usize) -> Vec<Opening> {
        let mut from = now.saturating_sub(window.duration).unwrap_or(now);
        from = from.saturating_sub(LOOK_BACK).unwrap_or(from);
        let mut found = Vec::new();
        let mut to_come = 0;
        while to_come <= count && found.len() < MAX_OCCURRENCES {
            let Some(opens) = window.calendar.next_after(from, self.zone) else { break };
            from = opens;
            let closes = opens.saturating_add(window.duration).unwrap_or(opens);
            to_come += usize::from(closes > now);
            found.push(Opening { opens, closes, reserve: window.reserve });
        }
        found
    }

    /// The parts of the openings that end after `now`, with what blocks them.
    pub fn pieces(&self, now: Timestamp, hold: Option<&Hold>, count: usize) -> Vec<Piece> {
        let mut blocks = self.blocks();
        if let Some(hold) = hold.filter(|hold| hold.is_in_force(now)) {
            blocks.insert(0, (hold.since, hold.until, hold.to_string()));
        }
        let whole = |opening: Opening| {
            let (from, until) = (opening.opens, opening.closes);
            Piece { from, until, blocked: None, opening }
        };
        let mut pieces: Vec<Piece> = self.openings(now, count).into_iter().map(whole).collect();
        for (from, until, reason) in &blocks {
            pieces = pieces.into_iter().flat_map(|piece| cut(piece, *from, *until, reason)).collect();
        }
        pieces.retain(|piece| piece.until > now);
        pieces
    }

    fn blocks(&self) -> Vec<(Timestamp, Timestamp, String)> {
        let at = |time: DateTime| self.zone.to_timestamp(time).unwrap_or(Timestamp::MIN);
        self.blackouts.iter().map(|blackout| (at(blackout.from), at(blackout.until), blackout.reason.clone())).collect()
    }

    /// The piece that is open now.
    ///
    /// # Errors
    ///
    /// Why none is.
    pub fn open_at(&self, now: Timestamp, hold: Option<&Hold>) -> Result<Piece, Closed> {
        if let Some(hold) = hold.filter(|hold| hold.is_in_force(now)) {
            return Err(Closed::Held(hold.clone()));
        }
        let pieces = self.pieces(now, None, COUNT);
        match pieces.iter().find(|piece| piece.from <= now) {
            Some(piece) => match &piece.blocked {
                None => Ok(piece.clone()),
                Some(reason) => Err(Closed::BlackedOut { reason: reason.clone(), until: piece.until }),
            },
            None => {
                let next = pieces.iter().find(|piece| piece.blocked.is_none()).map(|piece| piece.from);
                Err(Closed::Outside { next })
            }
        }
    }
}

/// Openings among which the next one without a blackout is looked for.
const COUNT: usize = 50;

/// The piece, cut where the block begins and ends. What is blocked already keeps its reason.
fn cut(piece: Piece, from: Timestamp, until: Timestamp, reason: &str) -> Vec<Piece> {
    if piece.blocked.is_some() || until <= piece.from || from >= piece.until {
        return vec![piece];
    }
    let blocked = Piece {
        from: piece.from.max(from),
        until: piece.until.min(until),
        blocked: Some(reason.to_owned()),
        ..piece.clone()
    };
    let before = Piece { until: blocked.from, ..piece.clone() };
    let after = Piece { from: blocked.until, ..piece };
    [before, blocked, after].into_iter().filter(|piece| piece.from < piece.until).collect()
}
