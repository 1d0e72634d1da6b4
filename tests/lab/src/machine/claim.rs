//! A name and a directory for a new machine.

use super::leftovers::{self, LOCK};
use crate::lab::{Lab, locked};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes the directories of machines with the same name, made by the same program, distinct.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// What a machine has before it has anything else.
pub(crate) struct Claim {
    /// Its unique name on this host.
    pub(crate) id: String,
    /// An empty directory.
    pub(crate) directory: PathBuf,
    /// Held as long as the machine lives: it tells other labs so.
    pub(crate) lock: File,
}

/// Makes the directory of a new machine, and removes those of dead ones.
pub(crate) fn claim(lab: &Lab, name: &str) -> Result<Claim> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        bail!("`{name}` cannot be the name of a machine: letters, digits and dashes only");
    }
    let machines = lab.cache().join("machines");
    fs::create_dir_all(&machines).with_context(|| format!("cannot make {}", machines.display()))?;
    let id = format!("{name}-{}-{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
    let directory = machines.join(&id);
    let _creating = locked(&lab.cache().join("machines.lock"))?;
    leftovers::remove_abandoned(&machines)?;
    fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let lock = locked(&directory.join(LOCK))?;
    Ok(Claim { id, directory, lock })
}
