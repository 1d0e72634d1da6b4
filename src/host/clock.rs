//! The real clocks, and the time of a run.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use super::Clock;
use crate::model::{BootId, ClockAnchor};

/// The host's clocks, and tokio's timer for waiting.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn since_boot(&self) -> SignedDuration {
        let now = clock_gettime(ClockId::Boottime);
        SignedDuration::new(now.tv_sec, i32::try_from(now.tv_nsec).unwrap_or_default())
    }

    /// As `TZ` and `/etc/localtime` say; a host without either is in UTC, as systemd has it.
    fn zone(&self) -> TimeZone {
        Some(TimeZone::system()).filter(|zone| !zone.is_unknown()).unwrap_or(TimeZone::UTC)
    }

    /// Waits by the monotonic clock, so that a step of the wall clock neither shortens nor stretches it. A negative
    /// duration has passed already.
    async fn sleep(&self, duration: SignedDuration) {
        if let Ok(duration) = std::time::Duration::try_from(duration) {
            tokio::time::sleep(duration).await;
        }
    }
}

/// The time of a run: it begins with the wall's and goes on by the kernel's, so that every wait and every duration is what
/// it was, whoever sets the host's clock meanwhile. Clones share it.
#[derive(Clone)]
pub struct RunClock {
    source: Arc<dyn Clock>,
    anchor: Arc<Mutex<(Timestamp, SignedDuration)>>,
}

impl RunClock {
    /// Begins with the wall's time.
    pub fn new(source: Arc<dyn Clock>) -> Self {
        let anchor = (source.wall(), source.since_boot());
        Self { source, anchor: Arc::new(Mutex::new(anchor)) }
    }

    /// The run's time. Never steps.
    pub fn now(&self) -> Timestamp {
        let (at, since_boot) = self.anchor();
        at.saturating_add(self.source.since_boot() - since_boot).unwrap_or(at)
    }

    /// The wall's time, for what is compared with the calendar or with times that others wrote.
    pub fn wall(&self) -> Timestamp {
        self.source.wall()
    }

    /// Whose clocks the people of this host read.
    pub fn zone(&self) -> TimeZone {
        self.source.zone()
    }

    pub async fn sleep(&self, duration: SignedDuration) {
        self.source.sleep(duration).await;
    }

    /// Goes on from what was saved on this boot.
    pub fn go_on_from(&self, saved: &ClockAnchor) {
        self.set(saved.at, saved.since_boot);
    }

    /// Goes on from this time.
    pub fn go_on_at(&self, now: Timestamp) {
        self.set(now, self.source.since_boot());
    }

    /// What is to be saved, for whoever goes on on this boot.
    pub fn saved(&self, boot: BootId) -> ClockAnchor {
        let (at, since_boot) = self.anchor();
        ClockAnchor { boot, at, since_boot, wall_ahead: self.wall_ahead() }
    }

    /// How far the wall's clock is ahead of the run's time.
    pub fn wall_ahead(&self) -> SignedDuration {
        self.wall().duration_since(self.now())
    }

    fn anchor(&self) -> (Timestamp, SignedDuration) {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, at: Timestamp, since_boot: SignedDuration) {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = (at, since_boot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_it_is_told() {
        let began = tokio::time::Instant::now();
        SystemClock.sleep(SignedDuration::from_secs(90)).await;
        assert_eq!(began.elapsed().as_secs(), 90);
        SystemClock.sleep(SignedDuration::from_secs(-90)).await;
        assert_eq!(began.elapsed().as_secs(), 90);
    }

    #[derive(Default)]
    struct Hands(Mutex<(Timestamp, SignedDuration)>);

    #[async_trait]
    impl Clock for Hands {
        fn wall(&self) -> Timestamp {
            self.0.lock().unwrap().0
        }

        fn since_boot(&self) -> SignedDuration {
            self.0.lock().unwrap().1
        }

        fn zone(&self) -> TimeZone {
            TimeZone::UTC
        }

        async fn sleep(&self, _duration: SignedDuration) {}
    }

    #[test]
    fn a_clock_that_is_set_does_not_move_the_time_of_a_run() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000_000 + seconds).unwrap();
        let secs = SignedDuration::from_secs;
        for by in [86_400, -86_400, 3, 0] {
            let hands = Arc::new(Hands(Mutex::new((at(0), secs(500)))));
            let source: Arc<dyn Clock> = hands.clone();
            let clock = RunClock::new(source.clone());
            *hands.0.lock().unwrap() = (at(10 + by), secs(510));
            assert_eq!((clock.now(), clock.wall(), clock.wall_ahead()), (at(10), at(10 + by), secs(by)));
            // Whoever goes on after a crash goes on with the same time.
            let saved = clock.saved("00000000-0000-4000-8000-000000000001".parse().unwrap());
            let other = RunClock::new(source);
            assert_eq!(other.now(), at(10 + by));
            other.go_on_from(&saved);
            assert_eq!((other.now(), saved.time(secs(510)), saved.wall_ahead), (at(10), at(10), secs(by)));
            other.go_on_at(at(77));
            assert_eq!(other.now(), at(77));
        }
    }

    #[test]
    fn the_kernels_clock_goes_on() {
        let (before, after) = (SystemClock.since_boot(), SystemClock.since_boot());
        assert!(before > SignedDuration::ZERO && after >= before);
    }
}
