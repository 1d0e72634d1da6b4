//! What is judged: the host, its baseline, and what happened in between.

use crate::config::Settings;
use crate::events::EventSink;
use crate::host::Host;
use crate::model::{
    Baseline, BootId, KernelPlan, OneShotBoot, PackageChange, RejectedKernel, Run, StopProof, UnitName,
};

/// What a verification needs, with a run or without one.
pub struct Verifying<'a> {
    pub host: &'a Host,
    pub settings: &'a Settings,
    pub events: &'a dyn EventSink,
    /// What the host was.
    pub baseline: &'a Baseline,
    /// The boot that is judged.
    pub boot: BootId,
    /// The host was rebooted since the baseline.
    pub rebooted: bool,
    /// What must run after the reboot.
    pub kernel: Option<&'a KernelPlan>,
    /// Why a reboot was wanted.
    pub reboot_reasons: &'a [String],
    /// What the upgrade was to change.
    pub changes: &'a [PackageChange],
    /// How the services were stopped.
    pub stops: &'a [StopProof],
    /// The kernel that the boot loader was to start once.
    pub trial: Option<&'a OneShotBoot>,
    /// The kernel that did not pass already.
    pub rejected: Option<&'a RejectedKernel>,
    /// Units that failed between the baseline and the reboot.
    pub failed_meanwhile: &'a [UnitName],
}

impl<'a> Verifying<'a> {
    /// As the run has it; none before its baseline was taken.
    pub fn of_run(
        run: &'a Run,
        boot: BootId,
        host: &'a Host,
        settings: &'a Settings,
        events: &'a dyn EventSink,
    ) -> Option<Self> {
        // A plan that was not carried out changed nothing.
        let changes = run.upgrade.as_ref().filter(|_| run.has_touched_packages());
        Some(Self {
            host,
            settings,
            events,
            baseline: run.baseline.as_ref()?,
            rebooted: boot != run.first_boot,
            boot,
            kernel: run.kernel.as_ref(),
            reboot_reasons: &run.reboot_reasons,
            changes: changes.map_or(&[], |upgrade| &upgrade.changes),
            stops: &run.stops,
            trial: run.one_shot_boot(),
            rejected: run.rejected_kernel.as_ref(),
            failed_meanwhile: &run.failed_meanwhile,
        })
    }
}
