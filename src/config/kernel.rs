//! `[kernel]`: the kernel that is built on this host, and what the next kernel must have.

use super::check::Check;
use super::file::Kernel;
use super::keys;
use super::settings::{OnFailure, Settings};
use super::values;
use crate::model::KernelSource;

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
