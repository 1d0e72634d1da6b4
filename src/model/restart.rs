//! How a host is started anew, and which packages that takes notice of.

use serde::{Deserialize, Serialize};

/// A way of starting a host anew: the later one does all that the earlier one does, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// systemd ends every process, its own program too, and starts all but the kernel anew.
    Soft,
    /// The kernel as well, started by the one that runs; without firmware and boot loader.
    Kexec,
    /// Firmware and boot loader as well.
    #[default]
    Full,
}

impl Restart {
    pub fn name(self) -> &'static str {
        match self {
            Self::Soft => "soft reboot",
            Self::Kexec => "reboot by kexec",
            Self::Full => "reboot",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde wants
    pub fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

/// Packages whose files firmware or boot loader read, or of which a device keeps what it has got.
/// Microcode is none of them: the kernel loads it from its initrd, however it was started.
const READ_BY_FULL: [&str; 7] =
    ["firmware-", "linux-firmware", "fwupd", "grub-", "grub2-common", "shim-", "systemd-boot"];

/// The least restart that reads a package's files, as far as its name tells that less does not.
pub(super) fn read_by(name: &str) -> Option<Restart> {
    if READ_BY_FULL.iter().any(|prefix| name.starts_with(prefix)) {
        return Some(Restart::Full);
    }
    name.ends_with("-dkms").then_some(Restart::Kexec)
}
