//! Calendar expressions as systemd takes them (systemd.time(7)), as in `Sat *-*-8..14 02:00 Europe/Berlin`. What systemd
//! refuses is refused. Fractions of a second are not taken, nor the abbreviations of zones (`CEST`).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A text that is no calendar expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidExpression(pub(super) String);

type Parsed<T> = Result<T, InvalidExpression>;

/// The values of one component. None: every value.
pub(super) type Field = Option<Vec<Item>>;

/// A value, a range, or a value with steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) start: i32,
    /// The end of a range; none if it goes on to the end of the component.
    pub(super) stop: Option<i32>,
    /// 0: only `start`.
    pub(super) step: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression {
    text: String,
    /// Bit 0 is Monday.
    pub(super) weekdays: u8,
    pub(super) year: Field,
    pub(super) month: Field,
    pub(super) day: Field,
    /// Days are counted from the end of the month: 1 is the last.
    pub(super) day_from_end: bool,
    pub(super) hour: Field,
    pub(super) minute: Field,
    pub(super) second: Field,
    /// None: the host's own.
    pub(super) zone: Option<TimeZone>,
}

pub(super) const EVERY_DAY: u8 = 0x7f;

const DAYS: [(&str, u8); 14] = [
    ("monday", 0),
    ("mon", 0),
    ("tuesday", 1),
    ("tue", 1),
    ("wednesday", 2),
    ("wed", 2),
    ("thursday", 3),
    ("thu", 3),
    ("friday", 4),
    ("fri", 4),
    ("saturday", 5),
    ("sat", 5),
    ("sunday", 6),
    ("sun", 6),
];

const SHORTHANDS: [(&str, &str); 12] = [
    ("minutely", "*-*-* *:*:00"),
    ("hourly", "*-*-* *:00:00"),
    ("daily", "*-*-* 00:00:00"),
    ("weekly", "Mon *-*-* 00:00:00"),
    ("monthly", "*-*-01 00:00:00"),
    ("quarterly", "*-01,04,07,10-01 00:00:00"),
    ("biannually", "*-01,07-01 00:00:00"),
    ("bi-annually", "*-01,07-01 00:00:00"),
    ("semiannually", "*-01,07-01 00:00:00"),
    ("semi-annually", "*-01,07-01 00:00:00"),
    ("annually", "*-01-01 00:00:00"),
    ("yearly", "*-01-01 00:00:00"),
];

impl FromStr for Expression {
    type Err = InvalidExpression;

    fn from_str(text: &str) -> Parsed<Self> {
        let (rest, zone) = split_zone(text)?;
        if rest.is_empty() {
            return Err(wrong("it is empty"));
        }
        let shorthand = SHORTHANDS.iter().find(|(name, _)| rest.eq_ignore_ascii_case(name));
        let mut parser = Parser { rest: shorthand.map_or(rest, |(_, long)| long) };
        let mut expression = Self {
            text: text.to_owned(),
            weekdays: parser.weekdays()?,
            year: None,
            month: None,
            day: None,
            day_from_end: false,
            hour: only(0),
            minute: only(0),
            second: only(0),
            zone,
        };
        if parser.timestamp(&mut expression)? {
            return Ok(expression);
        }
        parser.date(&mut expression)?;
        parser.time(&mut expression)?;
        expression.normalize();
        expression.check()?;
        Ok(expression)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Expression {
    type Error = InvalidExpression;

    fn try_from(text: String) -> Parsed<Self> {
        text.parse()
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.text
    }
}

fn wrong(why: impl Into<String>) -> InvalidExpression {
    InvalidExpression(why.into())
}

fn only(value: i32) -> Field {
    Some(vec![Item { start: value, stop: None, step: 0 }])
}

/// A last word that begins with a letter and is not the whole text is a time zone, unless it belongs to the weekdays.
fn split_zone(text: &str) -> Parsed<(&str, Option<TimeZone>)> {
    let Some((rest, last)) = text.rsplit_once(' ') else { return Ok((text, None)) };
    if !last.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Ok((text, None));
    }
    let zone = TimeZone::get(last).map_err(|_| wrong(format!("there is no time zone \"{last}\"")))?;
    Ok((rest.trim_end(), Some(zone)))
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Whether a part of the expression ends here.
    fn at_end_of_part(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(' ')
    }

    fn unexpected(&self) -> InvalidExpression {
        match self.rest {
            "" => wrong("something is missing at its end"),
            rest => wrong(format!("\"{rest}\" is not understood")),
        }
    }

    fn weekdays(&mut self) -> Parsed<u8> {
        let mut days = 0_u8;
        let mut range_from = None;
        loop {
            let lower = self.rest.to_ascii_lowercase();
            let Some((name, day)) = DAYS.iter().find(|(name, _)| lower.starts_with(name)) else {
                return if days == 0 { Ok(EVERY_DAY) } else { Err(self.unexpected()) };
            };
            self.rest = &self.rest[name.len()..];
            if let Some(from) = range_from.take() {
                if from > *day {
                    return Err(wrong("a range of weekdays must not go over the end of the week, which is Sunday"));
                }
                days |= (from..=*day).fold(0, |bits, day| bits | 1 << day);
                if self.rest.starts_with("..") || self.rest.starts_with('-') {
                    return Err(self.unexpected());
                }
            }
            days |= 1 << day;
            if self.at_end_of_part() {
                break;
            }
            if self.eat("..") || self.eat("-") {
                range_from = Some(*day);
            } else if !self.eat(",") {
                return Err(self.unexpected());
            }
            if self.at_end_of_part() {
                if range_from.is_some() {
                    return Err(wrong("a range of weekdays has no end"));
                }
                break;
            }
        }
        self.skip_spaces();
        Ok(days)
    }

    /// `@SECONDS` since 1970: one instant.
    fn timestamp(&mut self, expression: &mut Expression) -> Parsed<bool> {
        if !self.eat("@") {
            return Ok(false);
        }
        let seconds = self.rest.parse::<i64>().map_err(|_| self.unexpected())?;
        let at = Timestamp::from_second(seconds).map_err(|_| self.unexpected())?;
        let at = at.to_zoned(TimeZone::UTC).datetime();
        expression.year = only(at.year().into());
        expression.month = only(at.month().into());
        expression.day = only(at.day().into());
        expression.hour = only(at.hour().into());
        expression.minute = only(at.minute().into());
        expression.second = only(at.second().into());
        expression.zone = Some(TimeZone::UTC);
        Ok(true)
    }

    fn date(&mut self, expression: &mut Expression) -> Parsed<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let before = self.rest;
        let first = self.chain()?;
        // No date, but a time.
        if self.rest.is_empty() || self.rest.starts_with(':') {
            self.rest = before;
            return Ok(());
        }
        let mut from_end = self.date_separator()?;
        let second = self.chain()?;
        let (year, month, day) = if self.at_end_of_part() {
            (None, first, second)
        } else {
            if from_end {
                return Err(self.unexpected());
            }
            from_end = self.date_separator()?;
            (first, second, self.chain()?)
        };
        if !self.at_end_of_part() {
            return Err(self.unexpected());
        }
        self.skip_spaces();
        expression.day_from_end = from_end;
        (expression.year, expression.month, expression.day) = (year, month, day);
        Ok(())
    }

