//! A shutdown that does not come to its end: what it waits for, taking it back, and going on without waiting.
//!
//! The jobs of a shutdown are irreversible: no start is accepted against them. They can be cancelled all the same, and
//! then a start of the default target brings back what they have stopped (seen on systemd 252). A service of our own that
//! does not conflict with `shutdown.target` outlives them all until the very end, and is the only one who can tell.

use async_trait::async_trait;
use jiff::SignedDuration;

use super::manager::Manager;
use super::proxy::manager;
use super::unit_spec::watch_properties;
use super::work::SystemdWork;
use crate::host::bus::{Bus, host_error};
use crate::host::{HostError, HostErrorKind, HostResult, Shutdown};
use crate::model::{PendingJob, RunId, UnitName};

/// What systemd starts at boot when nothing else is asked for.
const DEFAULT_TARGET: &str = "default.target";

/// Shutdowns of this host.
#[derive(Debug, Clone)]
pub struct SystemdShutdown {
    manager: Manager,
    work: SystemdWork,
    /// This program, with what it needs to find its state.
    program: Vec<String>,
}

impl SystemdShutdown {
    /// Shutdowns behind `bus`. `program` is this program's path and the arguments that come before a verb.
    pub fn new(bus: Bus, program: Vec<String>) -> Self {
        let work = SystemdWork::new(bus.clone(), program.first().cloned().unwrap_or_default());
        Self { manager: Manager { bus, root: "/".into() }, work, program }
    }
}

#[async_trait]
impl Shutdown for SystemdShutdown {
    async fn jobs(&self) -> HostResult<Vec<PendingJob>> {
        let rows = self
            .manager
            .bus
            .retry(|connection| async move { manager(&connection).await?.list_jobs().await })
            .await
            .map_err(|error| host_error("list systemd's jobs", &error))?;
        let job = |(_, unit, kind, state, _, _): (u32, String, String, String, _, _)| {
            let is_running = state == "running";
            PendingJob { unit, kind, is_running }
        };
        Ok(rows.into_iter().map(job).collect())
    }

    async fn take_back(&self) -> HostResult<bool> {
        let what = "take the shutdown back";
        if self.manager.survey().await?.system_state != "stopping" {
            return Ok(false);
        }
        self.manager
            .bus
            .retry(|connection| async move {
                let manager = manager(&connection).await?;
                manager.clear_jobs().await?;
                manager.start_unit(DEFAULT_TARGET, "replace").await.map(drop)
            })
            .await
            .map_err(|error| host_error(what, &error))?;
        match self.manager.survey().await?.system_state.as_str() {
            "stopping" => Err(HostError::new(HostErrorKind::Failed, what, "systemd says that it is still stopping")),
            _ => Ok(true),
        }
    }

    async fn force(&self) -> HostResult<()> {
        self.manager
            .bus
            .retry(|connection| async move { manager(&connection).await?.reboot().await })
            .await
            .map_err(|error| host_error("reboot without waiting", &error))
    }

    async fn watch(&self, run: &RunId, after: SignedDuration) -> HostResult<()> {
        let name = format!("patchday-watch-{run}.service");
        let unit: UnitName = name.parse().map_err(|error| HostError::failed(format!("start {name}"), error))?;
        let mut argv = self.program.clone();
        let seconds = after.as_secs().max(1).to_string();
        argv.extend(["resume", "--foreground", "--unless-rebooted-in", &seconds].map(str::to_owned));
        self.work.start_transient(&unit, &argv, watch_properties(&argv)).await
    }
}
