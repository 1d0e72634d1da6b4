//! Reading units, and the calls that concern systemd as a whole.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use zbus::Connection;

use super::cgroup;
use super::object::object_path;
use super::proxy::{self, manager};
use super::unit_properties::{Properties, UnitProperty};
use crate::host::boot_clock::boot_began;
use crate::host::bus::{Bus, host_error};
use crate::host::{HostError, HostErrorKind, HostResult};
use crate::model::{
    BootMoments, BootTime, LoadState, RestartRule, UnitName, UnitProcess, UnitStart, UnitState, UnitSurvey,
    is_container,
};

/// Properties of a service that are command lines.
const COMMANDS: [UnitProperty; 7] = [
    UnitProperty::ExecCondition,
    UnitProperty::ExecStartPre,
    UnitProperty::ExecStart,
    UnitProperty::ExecStartPost,
    UnitProperty::ExecReload,
    UnitProperty::ExecStop,
    UnitProperty::ExecStopPost,
];

/// systemd as seen over one bus handle; what the adapters share.
#[derive(Debug, Clone)]
pub(super) struct Manager {
    pub(super) bus: Bus,
    /// Prefix of every path on the host, `/` but for tests.
    pub(super) root: PathBuf,
}

/// What is known of a unit, raw.
#[derive(Debug, Default)]
pub(super) struct RawUnit {
    pub(super) unit: Properties,
    /// Empty for units that are no service.
    pub(super) service: Properties,
}

impl Manager {
    /// All properties of a unit, which is loaded for that; a unit without a file has the load state `not-found`.
    pub(super) async fn raw(&self, unit: &UnitName) -> zbus::Result<RawUnit> {
        let name = unit.as_str();
        self.bus
            .retry(|connection| async move {
                let path = manager(&connection).await?.load_unit(name).await?;
                raw_unit(&connection, name, &path).await
            })
            .await
    }

    /// As [`Self::raw`], but fails with `NoSuchUnit` where the unit is not in memory.
    pub(super) async fn raw_if_loaded(&self, unit: &UnitName) -> zbus::Result<RawUnit> {
        let name = unit.as_str();
        self.bus
            .retry(|connection| async move {
                let path = manager(&connection).await?.get_unit(name).await?;
                raw_unit(&connection, name, &path).await
            })
            .await
    }

    /// The unit's sub-state alone, by one message. A unit that is not in memory is loaded for it, and is dead.
    pub(super) async fn sub_state(&self, unit: &UnitName) -> zbus::Result<String> {
        let path = &object_path(unit.as_str())?;
        self.bus
            .retry(|connection| async move {
                proxy::property(&connection, path, "Unit", UnitProperty::SubState.name()).await
            })
            .await
    }

    /// The job that the unit has now.
    pub(super) async fn current_job(&self, unit: &UnitName) -> zbus::Result<Option<zbus::OwnedObjectPath>> {
        Ok(self.raw(unit).await?.unit.job())
    }

    /// Everything about one unit, at this instant.
    pub(super) async fn state(&self, unit: &UnitName) -> HostResult<UnitState> {
        let what = || format!("read the state of {unit}");
        let raw = self.raw(unit).await.map_err(|error| host_error(what(), &error))?;
        let control_group = raw.service.text(UnitProperty::ControlGroup).unwrap_or_default();
        let processes = cgroup::processes(&self.root, &control_group)
            .map_err(|error| HostError::new(HostErrorKind::Unknown, what(), error))?;
        let processes = u32::try_from(processes.len()).unwrap_or(u32::MAX);
        unit_state(&raw, control_group, processes, boot_began(&self.root))
            .map_err(|why| HostError::new(HostErrorKind::Unknown, what(), why))
    }

