//! Waiting for a condition, never for a while.

use anyhow::{Result, bail};
use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at. Nothing in a machine tells the host when it changed, so the host looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// Looks again and again until `condition` gives a value. An error of `condition` ends the waiting at once; after
/// `timeout` the error says for what we waited.
pub fn wait_for<T>(what: &str, timeout: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain for {what}", timeout.as_secs());
        }
        thread::sleep(INTERVAL);
    }
}
