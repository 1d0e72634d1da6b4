//! Waiting for a condition, never for a while.

use anyhow::{Result, bail};
use std::thread;
use std::time::{Duration, Instant};

/// The shortest and the longest pause between two looks. Nothing in a machine tells the host when something changed, so the
/// host looks; a look starts a program in the machine, and machines that wait beside each other would slow each other down.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

/// The pause is this part of the time waited: what is waited for seems to take at most so much longer than it took.
const SHARE: u32 = 20;

/// Looks again and again until `condition` gives a value. An error of `condition` ends the waiting at once; after
/// `timeout` the error says for what we waited.
pub fn wait_for<T>(what: &str, timeout: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        let waited = began.elapsed();
        if waited >= timeout {
            bail!("waited {} s in vain for {what}", timeout.as_secs());
        }
        thread::sleep((waited / SHARE).clamp(PAUSE.0, PAUSE.1));
    }
}
