//! Units that run services.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::jobs::Goal;
use super::manager::Manager;
use super::proxy::NO_SUCH_UNIT;
use crate::host::bus::{Bus, is_named};
use crate::host::{HostResult, UnitChanges, UnitHold, Units};
use crate::model::{BootTime, JobResult, UnitName, UnitProcess, UnitRelations, UnitStart, UnitState, UnitSurvey};

/// Signals come in bursts: what follows within this time is told together.
const BURST: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
pub struct SystemdUnits {
    manager: Manager,
    burst: Duration,
}

impl SystemdUnits {
    /// Units behind `bus`. Files are read and written below `root`, which is `/` everywhere but in tests.
    pub fn new(bus: Bus, root: impl Into<PathBuf>) -> Self {
        Self { manager: Manager { bus, root: root.into() }, burst: BURST }
    }

    /// What changes is told at once, and not with what follows.
    #[must_use]
    pub fn in_haste(self) -> Self {
        Self { burst: Duration::ZERO, ..self }
    }
}

#[async_trait]
impl Units for SystemdUnits {
    async fn state(&self, unit: &UnitName) -> HostResult<UnitState> {
        self.manager.state(unit).await
    }

    async fn processes(&self, unit: &UnitName) -> HostResult<Vec<UnitProcess>> {
        self.manager.processes(unit).await
    }

    async fn start_of(&self, unit: &UnitName) -> HostResult<UnitStart> {
        self.manager.start_of(unit).await
    }

    async fn start(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult> {
        let name = unit.as_str();
        self.manager
            .job(&format!("start {unit}"), unit, Goal::Up, timeout, |manager, _| async move {
                manager.start_unit(name, "replace").await.map(Some)
            })
            .await
    }

    async fn restart(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult> {
        let name = unit.as_str();
        self.manager
            .job(&format!("restart {unit}"), unit, Goal::Up, timeout, |manager, _| async move {
                // The start limit counts no more then. Nothing has failed where this fails.
                let _ = manager.reset_failed_unit(name).await;
                manager.restart_unit(name, "replace").await.map(Some)
            })
            .await
    }

    async fn stop(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult> {
        self.manager.stop(unit, timeout).await
    }

    async fn hold(&self, holds: &[UnitHold]) -> HostResult<()> {
        self.manager.hold(holds).await
    }

    async fn protect(&self, unit: &UnitName) -> HostResult<()> {
        self.manager.protect(unit).await
    }

    async fn release(&self, units: &[UnitName]) -> HostResult<()> {
        self.manager.release(units).await
    }

    async fn let_go(&self, units: &[UnitName]) -> HostResult<()> {
        self.manager.let_go(units)
    }

    async fn userspace_began(&self) -> HostResult<u64> {
        self.manager.userspace_began().await
    }

    async fn boot_time(&self, services: &[UnitName]) -> HostResult<Option<BootTime>> {
        self.manager.boot_time(services).await
    }

    async fn survey(&self) -> HostResult<UnitSurvey> {
        self.manager.survey().await
    }

    async fn relations(&self, units: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
        self.manager.relations(units).await
    }

    async fn dependents(&self, units: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
        self.manager.dependents(units).await
    }

    async fn listen(&self) -> HostResult<Box<dyn UnitChanges>> {
        self.manager.listen(self.burst).await
    }
}

impl Manager {
    /// Stops a unit. One that is not loaded is down.
    pub(super) async fn stop(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult> {
        let name = unit.as_str();
        self.job(&format!("stop {unit}"), unit, Goal::Down, timeout, |manager, _| async move {
            match manager.stop_unit(name, "replace").await {
                Err(error) if is_named(&error, NO_SUCH_UNIT) => Ok(None),
                job => job.map(Some),
            }
        })
        .await
    }
}
