//! What a run changed on the host and must undo.

use serde::{Deserialize, Serialize};

use super::{SliceLimits, UnitName};

/// One change, recorded before it is made and struck out after it is undone. Every change here lives in `/run` or in
/// the memory of systemd, so that a reboot undoes it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The unit cannot start: a condition in a runtime drop-in is not met.
    Held(UnitName),
    /// The unit was active, and was stopped.
    Stopped(UnitName),
    /// The timer of another patch tool was active, and was stopped for the run. Whether it starts at boot is not touched.
    Paused(UnitName),
    /// The slice of all work has limits of ours, at run time.
    Limited {
        /// The slice.
        slice: UnitName,
        /// What it had before.
        before: SliceLimits,
    },
}

impl Change {
    /// The unit that was changed.
    pub fn unit(&self) -> &UnitName {
        match self {
            Self::Held(unit) | Self::Stopped(unit) | Self::Paused(unit) | Self::Limited { slice: unit, .. } => unit,
        }
    }
}
