//! systemd's D-Bus interfaces, as far as they are used, and the bag of properties that `GetAll` returns.
//!
//! Properties are never taken from a cache: units change without telling unless somebody subscribed, so that a cached
//! value is a value of the past.

use std::collections::HashMap;

use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant};

/// A row of `ListUnits`: name, description, load state, active state, sub state, unit followed, unit path, job ID, job
/// type, job path.
pub(super) type UnitRow =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// Path of systemd's manager object.
pub(super) const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
/// Name of systemd on the bus.
pub(super) const SERVICE_NAME: &str = "org.freedesktop.systemd1";

/// Error: no such unit is loaded.
pub(super) const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
/// Error: a transient unit's name is taken.
pub(super) const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
/// Error: this connection has subscribed before, which is as good.
pub(super) const ALREADY_SUBSCRIBED: &str = "org.freedesktop.systemd1.AlreadySubscribed";

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(super) trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn reload(&self) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn get_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn list_units_filtered(&self, states: &[&str]) -> zbus::Result<Vec<UnitRow>>;
    fn list_units_by_patterns(&self, states: &[&str], patterns: &[&str]) -> zbus::Result<Vec<UnitRow>>;
    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: &[(&str, Variant<'_>)],
        auxiliary: &[(&str, &[(&str, Variant<'_>)])],
    ) -> zbus::Result<OwnedObjectPath>;
    fn set_unit_properties(&self, name: &str, runtime: bool, properties: &[(&str, Variant<'_>)]) -> zbus::Result<()>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn version(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn virtualization(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"), name = "FirmwareTimestampMonotonic")]
    fn firmware_timestamp_monotonic(&self) -> zbus::Result<u64>;
    #[zbus(property(emits_changed_signal = "false"), name = "UserspaceTimestampMonotonic")]
    fn userspace_timestamp_monotonic(&self) -> zbus::Result<u64>;
    #[zbus(property(emits_changed_signal = "false"), name = "FinishTimestampMonotonic")]
    fn finish_timestamp_monotonic(&self) -> zbus::Result<u64>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn system_state(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn environment(&self) -> zbus::Result<Vec<String>>;
}

pub(super) async fn manager(connection: &Connection) -> zbus::Result<ManagerProxy<'static>> {
    ManagerProxy::builder(connection).cache_properties(CacheProperties::No).build().await
}

/// The properties that anybody here reads: of the hundreds that systemd tells of a unit, the others are not kept.
const READ: [&str; 61] = [
    "ActiveEnterTimestampMonotonic",
    "ActiveState",
    "After",
    "BindsTo",
    "BoundBy",
    "BusName",
    "CPUQuotaPerSecUSec",
    "CPUUsageNSec",
    "CPUWeight",
    "ConditionResult",
    "ConditionTimestampMonotonic",
    "ConsistsOf",
    "ControlGroup",
    "DropInPaths",
    "ExecCondition",
    "ExecMainCode",
    "ExecMainStartTimestampMonotonic",
    "ExecMainStatus",
    "ExecReload",
    "ExecStart",
    "ExecStartPost",
    "ExecStartPre",
    "ExecStop",
    "ExecStopPost",
    "FragmentPath",
    "IOWeight",
    "Id",
    "InactiveExitTimestampMonotonic",
    "InvocationID",
    "Job",
    "LoadState",
    "MainPID",
    "MemoryHigh",
    "NRestarts",
    "NeedDaemonReload",
    "PartOf",
    "PropagatesStopTo",
    "RefuseManualStart",
    "RefuseManualStop",
    "RequiredBy",
    "Requires",
    "RequiresMountsFor",
    "Requisite",
    "RequisiteOf",
    "Restart",
    "RestartUSec",
    "Result",
    "RootDirectory",
    "RootImage",
    "SourcePath",
    "StartLimitBurst",
    "StartLimitIntervalUSec",
    "SubState",
    "TimeoutStopUSec",
    "Transient",
    "TriggeredBy",
    "Type",
    "UnitFileState",
    "UpheldBy",
    "WantedBy",
    "Wants",
];

/// The properties of one interface of an object, read now.
pub(super) async fn properties(
    connection: &Connection,
    path: &OwnedObjectPath,
    interface: &str,
) -> zbus::Result<Properties> {
    let reply = connection
        .call_method(
            Some(SERVICE_NAME),
            path,
            Some("org.freedesktop.DBus.Properties"),
            "GetAll",
            &(format!("{SERVICE_NAME}.{interface}")),
        )
        .await?;
    let body = reply.body();
    let all: HashMap<&str, Variant<'_>> = body.deserialize()?;
    let read = all.into_iter().filter(|(name, _)| READ.binary_search(name).is_ok());
    let read = read.map(|(name, value)| Ok((name.to_owned(), value.try_into_owned()?)));
    Ok(Properties(read.collect::<zbus::Result<_>>()?))
}

/// One property that is text, read now.
pub(super) async fn property(
    connection: &Connection,
    path: &OwnedObjectPath,
    interface: &str,
    name: &str,
) -> zbus::Result<String> {
    let interface = format!("{SERVICE_NAME}.{interface}");
    let getter = Some("org.freedesktop.DBus.Properties");
    let reply = connection.call_method(Some(SERVICE_NAME), path, getter, "Get", &(interface, name)).await?;
    let body = reply.body();
    let value: Variant<'_> = body.deserialize()?;
    Ok(<&str>::try_from(&value)?.to_owned())
}

/// Properties by name. One that is missing, or of another type, is none: versions of systemd differ.
#[derive(Debug, Default)]
pub(super) struct Properties(HashMap<String, OwnedVariant>);

impl Properties {
    fn value(&self, name: &str) -> Option<&OwnedVariant> {
        debug_assert!(READ.binary_search(&name).is_ok(), "{name} is not among the properties that are kept");
        self.0.get(name)
    }

    fn get<'a, T: TryFrom<&'a OwnedVariant>>(&'a self, name: &str) -> Option<T> {
        self.value(name).and_then(|value| T::try_from(value).ok())
    }

    fn list<T>(&self, name: &str) -> Option<Vec<T>>
    where
        Vec<T>: TryFrom<OwnedVariant>,
    {
        self.value(name).and_then(|value| value.try_clone().ok()).and_then(|value| value.try_into().ok())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get::<&str>(name).map(str::to_owned)
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.get(name)
    }

    pub(super) fn signed(&self, name: &str) -> Option<i32> {
        self.get(name)
    }

    /// A counter or a time; systemd's `u64::MAX` (infinity, or not counted) is none.
    pub(super) fn counter(&self, name: &str) -> Option<u64> {
        self.get(name).filter(|value| *value != u64::MAX)
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).unwrap_or_default()
    }

    /// A list with something in it, whatever that is.
    pub(super) fn is_filled(&self, name: &str) -> bool {
        let list = self.value(name).and_then(|value| value.downcast_ref::<zbus::Array<'_>>().ok());
        list.is_some_and(|list| !list.is_empty())
    }

    /// Command lines, as `ExecStart` has them: the program by its path, and its arguments.
    pub(super) fn commands(&self, name: &str) -> Vec<Vec<String>> {
        let list = self.value(name).and_then(|value| value.downcast_ref::<zbus::Array<'_>>().ok());
        let commands = list.iter().flat_map(|list| list.inner());
        let command = |command: &zbus::Variant<'_>| {
            let command = command.downcast_ref::<zbus::Structure<'_>>().ok()?;
            let [path, words, ..] = command.fields() else { return None };
            let words = words.downcast_ref::<zbus::Array<'_>>().ok()?;
            let words = words.inner().iter().skip(1).filter_map(|word| word.downcast_ref::<&str>().ok());
            Some([path.downcast_ref::<&str>().ok()?].into_iter().chain(words).map(str::to_owned).collect())
        };
        commands.filter_map(command).collect()
    }

    pub(super) fn hex(&self, name: &str) -> String {
        self.list::<u8>(name).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The path of the unit's job; none if it has no job.
    pub(super) fn job(&self) -> Option<OwnedObjectPath> {
        let (id, path) = self.value("Job")?.try_clone().ok().and_then(|job| {
            let job: zbus::Structure<'static> = job.try_into().ok()?;
            <(u32, OwnedObjectPath)>::try_from(job).ok()
        })?;
        (id != 0).then_some(path)
    }
}
