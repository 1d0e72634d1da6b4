//! A service that holds the locks of apt and dpkg for a run, until the host is down.
//!
//! It is no part of the coordinator, which a shutdown ends among the first; it must outlive everybody else's apt.

use std::path::Path;

use super::unit_spec::locks_properties;
use super::work::SystemdWork;
use crate::host::{HostError, HostResult, PackageLocks, WorkUnits as _};
use crate::model::{RunId, UnitName, WorkLook};
use async_trait::async_trait;

/// Holders of locks on this host.
#[derive(Debug, Clone)]
pub struct SystemdPackageLocks {
    work: SystemdWork,
    /// This program, by the path by which systemd starts it.
    program: String,
}

impl SystemdPackageLocks {
    /// Holders that systemd starts through `work`, each of them `program`.
    pub fn new(work: SystemdWork, program: &Path) -> Self {
        Self { work, program: program.display().to_string() }
    }
}

#[async_trait]
impl PackageLocks for SystemdPackageLocks {
    fn unit(&self, run: &RunId) -> HostResult<UnitName> {
        let name = format!("patchday-locks-{run}.service");
        name.parse().map_err(|error| HostError::failed(format!("name {name}"), error))
    }

    async fn queue(&self, run: &RunId) -> HostResult<()> {
        let unit = self.unit(run)?;
        if self.work.look(&unit).await == WorkLook::Running {
            return Ok(());
        }
        let argv = [self.program.clone(), "hold-package-locks".to_owned()];
        self.work.start_transient(&unit, &argv, locks_properties(&argv)).await
    }

    async fn release(&self, run: &RunId) -> HostResult<()> {
        let unit = self.unit(run)?;
        self.work.end(&unit).await
    }
}
