//! What is fixed about each step.

use super::{HookId, HookPoint, Occasion, Phase, Step};

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

/// One row of [`Step::nature`].
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
    fn makes(self, phase: Phase) -> Self {
        Self { phase_after: Some(phase), ..self }
    }

    fn untouched(self) -> Self {
        Self { leaves_host_untouched: true, ..self }
    }

    fn in_window(self) -> Self {
        Self { needs_window: true, ..self }
    }

    fn behind_reboot(self) -> Self {
        Self { follows_reboot: true, ..self }
    }

    fn takes_locks(self) -> Self {
        Self { may_lock_packages: true, ..self }
    }
}

impl Step {
    /// What is fixed about it. Adding a step is a variant, a row here, its place in `steps::planned_steps`, and its work.
    pub fn nature(&self) -> Nature {
        use Inhibits::{Always, Never, OnceStopped};
        use Work::{Apart, Fetching, None, OfRepair, OnPackages};
        let row = |work, inhibits, seconds| Nature { work, inhibits, seconds, ..Nature::default() };
        match self {
            Self::Preflight => row(None, Never, 3.0).untouched().makes(Phase::PreflightPassed),
            Self::Fetch => row(Fetching, Never, 2.0).untouched().makes(Phase::PackagesFetched),
            Self::Baseline => row(None, Never, 2.0).untouched().makes(Phase::BaselineTaken),
            Self::Announce | Self::Silence => row(None, Never, 2.0).untouched().in_window(),
            Self::LookAgain => row(Fetching, Never, 2.0).untouched(),
            Self::EndSilence => row(None, Never, 2.0),
            Self::Hook(HookId { point, .. }) => match point {
                HookPoint::BeforeStop => row(None, Never, 2.0).untouched().in_window(),
                HookPoint::AfterStop | HookPoint::BeforeReboot => row(None, Always, 2.0).in_window(),
                HookPoint::AfterVerify => row(None, Never, 2.0).behind_reboot(),
            },
            Self::RemoveKernels | Self::Ahead | Self::UpgradeBase => row(OnPackages, Always, 2.0).in_window(),
            Self::Stop(_) => row(None, Always, 0.3).in_window().makes(Phase::ServicesStopped),
            Self::Upgrade => row(OnPackages, Always, 2.0).in_window().makes(Phase::PackagesUpgraded).takes_locks(),
            Self::KernelSource => row(Apart, OnceStopped, 1800.0).in_window(),
            Self::InstallKernel => row(OnPackages, Always, 30.0).in_window().takes_locks(),
            Self::BuildKernel => row(OnPackages, Always, 0.3).in_window().makes(Phase::KernelBuilt),
            Self::StageCheck => row(None, Always, 3.0).makes(Phase::Staged).takes_locks(),
            Self::Reboot => row(None, Never, 60.0).in_window().makes(Phase::Rebooted).takes_locks(),
            Self::Verify => row(None, Never, 2.0).behind_reboot().makes(Phase::Verified),
            Self::Revert => row(None, Never, 2.0).takes_locks(),
            Self::Repair => row(OfRepair, Always, 2.0),
            Self::Restore | Self::LastLook => row(None, Always, 2.0),
            Self::Report => row(None, Never, 2.0),
            Self::Notify(Occasion::Start) => row(None, Never, 2.0).untouched(),
            Self::Notify(Occasion::Reboot) => row(None, Always, 2.0),
            Self::Notify(Occasion::End | Occasion::Test) => row(None, Never, 2.0),
        }
    }

    /// Whether the step may leave packages half installed.
    pub fn works_on_packages(&self) -> bool {
        matches!(self.nature().work, Work::OnPackages | Work::OfRepair)
    }

    /// Whether all that the step does is done by one unit that is named after it and outlives a coordinator.
    pub fn is_one_work(&self) -> bool {
        matches!(self.nature().work, Work::OnPackages | Work::Apart)
    }

    /// Whether the step runs work in the limited slice.
    pub fn does_long_work(&self) -> bool {
        self.nature().work != Work::None
    }
}
