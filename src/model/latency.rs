//! How fast a service answers.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Answers below this are never called slow: below it, a busy moment of the host makes the difference.
const NOT_SLOW: SignedDuration = SignedDuration::from_millis(200);
/// A service is slower when its typical answer takes this many times as long as before.
const TIMES: i32 = 3;

/// The answers of a sample of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    pub samples: u32,
    /// Half of them were as fast as this.
    pub p50: SignedDuration,
    /// Nineteen of twenty were as fast as this.
    pub p95: SignedDuration,
}

impl Latency {
    /// Of these answers; none if there are none.
    pub fn of(mut answers: Vec<SignedDuration>) -> Option<Self> {
        answers.sort_unstable();
        // The nearest rank: the smallest value that so many of a hundred do not exceed.
        let rank = |percent: usize| answers.get((answers.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { samples: u32::try_from(answers.len()).ok()?, p50: rank(50)?, p95: rank(95)? })
    }

    /// Whether answers became so much slower that somebody will notice. The median decides: one slow answer of twenty
    /// is the garbage collector, or a cold cache.
    pub fn is_slower_than(&self, before: &Self) -> bool {
        self.p50 > NOT_SLOW && self.p50 > before.p50 * TIMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(list: &[i64]) -> Vec<SignedDuration> {
        list.iter().copied().map(SignedDuration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let sample: Vec<i64> = (1..=20).rev().collect();
        let latency = Latency::of(millis(&sample)).unwrap();
        assert_eq!((latency.samples, latency.p50, latency.p95), (20, millis(&[10])[0], millis(&[19])[0]));
        assert_eq!(Latency::of(millis(&[7])).map(|one| (one.p50, one.p95)), Some((millis(&[7])[0], millis(&[7])[0])));
        assert_eq!(Latency::of(Vec::new()), None);
        let text = serde_json::to_string(&latency).unwrap();
        assert_eq!(serde_json::from_str::<Latency>(&text).unwrap(), latency);
    }

    #[test]
    fn slow_is_what_somebody_notices() {
        for (before, after, slower) in [
            (2, 90, false),    // forty-five times, and nobody sees it
            (2, 1500, true),   // a page that takes a second and a half
            (600, 900, false), // it was slow before
            (600, 2000, true),
        ] {
            let of = |one| Latency::of(millis(&[one; 20])).unwrap();
            assert_eq!(of(after).is_slower_than(&of(before)), slower, "{before} -> {after}");
        }
        let mut one_outlier = [5; 20];
        one_outlier[3] = 4000;
        assert!(!Latency::of(millis(&one_outlier)).unwrap().is_slower_than(&Latency::of(millis(&[5; 20])).unwrap()));
    }
}
