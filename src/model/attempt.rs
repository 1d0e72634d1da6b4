//! Attempts at a step: the intent, and what became of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BootId, Step};

/// The durable intent: "attempt N of step S began on boot B".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    pub step: Step,
    /// 1 for the first attempt of this step in this run.
    pub number: u32,
    /// The boot on which it began.
    pub boot: BootId,
    pub began: Timestamp,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it was for.
    Succeeded,
    Failed,
    /// There was nothing for it to do.
    Skipped,
    /// The host or the coordinator went down under it.
    Interrupted,
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptRecord {
    pub attempt: Attempt,
    pub outcome: Outcome,
    /// Why it failed or was skipped; otherwise what it found, in a few words.
    pub note: Option<String>,
    /// When its end was recorded.
    pub ended: Timestamp,
}
