//! `[kernel]`: the kernel that is built on this host, and what the next kernel must have.

use super::keys;
use super::reader::Reader;
use super::settings::{OnFailure, Settings};
use crate::model::KernelSource;

impl Reader<'_> {
    pub(super) fn kernel_source(self) -> Option<KernelSource> {
        let path = self.text(&keys::KERNEL_SOURCE);
        let config = self.text(&keys::KERNEL_CONFIG);
        let command = self.program(&keys::KERNEL_COMMAND);
        let make = self.list(&keys::KERNEL_MAKE);
        if self.span(&keys::KERNEL_SOURCE).is_none() {
            for key in [&keys::KERNEL_CONFIG, &keys::KERNEL_MAKE, &keys::KERNEL_COMMAND] {
                if let Some(span) = self.span(key) {
                    self.missing(&keys::KERNEL_SOURCE, &span, key.name);
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
