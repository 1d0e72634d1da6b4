//! Network ports for machines. They share the host's network, so each needs ports of its own.

use anyhow::{Context, Result, bail};
use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// Below the range from which the kernel takes ports for outgoing connections, so that no such connection takes a
/// port of ours while a machine reboots.
const RANGE: std::ops::Range<u16> = 20_000..28_000;

/// A port that no other machine will get as long as this value lives.
pub(crate) struct Port {
    number: u16,
    /// Holds the lock; closing it releases the port.
    _lock: File,
}

impl Port {
    /// Finds a port that nobody reserved and on which nobody listens.
    pub(crate) fn reserve(cache: &Path) -> Result<Self> {
        let directory = cache.join("ports");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        for number in RANGE {
            let path = directory.join(number.to_string());
            let lock = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free TCP port between {} and {}", RANGE.start, RANGE.end)
    }

    /// The number of the port.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
