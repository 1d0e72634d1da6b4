//! What the host looks like at one instant, for `decide`.

use super::{BootId, WorkOutcome};

/// What systemd knows of the work unit of the current attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkLook {
    /// The attempt has none.
    NoWork,
    /// It is still at it.
    Running,
    /// It ended, and systemd kept the outcome.
    Exited(WorkOutcome),
    /// systemd does not know it: it never started, or its outcome is lost.
    NotLoaded,
    /// systemd did not answer.
    Unknown(String),
}

/// Read from the host at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// None if it could not be read: then it is neither the same nor another boot.
    pub boot: Option<BootId>,
    /// How often all but the kernel was started anew on this boot; none if systemd does not tell.
    pub soft_reboots: Option<u32>,
    /// The work unit of the current attempt.
    pub work: WorkLook,
}
