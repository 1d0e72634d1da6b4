//! Kernels, their modules, and why a reboot is wanted.

use serde::{Deserialize, Serialize};

/// A kernel in `/boot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledKernel {
    /// As `uname -r` would say it.
    pub release: String,
    /// Size of the image in bytes; 0 is a broken install.
    pub image_bytes: u64,
    /// Size of the initrd in bytes; none where there is no initrd.
    pub initrd_bytes: Option<u64>,
    /// Whether `/lib/modules/RELEASE` exists and is not empty.
    pub has_modules: bool,
}

/// One line of `/sys/devices/system/cpu/vulnerabilities`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vulnerability {
    /// The file's name, as in `spectre_v2`.
    pub name: String,
    /// The kernel's word on it, as in `Mitigation: PTI`.
    pub state: String,
}

/// What the host says about its kernels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KernelFacts {
    /// `uname -r`.
    pub running: String,
    /// `uname -v`: tells two builds of one release apart.
    pub running_version: String,
    /// What `/boot` holds, newest first. Empty in containers and where the kernel comes from outside.
    pub installed: Vec<InstalledKernel>,
    /// Packages named in `/run/reboot-required.pkgs`; none where `/run/reboot-required` does not exist.
    pub reboot_required: Option<Vec<String>>,
    /// CPU vulnerabilities by name.
    pub vulnerabilities: Vec<Vulnerability>,
}

/// State of one DKMS module for one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DkmsState {
    /// The source is known; nothing is built.
    Added,
    /// Built but not installed.
    Built,
    /// Ready to load.
    Installed,
    /// Anything else that `dkms status` says.
    Other(String),
}

/// One line of `dkms status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DkmsModule {
    /// Name and version, as in `zfs/2.1.11`.
    pub module: String,
    /// The kernel it is for; none while it is only added.
    pub kernel: Option<String>,
    /// Its state.
    pub state: DkmsState,
}

/// What the next boot is expected to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelPlan {
    /// The release that must run after the reboot.
    pub expected: String,
    /// Whether that kernel is in `/boot`; false where it comes from outside (containers, direct kernel boot).
    pub managed_here: bool,
}
