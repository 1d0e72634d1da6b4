//! Whether packages are on disk, as far as a run knows.

use super::{BootId, Change, Run};

impl Run {
    /// On which boot packages were written that are perhaps not on disk; none where all of them are.
    pub fn unsynced_since(&self) -> Option<&BootId> {
        self.changes.iter().find_map(|change| match change {
            Change::Unsynced { boot } => Some(boot),
            _ => None,
        })
    }

    /// Packages were written, and their memory is gone.
    pub fn has_lost_a_batch(&self) -> bool {
        self.unsynced_since().is_some_and(|boot| *boot != self.boot)
    }
}
