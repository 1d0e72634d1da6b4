//! The host itself: what it has, what it stands on, and its clock.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::HostResult;
use crate::model::{BootId, FileSystem, FstabEntry, Inventory, ListeningSocket, Mount, PowerSupply, Resources};

#[async_trait]
pub trait System: Send + Sync {
    /// The boot that is running; none if the kernel's answer is no boot ID.
    async fn boot(&self) -> Option<BootId>;

    async fn uptime(&self) -> HostResult<SignedDuration>;

    /// Microseconds since the boot by the clock that systemd's own times of units are of.
    fn moment(&self) -> u64;

    /// Free bytes of the file systems that hold the given paths; paths that do not exist are left out.
    async fn free_space(&self, paths: &[&str]) -> HostResult<BTreeMap<String, u64>>;

    /// CPUs, memory and load.
    async fn resources(&self) -> HostResult<Resources>;

    /// Who listens where over TCP.
    async fn listening_sockets(&self) -> HostResult<Vec<ListeningSocket>>;

    /// The file systems that hold the given paths, each once; paths that do not exist are left out.
    async fn file_systems(&self, paths: &[&str]) -> HostResult<Vec<FileSystem>>;

    /// Everything that is mounted.
    async fn mounts(&self) -> HostResult<Vec<Mount>>;

    /// The lines of `/etc/fstab`; none if there is no such file.
    async fn fstab(&self) -> HostResult<Vec<FstabEntry>>;

    /// Mains and batteries; none if the host has none that it could tell of.
    async fn power_supplies(&self) -> HostResult<Vec<PowerSupply>>;

    /// Why root must not run this command: somebody else could replace a part of it; none if nobody can.
    async fn distrust(&self, command: &[String]) -> HostResult<Option<String>>;

    /// Whether the kernel's clock is kept right by somebody.
    async fn clock_synchronized(&self) -> HostResult<bool>;

    /// What a host has besides units, sockets and packages, at this instant. What cannot be read is unknown, each by itself.
    async fn inventory(&self) -> Inventory;
}

/// The clock, and waiting.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall's time: for people and calendars. Anybody may set it at any moment.
    fn wall(&self) -> Timestamp;

    /// The kernel's clock: nobody sets it, and it counts while the machine is suspended.
    fn since_boot(&self) -> SignedDuration;

    /// Whose clocks the people of this host read.
    fn zone(&self) -> TimeZone;

    async fn sleep(&self, duration: SignedDuration);
}
