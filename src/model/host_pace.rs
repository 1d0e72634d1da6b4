//! How fast a host does what dpkg asks of it, as was measured on it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// After this it is measured anew: disks fill, and virtual machines move.
const LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPace {
    /// When it was measured.
    pub at: Timestamp,
    /// What a small new file takes until it is on the disk and has its name.
    pub sync: SignedDuration,
    /// The same for one of many that are written together, as the files of a package are.
    pub file: SignedDuration,
    /// What a small program takes from its start to its end: scripts of packages are made of such.
    pub spawn: SignedDuration,
    /// The root is an overlay: a file that dpkg replaces is copied first, and synced.
    pub copies_up: bool,
}

impl HostPace {
    /// The time for a small program by which the CPU's work is told.
    pub const USUAL_SPAWN: SignedDuration = SignedDuration::from_micros(3_000);

    /// Whether it still counts.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        !age.is_negative() && age < LASTS && [self.sync, self.file, self.spawn].iter().all(SignedDuration::is_positive)
    }
}
