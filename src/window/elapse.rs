//! The next instant that an expression names.
//!
//! When clocks change, it is as with systemd's timers: a time that the clocks leave out does not elapse on that day, and
//! one that comes twice elapses once, at the first.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::expression::{EVERY_DAY, Expression, Field, Item};

/// Dates that are tried: more than there are days in the years that systemd knows.
const MAX_LOOKS: u32 = 100_000;

impl Expression {
    /// The first instant after `after`. `local` is the zone of an expression that names none.
    pub fn next_after(&self, after: Timestamp, local: &TimeZone) -> Option<Timestamp> {
        let zone = self.zone.as_ref().unwrap_or(local);
        let mut from = after.checked_add(SignedDuration::from_secs(1)).ok()?.to_zoned(zone.clone()).datetime();
        from = from.with().subsec_nanosecond(0).build().ok()?;
        for _ in 0..MAX_LOOKS {
            let civil = self.next_civil(from)?;
            let ambiguous = zone.to_ambiguous_timestamp(civil);
            match ambiguous.offset() {
                AmbiguousOffset::Gap { .. } => from = end_of_gap(civil, zone)?,
                AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                    let first = ambiguous.earlier().ok()?;
                    // Whoever asks while the time comes for the second time is told of that.
                    let at = if first > after { first } else { zone.to_ambiguous_timestamp(civil).later().ok()? };
                    return (at > after).then_some(at);
                }
            }
        }
        None
    }

    /// The first date and time from `from` on, by the calendar alone.
    fn next_civil(&self, from: DateTime) -> Option<DateTime> {
        let (mut date, mut time) = (from.date(), clock(from));
        for _ in 0..MAX_LOOKS {
            let found = self.next_date(date)?;
            if found != date {
                time = [0; 3];
            }
            match self.next_time(time) {
                Some([hour, minute, second]) => {
                    let narrow = |value: i32| i8::try_from(value).ok();
                    return Some(found.at(narrow(hour)?, narrow(minute)?, narrow(second)?, 0));
                }
                None => (date, time) = (found.tomorrow().ok()?, [0; 3]),
            }
        }
        None
    }

    fn next_date(&self, from: Date) -> Option<Date> {
        let mut date = from;
        for _ in 0..MAX_LOOKS {
            let year = next_value(&self.year, date.year().into())?;
            if year != i32::from(date.year()) {
                date = Date::new(i16::try_from(year).ok()?, 1, 1).ok()?;
            }
            // systemd knows no later one.
            if year > 2199 {
                return None;
            }
            match next_value(&self.month, date.month().into()) {
                Some(month) if month == i32::from(date.month()) => {}
                Some(month) if month <= 12 => {
                    date = Date::new(date.year(), i8::try_from(month).ok()?, 1).ok()?;
                }
                _ => {
                    date = date.last_of_year().tomorrow().ok()?;
                    continue;
                }
            }
            match self.next_day(date) {
                Some(day) if day <= i32::from(date.days_in_month()) => {
                    date = Date::new(date.year(), date.month(), i8::try_from(day).ok()?).ok()?;
                }
                _ => {
                    date = date.last_of_month().tomorrow().ok()?;
                    continue;
                }
            }
            if self.weekdays == EVERY_DAY || self.weekdays & (1 << date.weekday().to_monday_zero_offset()) != 0 {
                return Some(date);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn next_day(&self, date: Date) -> Option<i32> {
        if !self.day_from_end {
            return next_value(&self.day, date.day().into());
        }
        let length = i32::from(date.days_in_month());
        let from_begin = |item: &Item| match item.stop {
            Some(stop) => Item { start: length + 1 - stop, stop: Some(length + 1 - item.start), step: item.step },
            None => Item { start: length + 1 - item.start, stop: None, step: item.step },
        };
        let day = self.day.as_ref().map(|items| items.iter().map(from_begin).collect());
        next_value(&day, date.day().into())
    }

    fn next_time(&self, [hour, minute, second]: [i32; 3]) -> Option<[i32; 3]> {
        let first = |field| next_value(field, 0);
        let found = next_value(&self.hour, hour)?;
        if found != hour {
            return (found < 24).then_some([found, first(&self.minute)?, first(&self.second)?]);
        }
        let later_hour = || self.next_time([hour + 1, 0, 0]);
        match next_value(&self.minute, minute).filter(|found| *found < 60) {
            None => later_hour(),
            Some(found) if found != minute => Some([hour, found, first(&self.second)?]),
            Some(_) => match next_value(&self.second, second).filter(|found| *found < 60) {
                Some(found) => Some([hour, minute, found]),
                None if minute < 59 => self.next_time([hour, minute + 1, 0]),
                None => later_hour(),
            },
        }
        .filter(|[hour, ..]| *hour < 24)
    }
}

fn clock(at: DateTime) -> [i32; 3] {
    [at.hour().into(), at.minute().into(), at.second().into()]
}

/// The smallest value from `from` on.
fn next_value(field: &Field, from: i32) -> Option<i32> {
    let Some(items) = field else { return Some(from) };
    let next = |item: &Item| {
        if item.start >= from {
            return Some(item.start);
        }
        if item.step == 0 {
            return None;
        }
        let steps = (from - item.start + item.step - 1) / item.step;
        let value = item.start + steps * item.step;
        item.stop.is_none_or(|stop| value <= stop).then_some(value)
    };
    items.iter().filter_map(next).min()
}

/// What the clocks show first after the time that they left out.
fn end_of_gap(civil: DateTime, zone: &TimeZone) -> Option<DateTime> {
    let after = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    let transition = zone.preceding(after.checked_add(1.second()).ok()?).next()?;
    Some(transition.timestamp().to_zoned(zone.clone()).datetime())
}
