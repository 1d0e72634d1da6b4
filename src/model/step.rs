//! The steps of a run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{HookId, HookPoint, InvalidId, Occasion, Phase, UnitName};

/// One step. The order in which a run takes them is the run's own list, never the order here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Step {
    /// Read-only checks.
    Preflight,
    /// Refresh the package lists, simulate, guard against removals, download.
    Fetch,
    /// Record what runs now.
    Baseline,
    /// Tell those who are logged in, and give them time.
    Announce,
    /// Ask again, right before the first stop, what the preflight has asked and what may have changed since.
    LookAgain,
    /// Have monitoring be quiet.
    Silence,
    /// Have monitoring speak again.
    EndSilence,
    /// Call a program of the administrator.
    Hook(HookId),
    /// Remove old kernels where `/boot` is too tight for a new one.
    RemoveKernels,
    /// Install the new kernel while the services still run.
    Ahead,
    /// Hold and stop one service, and prove that it is down.
    Stop(UnitName),
    /// The dist-upgrade.
    Upgrade,
    /// Build a kernel from its source.
    KernelSource,
    /// Install the kernel that was built.
    InstallKernel,
    /// Modules for the kernel of the next boot.
    BuildKernel,
    /// The last look before the point of no return.
    StageCheck,
    /// Ask for a full reboot.
    Reboot,
    /// Prove that the host came back.
    Verify,
    /// Ask for a reboot into the kernel that ran before, since the host is not well under the new one.
    Revert,
    /// Go forward from interrupted or failed packaging work to a consistent package database.
    Repair,
    /// Bring back what the run stopped, in dependency order.
    Restore,
    /// See whether the services of a run that is not verified still serve.
    LastLook,
    /// Write the report.
    Report,
    /// Tell those who wait. Never fails a run.
    Notify(Occasion),
}

impl Step {
    /// The durable fact that the step's success makes true; none for the steps that serve a run's ending.
    pub fn phase_after(&self) -> Option<Phase> {
        match self {
            Self::Preflight => Some(Phase::PreflightPassed),
            Self::Fetch => Some(Phase::PackagesFetched),
            Self::Baseline => Some(Phase::BaselineTaken),
            Self::Stop(_) => Some(Phase::ServicesStopped),
            Self::Upgrade => Some(Phase::PackagesUpgraded),
            Self::BuildKernel => Some(Phase::KernelBuilt),
            Self::StageCheck => Some(Phase::Staged),
            Self::Reboot => Some(Phase::Rebooted),
            Self::Verify => Some(Phase::Verified),
            Self::RemoveKernels | Self::Ahead | Self::KernelSource | Self::InstallKernel => None,
            Self::Announce | Self::LookAgain | Self::Silence | Self::Hook(_) | Self::Notify(_) => None,
            Self::Revert | Self::Repair | Self::Restore | Self::LastLook | Self::EndSilence | Self::Report => None,
        }
    }

    /// Whether the host is still as it was when the step fails.
    pub fn leaves_host_untouched(&self) -> bool {
        let is_early = matches!(self, Self::Preflight | Self::Fetch | Self::Baseline | Self::Announce | Self::Silence);
        is_early
            || *self == Self::LookAgain
            || *self == Self::Notify(Occasion::Start)
            || self.hook_point() == Some(HookPoint::BeforeStop)
    }

    /// Where in a run the hook is called; none for a step that is no hook.
    pub fn hook_point(&self) -> Option<HookPoint> {
        match self {
            Self::Hook(hook) => Some(hook.point),
            _ => None,
        }
    }

    /// Whether it is planned for after the reboot: all else means nothing once the host has rebooted, whoever asked.
    pub fn follows_reboot(&self) -> bool {
        *self == Self::Verify || self.hook_point() == Some(HookPoint::AfterVerify)
    }

    /// Whether only the next boot tells how it ended.
    pub fn asks_for_reboot(&self) -> bool {
        matches!(self, Self::Reboot | Self::Revert)
    }

    /// Whether the step may leave packages half installed.
    pub fn works_on_packages(&self) -> bool {
        *self == Self::Repair || self.is_one_work() && *self != Self::KernelSource
    }

    /// Whether the locks of apt and dpkg may be taken in it, for the reboot: while the last work on packages ends, in the
    /// last look, and where the reboot is asked for.
    pub fn may_lock_packages(&self) -> bool {
        matches!(self, Self::Upgrade | Self::InstallKernel | Self::StageCheck) || self.asks_for_reboot()
    }

    /// Whether all that the step does is done by one unit that is named after it and outlives a coordinator.
    pub fn is_one_work(&self) -> bool {
        let on_packages = matches!(self, Self::RemoveKernels | Self::Ahead | Self::Upgrade | Self::InstallKernel);
        on_packages || matches!(self, Self::KernelSource | Self::BuildKernel)
    }

