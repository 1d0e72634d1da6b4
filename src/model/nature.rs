//! What is fixed about each step.

use super::Phase;

/// Who does a step's work, beside the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Work {
    /// The coordinator does all of it.
    #[default]
    None,
    /// apt fetches in units of the limited slice; it may be ended at any moment.
    Fetching,
    /// One unit named after the step, which outlives a coordinator and touches no package.
    Apart,
    /// One unit named after the step, which outlives a coordinator and may leave packages half installed.
    OnPackages,
    /// Units that put packages right, one for each try.
    OfRepair,
}

/// When a step holds a shutdown lock, because an unplanned shutdown would hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inhibits {
    /// Nothing would be hurt, or our own reboot is asked for.
    #[default]
    Never,
    /// Once a service was stopped.
    OnceStopped,
    /// Packages are at work, or services are down.
    Always,
}

/// One row of [`Step::nature`](super::Step::nature).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Nature {
    /// The durable fact that its success makes true; None for the steps that serve others or a run's ending.
    pub phase_after: Option<Phase>,
    /// Who does the work.
    pub work: Work,
    /// When it holds a shutdown lock.
    pub inhibits: Inhibits,
    /// Seconds that it is assumed to take where nothing is known of it.
    pub seconds: f64,
    /// The host is still as it was when it fails.
    pub leaves_host_untouched: bool,
    /// It is only begun while the window is open: services are down for longer behind it, or people are told so.
    pub needs_window: bool,
    /// It is planned for after the reboot: all else means nothing once the host has rebooted, whoever asked.
    pub follows_reboot: bool,
    /// The locks of apt and dpkg may be taken in it, for the reboot that follows.
    pub may_lock_packages: bool,
}

impl Nature {
    pub(super) fn makes(self, phase: Phase) -> Self {
        Self { phase_after: Some(phase), ..self }
    }

    pub(super) fn untouched(self) -> Self {
        Self { leaves_host_untouched: true, ..self }
    }

    pub(super) fn in_window(self) -> Self {
        Self { needs_window: true, ..self }
    }

    pub(super) fn behind_reboot(self) -> Self {
        Self { follows_reboot: true, ..self }
    }

    pub(super) fn takes_locks(self) -> Self {
        Self { may_lock_packages: true, ..self }
    }
}
