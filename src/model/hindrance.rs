//! What keeps a host from less than a full reboot, whatever is owed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What keeps this host from a soft reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SoftHindrance {
    /// systemd cannot, or does not count them (before 256): nobody could tell afterwards that there was one.
    NotCounted,
    /// It would start another system, which lies in `/run/nextroot`.
    OtherRoot,
    /// Nobody could tell: the host's words.
    Unknown(String),
}

/// What keeps this host from being started by kexec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KexecHindrance {
    /// It has no kernel of its own.
    Container,
    /// Only the hypervisor starts its kernels, or has to be told of it.
    Xen,
    /// kexec-tools is not installed.
    NoTool,
    /// The kernel that runs was built without it.
    NotBuilt,
    /// It loads no kernel until it is booted: `kernel.kexec_load_disabled`.
    Disabled,
    /// Somebody forbids it by masking this unit.
    Masked(String),
    /// The kernel does not say what has started it (only that of x86 does): nobody could tell afterwards.
    NotTold,
    /// The firmware is to do something at the next boot: the variable that asks it.
    Firmware(String),
    /// What the boot loader would start is not known in full: why.
    Entry(String),
    /// It was tried: the words of who did.
    NotLoaded(String),
    /// Nobody could tell: the host's words.
    Unknown(String),
}

impl fmt::Display for SoftHindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCounted => f.write_str("this systemd counts no soft reboots (256 and newer do)"),
            Self::OtherRoot => f.write_str("/run/nextroot holds another system, which would be started"),
            Self::Unknown(why) => write!(f, "whether this host can is unknown: {why}"),
        }
    }
}

impl fmt::Display for KexecHindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container => f.write_str("no kexec: a container has no kernel of its own"),
            Self::Xen => f.write_str("no kexec: this is a guest of Xen"),
            Self::NoTool => f.write_str("no kexec: kexec-tools is not installed"),
            Self::NotBuilt => f.write_str("no kexec: the kernel that runs was built without it"),
            Self::Disabled => f.write_str("no kexec: kernel.kexec_load_disabled is set"),
            Self::Masked(unit) => write!(f, "no kexec: {unit} is masked"),
            Self::NotTold => {
                f.write_str("no kexec: this kernel does not say what has started it, only that of x86 does")
            }
            Self::Firmware(variable) => {
                write!(f, "no kexec: the firmware is to do something at the next boot ({variable} is set)")
            }
            Self::Entry(why) => write!(f, "no kexec: what the boot loader would start is not known in full: {why}"),
            Self::NotLoaded(why) => write!(f, "no kexec: the kernel could not be loaded: {why}"),
            Self::Unknown(why) => write!(f, "no kexec: whether this host can is unknown: {why}"),
        }
    }
}