    /// `-`, or `~` before a day that is counted from the end of the month.
    fn date_separator(&mut self) -> Parsed<bool> {
        if self.eat("~") {
            return Ok(true);
        }
        if self.eat("-") { Ok(false) } else { Err(self.unexpected()) }
    }

    fn time(&mut self, expression: &mut Expression) -> Parsed<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        expression.hour = self.chain()?;
        if !self.eat(":") {
            return Err(self.unexpected());
        }
        expression.minute = self.chain()?;
        if self.eat(":") {
            expression.second = self.chain()?;
        }
        if self.rest.is_empty() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// `*`, or values, ranges and steps with commas between them.
    fn chain(&mut self) -> Parsed<Field> {
        if self.eat("*") {
            return Ok(None);
        }
        let mut items = Vec::new();
        loop {
            let mut item = Item { start: self.number()?, stop: None, step: 0 };
            if self.eat("..") {
                item.stop = Some(self.number()?);
                item.step = 1;
            }
            if self.eat("/") {
                item.step = self.number()?;
                if item.step == 0 {
                    return Err(wrong("a step of 0 leads nowhere"));
                }
            }
            items.push(item);
            if !self.eat(",") {
                return Ok(Some(items));
            }
        }
    }

    fn number(&mut self) -> Parsed<i32> {
        let end = self.rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let number = digits.parse().map_err(|_| self.unexpected())?;
        self.rest = rest;
        if rest.starts_with('.') && !rest.starts_with("..") {
            return Err(wrong("fractions of a second are not taken"));
        }
        Ok(number)
    }
}

impl Expression {
    /// Years of two digits are of this century or the last; a range ends at its last step.
    fn normalize(&mut self) {
        let full = |year: i32| match year {
            0..=69 => year + 2000,
            70..=99 => year + 1900,
            year => year,
        };
        for item in self.year.iter_mut().flatten() {
            item.start = full(item.start);
            item.stop = item.stop.map(full);
        }
        let fields =
            [&mut self.year, &mut self.month, &mut self.day, &mut self.hour, &mut self.minute, &mut self.second];
        for item in fields.into_iter().flatten().flatten() {
            if let Some(stop) = item.stop
                && stop >= item.start
            {
                let last = stop - (stop - item.start) % item.step;
                (item.stop, item.step) = if last == item.start { (None, 0) } else { (Some(last), item.step) };
            }
        }
    }

    fn check(&self) -> Parsed<()> {
        // Every month has a 28th day from its end.
        let last_day = if self.day_from_end { 28 } else { 31 };
        for (name, field, from, to) in [
            ("year", &self.year, 1970, 2199),
            ("month", &self.month, 1, 12),
            ("day", &self.day, 1, last_day),
            ("hour", &self.hour, 0, 23),
            ("minute", &self.minute, 0, 59),
            ("second", &self.second, 0, 59),
        ] {
            for item in field.iter().flatten() {
                let within = |value: i32| (from..=to).contains(&value);
                if !within(item.start) || !item.stop.is_none_or(within) {
                    return Err(wrong(format!("a {name} is from {from} to {to}")));
                }
                if item.stop.is_some_and(|stop| stop < item.start) {
                    return Err(wrong(format!("a range of {name}s ends before it begins")));
                }
                let first_step = match item.stop {
                    Some(_) => item.start,
                    None if self.day_from_end && name == "day" => item.start - item.step,
                    None => item.start + item.step,
                };
                if item.step > to - from || !within(first_step) {
                    return Err(wrong(format!("a step of {} {name}s leads nowhere", item.step)));
                }
            }
        }
        Ok(())
    }
}
