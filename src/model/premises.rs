//! What a host stands on: its mounts, its clock, its power.

/// Something that is mounted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: String,
    /// What.
    pub source: String,
    /// Type of the file system.
    pub kind: String,
    /// Whether a unit file of its own mounts it.
    pub has_unit_file: bool,
    /// Whether nobody can write to it.
    pub read_only: bool,
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
    /// Options.
    pub options: Vec<String>,
    /// Whether the device exists; none where it is no device of this host, as in a share of the network.
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
    /// Whether it delivers; none where it does not tell.
    pub online: Option<bool>,
    /// What is left, in percent.
    pub capacity: Option<u8>,
}
