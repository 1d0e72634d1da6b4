//! Who kept the host from being patched, until when and why: `holds.json`. Its last entry decides.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{LockedState, StateDir, StoreError, StoreResult, atomic};
use crate::model::{Hold, HoldEntry};

/// Entries that are kept.
const KEPT: usize = 100;

const FORMAT: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Record {
    format: u64,
    entries: Vec<HoldEntry>,
}

impl StateDir {
    /// The record of holds, oldest first.
    ///
    /// # Errors
    ///
    /// When it exists and cannot be understood: whether the host is held is then not known.
    pub fn holds(&self) -> StoreResult<Vec<HoldEntry>> {
        read(&self.root)
    }

    /// The hold that was not taken back; whether it is still in force, its own end says.
    ///
    /// # Errors
    ///
    /// As [`Self::holds`].
    pub fn hold(&self) -> StoreResult<Option<Hold>> {
        Ok(match self.holds()?.pop() {
            Some(HoldEntry::Held(hold)) => Some(hold),
            Some(HoldEntry::Released { .. }) | None => None,
        })
    }
}

impl LockedState {
    /// Appends to the record of holds.
    ///
    /// # Errors
    ///
    /// When the record cannot be read or written.
    pub fn record_hold(&self, entry: HoldEntry) -> StoreResult<()> {
        let path = self.root.join(NAME);
        let mut entries = read(&self.root)?;
        entries.push(entry);
        let surplus = entries.len().saturating_sub(KEPT);
        entries.drain(..surplus);
        let text = serde_json::to_vec_pretty(&Record { format: FORMAT, entries }).map_err(std::io::Error::other);
        atomic::replace(&path, &text.map_err(StoreError::io("encode", &path))?)
    }
}

const NAME: &str = "holds.json";

fn read(root: &Path) -> StoreResult<Vec<HoldEntry>> {
    let path = root.join(NAME);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    let record: Record = match serde_json::from_slice(&text) {
        Ok(record) => record,
        Err(error) => return Err(StoreError::Unreadable { path, why: error.to_string() }),
    };
    if record.format > FORMAT {
        return Err(StoreError::Newer { path, found: record.format });
    }
    Ok(record.entries)
}