    /// Whether the step runs work in the limited slice.
    pub fn does_long_work(&self) -> bool {
        matches!(self, Self::Fetch | Self::LookAgain | Self::KernelSource) || self.works_on_packages()
    }

    /// A few words for people.
    pub fn title(&self) -> String {
        match self {
            Self::Preflight => "check the host".into(),
            Self::Fetch => "fetch the packages".into(),
            Self::Baseline => "record what runs".into(),
            Self::Stop(unit) => format!("stop {unit}"),
            Self::Announce => "tell who is logged in".into(),
            Self::LookAgain => "look again before the first stop".into(),
            Self::Silence => "silence the monitoring".into(),
            Self::EndSilence => "end the silence of the monitoring".into(),
            Self::Hook(HookId { point, number }) => match point {
                HookPoint::BeforeStop => format!("hook {number} before the stop"),
                HookPoint::AfterStop => format!("hook {number} after the stop"),
                HookPoint::BeforeReboot => format!("hook {number} before the reboot"),
                HookPoint::AfterVerify => format!("hook {number} after the verification"),
            },
            Self::RemoveKernels => "remove old kernels".into(),
            Self::Ahead => "install the new kernel ahead".into(),
            Self::Upgrade => "upgrade the packages".into(),
            Self::KernelSource => "build the kernel from its source".into(),
            Self::InstallKernel => "install the kernel that was built".into(),
            Self::BuildKernel => "build for the kernel".into(),
            Self::StageCheck => "last look before the reboot".into(),
            Self::Reboot => "reboot".into(),
            Self::Verify => "verify what came back".into(),
            Self::Revert => "reboot into the kernel before".into(),
            Self::Repair => "repair the packages".into(),
            Self::Restore => "bring the services back".into(),
            Self::LastLook => "see whether the services stay".into(),
            Self::Report => "write the report".into(),
            Self::Notify(Occasion::Start) => "tell that services go down".into(),
            Self::Notify(Occasion::Reboot) => "tell that the host reboots".into(),
            Self::Notify(Occasion::End) => "tell how the run ended".into(),
            Self::Notify(Occasion::Test) => "try whether messages arrive".into(),
        }
    }
}

const PLAIN: [(&str, Step); 24] = [
    ("preflight", Step::Preflight),
    ("fetch", Step::Fetch),
    ("baseline", Step::Baseline),
    ("announce", Step::Announce),
    ("look-again", Step::LookAgain),
    ("silence", Step::Silence),
    ("end-silence", Step::EndSilence),
    ("remove-kernels", Step::RemoveKernels),
    ("ahead", Step::Ahead),
    ("upgrade", Step::Upgrade),
    ("kernel-source", Step::KernelSource),
    ("install-kernel", Step::InstallKernel),
    ("build-kernel", Step::BuildKernel),
    ("stage-check", Step::StageCheck),
    ("reboot", Step::Reboot),
    ("verify", Step::Verify),
    ("revert", Step::Revert),
    ("repair", Step::Repair),
    ("restore", Step::Restore),
    ("last-look", Step::LastLook),
    ("report", Step::Report),
    ("notify-start", Step::Notify(Occasion::Start)),
    ("notify-reboot", Step::Notify(Occasion::Reboot)),
    ("notify-end", Step::Notify(Occasion::End)),
];

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop(unit) => return write!(f, "stop:{unit}"),
            Self::Hook(hook) => return write!(f, "hook:{hook}"),
            _ => {}
        }
        let name = PLAIN.iter().find(|(_, step)| step == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Step {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if let Some(unit) = text.strip_prefix("stop:") {
            return Ok(Self::Stop(unit.parse()?));
        }
        if let Some(hook) = text.strip_prefix("hook:") {
            return Ok(Self::Hook(hook.parse()?));
        }
        PLAIN
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, step)| step.clone())
            .ok_or_else(|| InvalidId::new("step", text, "a step's name, as in upgrade or stop:mongod.service"))
    }
}

impl TryFrom<String> for Step {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Step> for String {
    fn from(step: Step) -> String {
        step.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_reads_back_from_its_name() {
        let stop = Step::Stop("mongod.service".parse().unwrap());
        let hook = Step::Hook(HookId { point: HookPoint::BeforeReboot, number: 2 });
        for step in PLAIN.iter().map(|(_, step)| step).chain([&stop, &hook]) {
            assert_eq!(&step.to_string().parse::<Step>().unwrap(), step);
        }
        assert!("stop:".parse::<Step>().is_err());
        assert!("hook:before-stop".parse::<Step>().is_err());
        assert!("dance".parse::<Step>().is_err());
    }
}
