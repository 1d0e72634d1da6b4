//! A kernel on trial.

use serde::{Deserialize, Serialize};

/// The boot loader starts one kernel at the next boot, and another one at every boot after that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneShotBoot {
    /// Release of the kernel on trial.
    pub kernel: String,
    /// Its entry, in the boot loader's words.
    pub kernel_entry: String,
    /// Release of the kernel that ran before.
    pub fallback: String,
    pub fallback_entry: String,
    /// The entry that was the default before (`saved_entry` of GRUB); none if that was the first one.
    pub saved_before: Option<String>,
}

/// How a trial ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialEnd {
    /// The kernel on trial is good: every boot takes it.
    Kept,
    /// It was not tried: what was the default is so again.
    TakenBack,
    /// It is not good: every boot goes on to take the other one.
    Dropped,
}

/// A kernel that did not pass: the host went back to the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedKernel {
    pub kernel: String,
    /// What was wrong under it.
    pub because: String,
}
