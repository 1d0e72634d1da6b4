//! How people say durations, counts and instants. Every view and report goes through here, so that they agree.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use super::harmless::one_line;
pub use crate::model::spoken::{duration, exactly, roughly, running};

/// A count with its noun: `1 package`, `2 packages`, `3 vulnerabilities`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        return format!("1 {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}

/// Packages, and how many of them are for security: `28 packages (3 security)`.
pub fn packages(all: usize, security: usize) -> String {
    let of_security = if security == 0 { String::new() } else { format!(" ({security} security)") };
    count(all, "package") + &of_security
}

/// Items as in a sentence: `a`, `a and b`, `a, b and c`.
pub fn list<I>(items: I) -> String
where
    I: IntoIterator,
    I::Item: ToString,
{
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// With a large letter first, as a sentence begins; a unit or a file keeps its name.
pub fn capital(text: &str) -> String {
    if text.split_whitespace().next().is_some_and(|word| word.trim_end_matches(['.', ':']).contains(['.', '/'])) {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// Date and time. The zone is always said: a report is read in another one than it was written in.
pub fn instant(at: Timestamp, zone: &TimeZone) -> String {
    in_zone(at, zone, "%Y-%m-%d %H:%M:%S %Z")
}

/// Date and time to the minute, for a table.
pub fn minute(at: Timestamp, zone: &TimeZone) -> String {
    in_zone(at, zone, "%Y-%m-%d %H:%M %Z")
}

/// The date alone, for a title.
pub fn day(at: Timestamp, zone: &TimeZone) -> String {
    in_zone(at, zone, "%Y-%m-%d")
}

/// The time of day, where the date and the zone are already said.
pub fn time_of_day(at: Timestamp, zone: &TimeZone) -> String {
    in_zone(at, zone, "%H:%M:%S")
}

/// What the zone is called at that time: `CET`, and `CEST` in summer.
pub fn zone_name(at: Timestamp, zone: &TimeZone) -> String {
    in_zone(at, zone, "%Z")
}

fn in_zone(at: Timestamp, zone: &TimeZone, format: &str) -> String {
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

/// Elapsed time as a clock shows it, for columns that must line up: `00:01:24`.
pub fn clock(elapsed: SignedDuration) -> String {
    let seconds = elapsed.as_secs().max(0);
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// From one instant to a later one; none if the clock went backwards in between, since that proves nothing.
pub fn between(from: Timestamp, until: Timestamp) -> Option<SignedDuration> {
    let took = until.duration_since(from);
    (!took.is_negative()).then_some(took)
}

/// Program and arguments as they are typed into a shell.
pub fn command_line(argv: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    let word = |word: &String| match word.chars().all(is_plain) && !word.is_empty() {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_lists_read_as_sentences() {
        assert_eq!(count(0, "package"), "0 packages");
        assert_eq!(count(1, "package"), "1 package");
        assert_eq!(count(2, "vulnerability"), "2 vulnerabilities");
        assert_eq!(count(2, "day"), "2 days");
        assert_eq!(list(["a"]), "a");
        assert_eq!(list(["a", "b", "c"]), "a, b and c");
        assert_eq!(list(Vec::<String>::new()), "");
    }

    #[test]
    fn an_instant_is_told_by_the_clock_on_the_wall_and_says_whose() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        for (at, told) in
            [("2026-11-23T23:10:04Z", "2026-11-24 00:10:04 CET"), ("2026-06-23T23:10:04Z", "2026-06-24 01:10:04 CEST")]
        {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(instant(at, &berlin), told);
            assert_eq!(
                instant(at, &berlin),
                format!("{} {} {}", day(at, &berlin), time_of_day(at, &berlin), zone_name(at, &berlin))
            );
        }
    }

    #[test]
    fn a_command_can_be_typed_as_it_is_told() {
        let argv = ["/sbin/silence", "--host=web1", "it's $HOME", ""].map(str::to_owned);
        assert_eq!(command_line(&argv), r"/sbin/silence --host=web1 'it'\''s $HOME' ''");
    }

    #[test]
    fn a_clock_that_went_backwards_proves_nothing() {
        let early: Timestamp = "2026-11-23T23:10:00Z".parse().unwrap();
        let late: Timestamp = "2026-11-23T23:10:14Z".parse().unwrap();
        assert_eq!(between(early, late), Some(SignedDuration::from_secs(14)));
        assert_eq!(between(late, early), None);
        assert_eq!(clock(SignedDuration::from_secs(-1)), "00:00:00");
        assert_eq!(clock(SignedDuration::from_secs(5_025)), "01:23:45");
    }
}
