//! Packages: what would change, and in what state they are.

use serde::{Deserialize, Serialize};

/// What apt would do with a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageAction {
    /// A newer version replaces an installed one.
    Upgrade,
    /// Not installed before.
    Install,
    /// Removed, or purged.
    Remove,
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// Name, with `:arch` where it is foreign.
    pub name: String,
    /// What would happen.
    pub action: PackageAction,
    /// Version now; none for an install.
    pub from: Option<String>,
    /// Version afterwards; none for a removal.
    pub to: Option<String>,
    /// Where it comes from, as apt writes it: `Debian-Security:12/oldstable-security`.
    pub origin: Option<String>,
}

impl PackageChange {
    /// Whether it comes from a security archive, judged by apt's name of the origin.
    pub fn is_security(&self) -> bool {
        self.origin.as_deref().is_some_and(|origin| origin.to_ascii_lowercase().contains("-security"))
    }
}

/// What a dist-upgrade would do on this host now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpgradePlan {
    /// Every change.
    pub changes: Vec<PackageChange>,
    /// Packages that apt keeps back: held, phased or not resolvable.
    pub kept_back: Vec<String>,
}

impl UpgradePlan {
    /// Whether apt would change nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Names of the packages that would be removed.
    pub fn removals(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter(|change| change.action == PackageAction::Remove).map(|change| change.name.as_str())
    }
}

/// Whether dpkg's database is consistent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PackageState {
    /// Packages that are neither installed, held nor removed: `STATUS NAME`, as in `iF libc6`.
    pub broken: Vec<String>,
    /// Whether `/var/lib/dpkg/updates` holds records of an interrupted dpkg.
    pub interrupted: bool,
}

impl PackageState {
    /// Nothing is half done.
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty() && !self.interrupted
    }
}
