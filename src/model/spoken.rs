//! How people say durations. Every sentence goes through here, so that all agree.

use jiff::SignedDuration;

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

/// A duration that somebody has set, or that counts whole seconds: `10 s`, and not `10.0 s`.
pub fn exactly(set: SignedDuration) -> String {
    if set.subsec_nanos() == 0 { running(set) } else { duration(set) }
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
    fn what_was_set_is_told_as_it_was_set() {
        for (millis, said) in [(300, "0.3 s"), (2_000, "2 s"), (2_500, "2.5 s"), (90_000, "1 min 30 s")] {
            assert_eq!(exactly(SignedDuration::from_millis(millis)), said, "{millis}");
        }
    }
}
