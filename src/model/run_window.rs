//! The maintenance window of a run.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Step;

/// The opening in which a run began. Saved with the run before anything is done: that is what keeps a second automatic
/// run out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunWindow {
    pub opens: Timestamp,
    /// When it closes, or a blackout begins.
    pub closes: Timestamp,
    /// What must be left of it when the host is back in service.
    pub reserve: SignedDuration,
}

/// The rest of the run no longer fitted into its window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowMissed {
    /// The step that was not begun for it.
    pub step: Step,
    pub at: Timestamp,
    pub reason: String,
}
