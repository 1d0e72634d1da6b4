//! What a host stands on: its mounts, its clock, its power.

use std::collections::BTreeMap;
use std::path::Path;

/// File systems of the kernel, which hold no data of anybody's.
const KERNEL_FILE_SYSTEMS: [&str; 21] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// Below these, mounts come and go with the kernel, with sessions, with containers and with snaps: they are never the
/// same after a boot, and say nothing of the host.
const PASSING_MOUNTS: [&str; 9] = [
    "/dev",
    "/proc",
    "/run",
    "/snap",
    "/sys",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/snap",
];

/// Something that is mounted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub point: String,
    pub source: String,
    /// Type of the file system.
    pub kind: String,
    /// Whether a unit file of its own mounts it.
    pub has_unit_file: bool,
    /// Whether nobody can write to it.
    pub read_only: bool,
}

impl Mount {
    /// Whether every boot should bring it back, and is not what makes it anew.
    pub fn is_lasting(&self) -> bool {
        let point = Path::new(&self.point);
        !KERNEL_FILE_SYSTEMS.contains(&self.kind.as_str()) && !PASSING_MOUNTS.iter().any(|dir| point.starts_with(dir))
    }
}

/// The lasting ones: mount points and their sources.
pub fn lasting_mounts(mounts: Vec<Mount>) -> BTreeMap<String, String> {
    mounts.into_iter().filter(Mount::is_lasting).map(|mount| (mount.point, mount.source)).collect()
}

/// A line of `/etc/fstab`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FstabEntry {
    /// What, as it is written.
    pub source: String,
    /// Where; `none` for swap.
    pub point: String,
    /// Type of the file system.
    pub kind: String,
    pub options: Vec<String>,
    /// Whether the device exists; none if it is no device of this host, as in a share of the network.
    pub source_exists: Option<bool>,
}

impl FstabEntry {
    /// Whether the entry has the option.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|known| known == option)
    }
}

/// Where power comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerSupply {
    /// The kernel's name for it, as in `BAT0`.
    pub name: String,
    /// `Mains`, `Battery`, `UPS`, `USB`.
    pub kind: String,
    /// `Discharging`, `Charging`, `Full`; empty where it does not tell.
    pub status: String,
    /// Whether it delivers; none if it does not tell.
    pub online: Option<bool>,
    /// What is left, in percent.
    pub capacity: Option<u8>,
}
