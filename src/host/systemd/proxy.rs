//! systemd's D-Bus interfaces, as far as they are used, and the bag of properties that `GetAll` returns.
//!
//! Properties are never taken from a cache: units change without telling unless somebody subscribed, so that a cached
//! value is a value of the past.

use std::collections::HashMap;

use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, Variant};

use super::unit_properties::Properties;

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
    fn soft_reboots_count(&self) -> zbus::Result<u32>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn system_state(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn environment(&self) -> zbus::Result<Vec<String>>;
}

pub(super) async fn manager(connection: &Connection) -> zbus::Result<ManagerProxy<'static>> {
    ManagerProxy::builder(connection).cache_properties(CacheProperties::No).build().await
}

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
    Properties::of(all)
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
