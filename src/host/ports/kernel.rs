//! Kernels, and what boots them.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::HostResult;
use crate::model::{
    BootSurvey, BuiltKernel, DkmsModule, KernelFacts, KernelSource, KexecHindrance, OneShotBoot, TrialEnd, WorkProgress,
};

#[async_trait]
pub trait Kernels: Send + Sync {
    /// What runs, what is installed, what is unmitigated.
    async fn facts(&self) -> HostResult<KernelFacts>;

    /// DKMS modules; empty where dkms is not installed.
    async fn dkms(&self) -> HostResult<Vec<DkmsModule>>;

    /// What the next boot needs besides a kernel.
    async fn boot_survey(&self) -> HostResult<BootSurvey>;

    /// Modules that DKMS would not build for this kernel, named as in `zfs/2.1.11`, with what of their `dkms.conf` says so.
    async fn excluded(&self, release: &str) -> HostResult<BTreeMap<String, String>>;

    /// Those of them for which the installation of this kernel fails, since its hook has DKMS build them. Empty where DKMS
    /// skips such a module.
    async fn failing_hook(&self, release: &str) -> HostResult<BTreeMap<String, String>>;

    /// Program, arguments and environment that build these modules, each named as in `zfs/2.1.11`, for one kernel.
    fn dkms_command(&self, release: &str, modules: &[String]) -> (Vec<String>, Vec<(String, String)>);

    /// What a build would fail for: files that are not there or not root's own, tools that are not installed.
    async fn build_lacks(&self, source: &KernelSource) -> HostResult<Vec<String>>;

    /// Whether a build would make a kernel that is not installed; true as well where only a build would tell.
    async fn build_is_due(&self, source: &KernelSource) -> bool;

    /// Program, arguments and environment of the build, which runs so many jobs side by side. It ends well, and builds
    /// nothing, where the kernel is installed.
    fn build_command(&self, source: &KernelSource, jobs: u32) -> (Vec<String>, Vec<(String, String)>);

    /// Reads one line of the status descriptor of a build.
    fn build_progress(&self, line: &str) -> Option<WorkProgress>;

    /// What the last build left.
    async fn built(&self, source: &KernelSource) -> HostResult<BuiltKernel>;
}

#[async_trait]
pub trait BootLoader: Send + Sync {
    /// How it would start one kernel once, and another one after that. Changes nothing; an error says why it cannot.
    async fn one_shot(&self, kernel: &str, fallback: &str) -> HostResult<OneShotBoot>;

    /// Has it do so. Idempotent.
    async fn begin_trial(&self, boot: &OneShotBoot) -> HostResult<()>;

    /// Ends the trial, whether or not the boot came. Idempotent.
    async fn end_trial(&self, boot: &OneShotBoot, end: TrialEnd) -> HostResult<()>;
}

/// A kernel that the running one starts, in place of firmware and boot loader.
#[async_trait]
pub trait Kexec: Send + Sync {
    /// What keeps this host from it, as far as that is known before a kernel is loaded; none if nothing does.
    async fn hindrance(&self) -> Option<KexecHindrance>;

    /// Loads what the boot loader would start, with its initrd and its command line, in place of what is loaded. An error
    /// where that is no kernel of this release, or is refused. Idempotent.
    async fn load(&self, release: &str) -> HostResult<()>;

    /// Nothing is loaded any more. Idempotent.
    async fn unload(&self) -> HostResult<()>;

    /// Whether the boot that runs came this way; false where nobody can tell.
    async fn has_started_this_boot(&self) -> bool;
}
