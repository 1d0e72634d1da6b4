//! The real clock.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::Clock;

/// The host's wall clock, and tokio's timer for waiting.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Waits by the monotonic clock, so that a step of the wall clock neither shortens nor stretches it. A negative
    /// duration has passed already.
    async fn sleep(&self, duration: SignedDuration) {
        if let Ok(duration) = std::time::Duration::try_from(duration) {
            tokio::time::sleep(duration).await;
        }
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
}
