//! Kernels, their modules, and why a reboot is wanted.

use serde::{Deserialize, Serialize};

use super::BootSource;

/// A kernel in `/boot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledKernel {
    /// As `uname -r` would say it.
    pub release: String,
    /// As `uname -v` would say it, from the image's own banner, or the version of its package; none if neither is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Size of the image in bytes; 0 is a broken install.
    pub image_bytes: u64,
    /// Size of the initrd in bytes; none if there is no initrd.
    pub initrd_bytes: Option<u64>,
    /// Whether `/lib/modules/RELEASE` exists and is not empty.
    pub has_modules: bool,
}

impl InstalledKernel {
    /// Bytes that it takes in `/boot`.
    pub fn boot_bytes(&self) -> u64 {
        self.image_bytes + self.initrd_bytes.unwrap_or(0)
    }

    /// What keeps it from booting; nothing where it is whole. Whether an initrd is needed is told by the others.
    pub fn problems(&self, all: &[Self]) -> Vec<&'static str> {
        let others_have_initrd = all.iter().any(|kernel| kernel.initrd_bytes.is_some());
        let problems = [
            (self.image_bytes == 0, "its image is empty"),
            (self.initrd_bytes == Some(0), "its initrd is empty"),
            (self.initrd_bytes.is_none() && others_have_initrd, "it has no initrd, other kernels do"),
            (!self.has_modules, "it has no modules"),
        ];
        problems.into_iter().filter(|(is_problem, _)| *is_problem).map(|(_, problem)| problem).collect()
    }
}

/// What the next boot needs besides a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootSurvey {
    /// Releases whose headers are installed.
    pub with_headers: Vec<String>,
    /// The program that builds an initrd; none if there is none.
    pub initramfs_tool: Option<String>,
    /// What the boot loader has entries for; none if no boot loader is known.
    pub entries: Option<BootEntries>,
    /// Whether Secure Boot is on; none if the firmware does not tell, as without EFI.
    pub secure_boot: Option<bool>,
    /// Modules that DKMS knows, and whose source is gone, as in `zfs/2.1.11`: it cannot build them.
    pub without_source: Vec<String>,
    /// Modules of DKMS without a signature, as in `6.1.0-50-amd64: zfs.ko`.
    pub unsigned_modules: Vec<String>,
    /// Whether the kernel reboots after a panic (`panic=` on its command line), and so does an initrd that cannot go on.
    pub reboots_on_panic: bool,
    /// When a reboot was asked for; none if it was not.
    pub reboot_required_since: Option<jiff::Timestamp>,
}

/// The entries of a boot loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntries {
    /// The boot loader, as in `GRUB`.
    pub loader: String,
    /// Installed releases that it has an entry for.
    pub releases: Vec<String>,
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
    /// What starts this host, and which kernel it takes.
    #[serde(default, skip_serializing_if = "BootSource::is_unknown")]
    pub boots: BootSource,
    /// Packages named in `/run/reboot-required.pkgs`; none if `/run/reboot-required` does not exist.
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
    pub state: DkmsState,
}

/// What the next boot is expected to be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KernelPlan {
    /// The release that must run after the reboot.
    pub expected: String,
    /// Whether that kernel is this host's own; false where it comes from outside (containers, direct kernel boot), or
    /// where nothing tells.
    pub managed_here: bool,
    /// The version that must run: `uname -v`, or that of its package; none if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_installed_kernel_is_seen() {
        let kernel = |image_bytes, initrd_bytes, has_modules| InstalledKernel {
            release: "6.1.0-42-amd64".into(),
            version: None,
            image_bytes,
            initrd_bytes,
            has_modules,
        };
        let good = kernel(8, Some(20), true);
        for (newest, others, problems) in [
            (good.clone(), vec![], 0),
            (kernel(8, None, true), vec![], 0),
            (kernel(8, None, true), vec![good.clone()], 1),
            (kernel(0, Some(20), true), vec![], 1),
            (kernel(8, Some(0), false), vec![], 2),
        ] {
            let all = [vec![newest.clone()], others].concat();
            assert_eq!(newest.problems(&all).len(), problems, "{newest:?}");
        }
    }
}
