//! What `[kernel]` says.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::super::keys;
use crate::model::KernelSource;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelSettings {
    /// Whether missing DKMS modules are built for the kernel of the next boot.
    pub dkms: bool,
    /// DKMS modules that may be missing.
    #[serde(default)]
    pub optional_modules: Vec<String>,
    /// Whether old kernels are removed where `/boot` is too tight for a new one.
    #[serde(default)]
    pub remove_old: bool,
    /// How long a kernel may take to build.
    #[serde(default = "build_timeout")]
    pub build_timeout: SignedDuration,
    /// How long the modules for one kernel may take to build.
    #[serde(default = "modules_timeout")]
    pub modules_timeout: SignedDuration,
    /// The kernel that is built on this host; none if Debian's are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<KernelSource>,
}

impl KernelSettings {
    /// Whether the next boot can do without this module of DKMS, named as in `zfs/2.1.11`.
    pub fn can_do_without(&self, module: &str) -> bool {
        let name = module.split('/').next().unwrap_or(module);
        self.optional_modules.iter().any(|optional| optional == name)
    }
}

/// What a run of before these keys had begun with.
fn build_timeout() -> SignedDuration {
    keys::BUILD_TIMEOUT.default_duration()
}

fn modules_timeout() -> SignedDuration {
    keys::MODULES_TIMEOUT.default_duration()
}
