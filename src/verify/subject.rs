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
    /// The host was rebooted since the baseline, or all of it but the kernel started anew.
    pub rebooted: bool,
    /// It was the latter.
    pub softly: bool,
    /// Microseconds since the boot at which the start began that is judged; zero where that is the boot's.
    pub began_usec: u64,
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
            rebooted: run.is_started_anew_on(&boot),
            softly: run.is_softly_restarted() && boot == run.boot,
            began_usec: 0,
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

    /// With the moment from which times count: the kernel's clock goes on over a soft reboot.
    #[must_use]
    pub async fn from_its_beginning(self) -> Self {
        if !self.softly {
            return self;
        }
        // Where it is not told, times count from the boot: too long, and of no consequence.
        let began_usec = self.host.units.userspace_began().await.unwrap_or_default();
        Self { began_usec, ..self }
    }
}