    /// The processes in its control group.
    pub(super) async fn processes(&self, unit: &UnitName) -> HostResult<Vec<UnitProcess>> {
        let what = || format!("list the processes of {unit}");
        let raw = self.raw(unit).await.map_err(|error| host_error(what(), &error))?;
        let control_group = raw.service.text(UnitProperty::ControlGroup).unwrap_or_default();
        let pids = cgroup::processes(&self.root, &control_group)
            .map_err(|error| HostError::new(HostErrorKind::Unknown, what(), error))?;
        let read = |pid: u32, file: &str| {
            std::fs::read_to_string(self.root.join(format!("proc/{pid}/{file}"))).unwrap_or_default()
        };
        let process = |pid| UnitProcess {
            pid,
            name: read(pid, "comm").trim_end().to_owned(),
            own_pid: own_pid(&read(pid, "status")).unwrap_or(pid),
        };
        Ok(pids.into_iter().map(process).collect())
    }

    /// From the files of the unit that systemd has read.
    pub(super) async fn start_of(&self, unit: &UnitName) -> HostResult<UnitStart> {
        let raw = self.raw(unit).await.map_err(|error| host_error(format!("read what starts {unit}"), &error))?;
        let texts = |property| raw.unit.text(property).filter(|text| !text.is_empty());
        let files =
            [UnitProperty::FragmentPath, UnitProperty::SourcePath].iter().filter_map(|property| texts(*property));
        let mut own_root = [UnitProperty::RootDirectory, UnitProperty::RootImage]
            .iter()
            .filter_map(|property| raw.service.text(*property));
        Ok(UnitStart {
            files: files.chain(raw.unit.texts(UnitProperty::DropInPaths)).collect(),
            commands: COMMANDS.iter().flat_map(|property| raw.service.commands(*property)).collect(),
            own_root: own_root.find(|root| !root.is_empty() && root != "/"),
        })
    }

    /// Makes systemd read all unit files again; returns when it has.
    pub(super) async fn reload(&self) -> HostResult<()> {
        self.bus
            .retry(|connection| async move { manager(&connection).await?.reload().await })
            .await
            .map_err(|error| host_error("reload systemd's unit files", &error))
    }

    /// Microseconds from the boot until systemd last began with the host itself.
    pub(super) async fn userspace_began(&self) -> HostResult<u64> {
        let began = u64::try_from(boot_began(&self.root).as_micros()).unwrap_or_default();
        let read = self
            .bus
            .retry(|connection| async move { manager(&connection).await?.userspace_timestamp_monotonic().await });
        let userspace = read.await.map_err(|error| host_error("read when systemd began", &error))?;
        Ok(userspace.saturating_sub(began))
    }

    /// How long the boot took until these services were active.
    pub(super) async fn boot_time(&self, services: &[UnitName]) -> HostResult<Option<BootTime>> {
        let began = u64::try_from(boot_began(&self.root).as_micros()).unwrap_or_default();
        let read = self.bus.retry(|connection| async move {
            let manager = manager(&connection).await?;
            Ok(BootMoments {
                firmware: manager.firmware_timestamp_monotonic().await?,
                began,
                userspace: manager.userspace_timestamp_monotonic().await?,
                finished: manager.finish_timestamp_monotonic().await?,
                is_container: is_container(&manager.virtualization().await?),
                // An older systemd does not know it, and does not count them either.
                soft_reboots: manager.soft_reboots_count().await.unwrap_or_default(),
            })
        });
        let moments = read.await.map_err(|error| host_error("read how long the boot took", &error))?;
        let mut active = Vec::new();
        for service in services {
            active.push(self.state(service).await?.active_since_usec.map(|since| since + began));
        }
        Ok(BootTime::of(&moments, &active))
    }

    /// Active and failed units.
    pub(super) async fn survey(&self) -> HostResult<UnitSurvey> {
        self.bus
            .retry(|connection| async move {
                let manager = manager(&connection).await?;
                let mut survey = UnitSurvey {
                    systemd_version: manager.version().await?,
                    system_state: manager.system_state().await?,
                    virtualization: manager.virtualization().await?,
                    ..UnitSurvey::default()
                };
                for row in manager.list_units_filtered(&["active", "reloading", "failed"]).await? {
                    // Kinds of unit without a name of ours (devices) come and go with the hardware.
                    let Ok(name) = row.0.parse() else { continue };
                    if row.3 == "failed" { survey.failed.push(name) } else { survey.active.push(name) }
                }
                survey.active.sort();
                survey.failed.sort();
                Ok(survey)
            })
            .await
            .map_err(|error| host_error("list the units", &error))
    }
}

