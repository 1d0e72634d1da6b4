//! `[kernel]`: the kernel that is built on this host, and what the next kernel must have.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::file::Kernel;
use super::keys;
use super::settings::{OnFailure, Settings};
use super::values;
use crate::model::KernelSource;

/// Kernel work.
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
    /// The kernel that is built on this host; none where Debian's are used.
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
    SignedDuration::from_hours(12)
}

fn modules_timeout() -> SignedDuration {
    SignedDuration::from_hours(1)
}

impl Check<'_> {
    pub(super) fn kernel_source(&mut self, given: &Kernel) -> Option<KernelSource> {
        let path = self.text(&keys::KERNEL_SOURCE, given.source.as_ref(), values::path);
        let config = self.text(&keys::KERNEL_CONFIG, given.config.as_ref(), values::path);
        let command = given.command.as_ref().and_then(|command| self.program(&keys::KERNEL_COMMAND, command));
        let make = given.make.iter().map(|argument| argument.get_ref().clone()).collect();
        if given.source.is_none() {
            let lonely = [
                (given.config.as_ref().map(toml::Spanned::span), &keys::KERNEL_CONFIG),
                (given.make.first().map(toml::Spanned::span), &keys::KERNEL_MAKE),
                (given.command.as_ref().map(toml::Spanned::span), &keys::KERNEL_COMMAND),
            ];
            for (span, key) in lonely {
                if let Some(span) = span {
                    self.alone::<()>(&span, &keys::KERNEL_SOURCE, key.name);
                }
            }
        }
        Some(KernelSource { path: path?.into(), config: config.map(Into::into), make, command })
    }
}

impl Settings {
    /// Whether a run has the boot loader try the newest kernel once, whatever its default is.
    pub fn tries_kernels(&self) -> bool {
        self.verify.on_failure == OnFailure::PreviousKernel
    }
}
