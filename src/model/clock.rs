//! Two clocks: the wall's, which people read and anybody may set, and the kernel's since its boot, which nobody sets and
//! which counts while the machine is suspended. A run's times go by the second, from where the first one stood.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::BootId;

/// Where a run's time and the kernel's clock stood together, on one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// The boot whose clock counts.
    pub boot: BootId,
    pub at: Timestamp,
    pub since_boot: SignedDuration,
    /// How far the wall's clock is ahead of the run's time, since somebody set it meanwhile.
    #[serde(default)]
    pub wall_ahead: SignedDuration,
}

/// A moment as people read it, in a sentence.
pub fn in_utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

impl ClockAnchor {
    /// The run's time when the kernel's clock says `since_boot`, on the anchor's boot.
    pub fn time(&self, since_boot: SignedDuration) -> Timestamp {
        self.at.saturating_add(since_boot - self.since_boot).unwrap_or(self.at)
    }
}

/// A run's time on another boot than the one on which it was last known to be `last`. Only the wall's clock goes on over a
/// boot, and what was set on it may have stayed or not: the shorter time that has passed by it is taken, and none that is
/// shorter than this boot is long.
pub fn time_on_next_boot(
    wall: Timestamp,
    last: Timestamp,
    wall_ahead: SignedDuration,
    uptime: SignedDuration,
) -> Timestamp {
    let by_wall = wall.duration_since(last);
    let plausible = [by_wall, by_wall - wall_ahead].into_iter().filter(|passed| *passed >= uptime).min();
    last.saturating_add(plausible.unwrap_or(uptime)).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_boot_the_time_that_passed_is_plausible_whatever_was_set() {
        const DAY: i64 = 86_400;
        let at =
            |seconds: i64| "2026-11-23T03:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds);
        // The wall's clock behind the last sign of life, how far it was ahead then, the uptime; and what is right.
        for (wall, ahead, uptime, expected, what) in [
            (40, 0, 15, 40, "nobody set it"),
            (DAY + 40, DAY, 15, 40, "set forward, and it stayed so"),
            (40, DAY, 15, 40, "set forward, and the machine's own clock was right"),
            (40 - DAY, -DAY, 15, 40, "set back, and it stayed so"),
            (40, -DAY, 15, 40, "set back, and the machine's own clock was right"),
            (-DAY, 0, 15, 15, "a machine without a clock"),
            (5, 0, 15, 15, "it began where the last boot had saved it"),
            (3 * DAY, 0, 15, 3 * DAY, "the host was off for three days"),
            (3 * DAY + 40, DAY, 15, 2 * DAY + 40, "both"),
        ] {
            let secs = SignedDuration::from_secs;
            let time = time_on_next_boot(at(wall), at(0), secs(ahead), secs(uptime));
            assert_eq!(time, at(expected), "{what}");
        }
    }
}
