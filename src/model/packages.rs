//! Packages: what would change, and in what state they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AheadChoice, UnitName};

/// What apt would do with a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageAction {
    /// A newer version replaces an installed one.
    Upgrade,
    Install,
    Remove,
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// Name, with `:arch` where it is foreign.
    pub name: String,
    pub action: PackageAction,
    /// Version now; none for an install.
    pub from: Option<String>,
    /// Version afterwards; none for a removal.
    pub to: Option<String>,
    /// Where it comes from, as apt writes it: `Debian-Security:12/oldstable-security`.
    pub origin: Option<String>,
}

/// A package's name without the architecture that apt and dpkg write behind it where it is foreign, or always.
pub fn without_architecture(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

impl PackageChange {
    /// Name and versions, in one line.
    pub fn told(&self) -> String {
        let version = |version: &Option<String>| version.clone().unwrap_or_default();
        format!("{} {} -> {}", self.name, version(&self.from), version(&self.to))
    }

    /// Whether it comes from a security archive, judged by apt's name of the origin.
    pub fn is_security(&self) -> bool {
        self.origin.as_deref().is_some_and(|origin| origin.to_ascii_lowercase().contains("-security"))
    }
}

/// What a dist-upgrade would do on this host now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpgradePlan {
    pub changes: Vec<PackageChange>,
    /// Packages that apt keeps back: held or not resolvable.
    pub kept_back: Vec<String>,
    /// Packages whose update is deferred by phasing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phased: Vec<String>,
    /// Upgrades that apt would make if `[upgrade]` left nothing out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<PackageChange>,
    /// Why these are not known; none if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out_unknown: Option<String>,
    /// What of it comes while the services run, and what waits; none where only new kernels do, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<AheadChoice>,
    /// Sizes of the new versions, by the names of the changes; not of those that apt does not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sizes: BTreeMap<String, PackageSize>,
}

/// How big a package is, and what it makes dpkg do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSize {
    /// Bytes to fetch; nothing where it is in the cache already.
    pub download: u64,
    pub installed: u64,
    /// Files of the version that is installed; of a package that is new, those of an installed one that is called the same
    /// but for a version in its name; none where there is no such one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// Whether a script configures the version that is installed.
    #[serde(default)]
    pub has_script: bool,
}

impl UpgradePlan {
    /// Whether apt would change nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes to fetch, as far as is known.
    pub fn download_bytes(&self) -> u64 {
        self.sizes.values().map(|size| size.download).sum()
    }

    /// The part of it that can be done while the services run: kernels that come beside those that are there, with
    /// what belongs to them. Nothing where no kernel is new.
    pub fn new_kernels(&self) -> Self {
        let mut part = self.part(is_of_new_kernel);
        if !part.changes.iter().any(|change| change.name.starts_with("linux-image-")) {
            part.changes.clear();
        }
        part
    }

    /// What comes ahead of the stop, where something does: what was chosen, or else new kernels.
    pub fn ahead_of_stop(&self) -> Self {
        match &self.ahead {
            Some(choice) => self.part(|change| choice.is_ahead(&change.name)),
            None => self.new_kernels(),
        }
    }

    /// What is left when that is there.
    pub fn behind_stop(&self) -> Self {
        let ahead = self.ahead_of_stop();
        self.part(|change| !ahead.changes.contains(change))
    }

    pub(super) fn part(&self, is_part: impl Fn(&PackageChange) -> bool) -> Self {
        let changes = self.changes.iter().filter(|change| is_part(change)).cloned().collect();
        Self { changes, ..self.clone() }
    }

    /// Upgrades of this plan that another one, which leaves out some, does not make.
    pub fn upgrades_beyond(&self, other: &Self) -> Vec<PackageChange> {
        let is_made =
            |change: &PackageChange| other.changes.iter().any(|made| made.name == change.name && made.to == change.to);
        let upgrades = self.changes.iter().filter(|change| change.action == PackageAction::Upgrade);
        upgrades.filter(|change| !is_made(change)).cloned().collect()
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

    /// Packages whose files are of two versions: dpkg does not configure them before they are unpacked once more
    /// (`R` in the third column, reinst-required in dpkg(1)).
    pub fn to_reinstall(&self) -> Vec<String> {
        let packages = self.broken.iter().filter_map(|line| line.split_once(' '));
        packages.filter(|(status, _)| status.ends_with('R')).map(|(_, name)| name.to_owned()).collect()
    }
}

/// A kernel's packages bear its release in their names, so that a new one replaces nothing.
fn is_of_new_kernel(change: &PackageChange) -> bool {
    change.action == PackageAction::Install && change.name.starts_with("linux-")
}

/// The locks of dpkg as it is run by apt, of dpkg itself, of the package lists, and of the download cache.
pub const PACKAGE_LOCKS: [&str; 4] =
    ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"];

/// Somebody who holds one of the locks of apt and dpkg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder {
    pub lock: String,
    /// The process; none if it is outside of this container.
    pub pid: Option<u32>,
    /// Its program; empty where it has ended since.
    pub program: String,
    /// The unit that it runs in.
    pub unit: Option<UnitName>,
}

impl std::fmt::Display for LockHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} ({})", self.program)?,
            None => f.write_str("a process outside of this container")?,
        }
        if let Some(unit) = &self.unit {
            write!(f, " of {unit}")?;
        }
        write!(f, " holds {}", self.lock)
    }
}

/// One of apt's sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// Its address, without credentials.
    pub name: String,
    /// Why it cannot be read; none if it can.
    pub problem: Option<String>,
}

/// A configuration file that is not as its package left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedConffile {
    pub package: String,
    pub path: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_an_older_version_has_nothing_phased() {
        let plan: UpgradePlan = serde_json::from_str(r#"{"changes":[],"kept_back":["a"]}"#).unwrap();
        assert_eq!((plan.kept_back.len(), plan.phased.len()), (1, 0));
        let plan = UpgradePlan { phased: vec!["b".into()], ..plan };
        assert_eq!(serde_json::from_str::<UpgradePlan>(&serde_json::to_string(&plan).unwrap()).unwrap(), plan);
    }
}
