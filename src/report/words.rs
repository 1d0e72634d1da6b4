//! How people say durations, counts and instants. Every view and report goes through here, so that they agree.

use jiff::{SignedDuration, Timestamp};

pub use super::harmless::one_line;

/// A duration as people say it: `38 ms`, `0.4 s`, `14 s`, `1 min 24 s`, `2 h 5 min`, `3 days 4 h`.
///
/// A negative duration comes from a clock that was set back; it proves nothing, and reads as `0 s`.
pub fn duration(took: SignedDuration) -> String {
    let millis = took.as_millis().max(0);
    match millis {
        0 => "0 s".to_owned(),
        1..100 => format!("{millis} ms"),
        100..9_950 => {
            let tenths = (millis + 50) / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        _ => whole_seconds((millis + 500) / 1_000),
    }
}

/// A duration that still grows, in whole seconds: tenths that flicker say nothing.
pub fn running(so_far: SignedDuration) -> String {
    whole_seconds(i128::from(so_far.as_secs().max(0)))
}

/// A duration that is guessed: no more exact than a guess can be.
pub fn roughly(remaining: SignedDuration) -> String {
    let seconds = i128::from(remaining.as_secs().max(0));
    let grain = match seconds {
        ..20 => 1,
        20..60 => 5,
        60..600 => 15,
        600..3_600 => 60,
        _ => 300,
    };
    whole_seconds((seconds + grain / 2) / grain * grain)
}

/// Whole seconds in their two largest units.
fn whole_seconds(seconds: i128) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let pair = |large: i128, large_unit: &str, small: i128, small_unit: &str| {
        if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
    };
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => pair(minutes, "min", seconds % 60, "s"),
        3_600..86_400 => pair(hours, "h", minutes % 60, "min"),
        _ => pair(days, if days == 1 { "day" } else { "days" }, hours % 24, "h"),
    }
}

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

/// Date and time. Always UTC and always said: a report is read in another zone than it was written in.
pub fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The time of day, in UTC, where the date is already said.
pub fn time_of_day(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
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
    fn durations_read_as_people_say_them() {
        for (millis, said) in [
            (-5_000, "0 s"),
            (0, "0 s"),
            (38, "38 ms"),
            (99, "99 ms"),
            (100, "0.1 s"),
            (449, "0.4 s"),
            (9_949, "9.9 s"),
            (9_950, "10 s"),
            (14_400, "14 s"),
            (59_499, "59 s"),
            (59_500, "1 min"),
            (84_000, "1 min 24 s"),
            (3_599_600, "1 h"),
            (7_500_000, "2 h 5 min"),
            (86_400_000, "1 day"),
            (273_600_000, "3 days 4 h"),
        ] {
            assert_eq!(duration(SignedDuration::from_millis(millis)), said, "{millis}");
        }
    }

    #[test]
    fn a_guess_is_told_no_more_exactly_than_it_is() {
        for (seconds, said) in [
            (-1, "0 s"),
            (13, "13 s"),
            (42, "40 s"),
            (58, "1 min"),
            (97, "1 min 30 s"),
            (1_000, "17 min"),
            (9_000, "2 h 30 min"),
        ] {
            assert_eq!(roughly(SignedDuration::from_secs(seconds)), said, "{seconds}");
        }
    }

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
