//! The limits of the slice that all work shares.
//!
//! They are set at run time (`SetUnitProperties`), which writes drop-ins below `/run`: a reboot forgets them.

use std::path::PathBuf;

use async_trait::async_trait;

use super::cgroup;
use super::manager::Manager;
use super::proxy::{self, manager};
use super::unit_properties::{Properties, UnitProperty};
use super::unit_spec::{SLICE, slice_properties};
use crate::host::bus::{Bus, host_error};
use crate::host::{Budget, HostError, HostResult};
use crate::model::{GroupUse, SliceLimits, UnitName};

/// `patchday.slice` of this host.
#[derive(Debug, Clone)]
pub struct SystemdBudget {
    manager: Manager,
    slice: UnitName,
}

impl SystemdBudget {
    /// The slice behind `bus`, its control group below `root`; `/` except in tests.
    ///
    /// # Errors
    ///
    /// Never, as long as the slice's name is one.
    pub fn new(bus: Bus, root: PathBuf) -> HostResult<Self> {
        let slice = SLICE.parse().map_err(|error| HostError::failed(format!("name {SLICE}"), error))?;
        Ok(Self { manager: Manager { bus, root }, slice })
    }

    async fn properties(&self) -> HostResult<Properties> {
        let read = self.manager.bus.retry(|connection| async move {
            let path = manager(&connection).await?.load_unit(SLICE).await?;
            proxy::properties(&connection, &path, "Slice").await
        });
        read.await.map_err(|error| host_error(format!("read the limits of {SLICE}"), &error))
    }
}

#[async_trait]
impl Budget for SystemdBudget {
    fn slice(&self) -> UnitName {
        self.slice.clone()
    }

    async fn limits(&self) -> HostResult<SliceLimits> {
        let slice = self.properties().await?;
        Ok(SliceLimits {
            cpu_quota_per_sec_usec: slice.counter(UnitProperty::CPUQuotaPerSecUSec),
            cpu_weight: slice.counter(UnitProperty::CPUWeight),
            io_weight: slice.counter(UnitProperty::IOWeight),
            memory_high: slice.counter(UnitProperty::MemoryHigh),
        })
    }

    async fn set_limits(&self, limits: &SliceLimits) -> HostResult<()> {
        let properties = &slice_properties(limits)[..];
        let set = self.manager.bus.retry(|connection| async move {
            manager(&connection).await?.set_unit_properties(SLICE, true, properties).await
        });
        set.await.map_err(|error| host_error(format!("limit {SLICE}"), &error))
    }

    async fn usage(&self) -> HostResult<Option<GroupUse>> {
        let group = self.properties().await?.text(UnitProperty::ControlGroup).unwrap_or_default();
        cgroup::group_use(&self.manager.root, &group)
            .map_err(|error| HostError::failed(format!("read the control group of {SLICE}"), error))
    }
}