async fn raw_unit(connection: &Connection, name: &str, path: &zbus::OwnedObjectPath) -> zbus::Result<RawUnit> {
    let unit = proxy::properties(connection, path, "Unit").await?;
    let service = if name.ends_with(".service") {
        proxy::properties(connection, path, "Service").await?
    } else {
        Properties::default()
    };
    Ok(RawUnit { unit, service })
}

/// `ExecMainStatus`, but only where `ExecMainCode` says that it is an exit status (`CLD_EXITED`) and no signal.
pub(super) fn exit_status(service: &Properties) -> Option<i32> {
    service.signed(UnitProperty::ExecMainStatus).filter(|_| service.signed(UnitProperty::ExecMainCode) == Some(1))
}

/// The last of `NSpid:` in `/proc/PID/status`: a process has a number in each PID namespace that it is in, and knows the
/// innermost one.
fn own_pid(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().last()?.parse().ok()
}

fn restart_rule(unit: &Properties, service: &Properties) -> Option<RestartRule> {
    let duration = |usec: Option<u64>| usec.and_then(|usec| i64::try_from(usec).ok()).map(SignedDuration::from_micros);
    Some(RestartRule {
        policy: service.text(UnitProperty::Restart)?,
        delay: duration(service.counter(UnitProperty::RestartUSec))?,
        burst: unit.number(UnitProperty::StartLimitBurst)?,
        interval: duration(unit.counter(UnitProperty::StartLimitIntervalUSec)).unwrap_or_default(),
    })
}

/// systemd always tells the load and the active state; an answer without them is none.
fn unit_state(raw: &RawUnit, control_group: String, processes: u32, boot_began: Duration) -> Result<UnitState, String> {
    let RawUnit { unit, service } = raw;
    let required = |property: UnitProperty| {
        unit.text(property).ok_or_else(|| format!("systemd did not tell its {}", property.name()))
    };
    let began = u64::try_from(boot_began.as_micros()).unwrap_or_default();
    let moment = |property| unit.counter(property).filter(|usec| *usec != 0).map(|usec| usec.saturating_sub(began));
    let stop_timeout = service.counter(UnitProperty::TimeoutStopUSec);
    Ok(UnitState {
        load: LoadState::from(required(UnitProperty::LoadState)?),
        active: required(UnitProperty::ActiveState)?.into(),
        sub: unit.text(UnitProperty::SubState).unwrap_or_default(),
        unit_file: unit.text(UnitProperty::UnitFileState).unwrap_or_default(),
        result: service.text(UnitProperty::Result),
        exit_status: exit_status(service),
        main_pid: service.number(UnitProperty::MainPID).filter(|pid| *pid != 0),
        restarts: service.number(UnitProperty::NRestarts).unwrap_or_default(),
        control_group,
        processes,
        stop_timeout: stop_timeout.and_then(|usec| i64::try_from(usec).ok()).map(SignedDuration::from_micros),
        active_since_usec: moment(UnitProperty::ActiveEnterTimestampMonotonic),
        activation_began_usec: moment(UnitProperty::InactiveExitTimestampMonotonic),
        invocation: unit.hex(UnitProperty::InvocationID),
        after: unit.texts(UnitProperty::After).iter().filter_map(|name| name.parse().ok()).collect(),
        needs_daemon_reload: unit.flag(UnitProperty::NeedDaemonReload).unwrap_or_default(),
        restart: restart_rule(unit, service),
        service_type: service.text(UnitProperty::Type).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_innermost_number() {
        for (status, expected) in [
            ("Name:\tmongod\nPid:\t812\nNSpid:\t812\n", Some(812)),
            ("Name:\tmongod\nNSpid:\t812\t44\t1\nNSpgid:\t9\n", Some(1)),
            ("Name:\tmongod\n", None),
            ("", None),
        ] {
            assert_eq!(own_pid(status), expected, "{status}");
        }
    }
}
