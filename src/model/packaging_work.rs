//! What dpkg has to do for a plan, in seconds on a host whose pace is known or assumed.

use std::collections::BTreeMap;

use super::{HostPace, PackageAction, PackageChange, UpgradePlan};

/// How often dpkg syncs for a package, besides once for each of its files: its database and the scripts. Counted by strace
/// for 24 packages of Debian 12, called one by one: 26 to 59.
const PACKAGE_SYNCS: f64 = 35.0;

/// What the CPU has to do, in seconds where it has the pace of [`HostPace::USUAL_SPAWN`]: to begin, for each package, for
/// each of its files and for each megabyte of them.
const BEGINNING: f64 = 0.8;
const UNPACK: f64 = 0.03;
const UNPACK_FILE: f64 = 0.0007;
const FILES_OF_MEGABYTE: f64 = 10.0;
const NO_SCRIPT: f64 = 0.01;
const SCRIPT: f64 = 0.2;
const REMOVE: f64 = 0.3;
const INITRD: f64 = 7.0;
const TAIL: f64 = 0.4;

/// Packages by the beginning of their names whose scripts take long: a kernel's has its initrd built, that of the
/// certificates hashes each of them anew, and each module of PHP is enabled for each of its programs.
const LONG_SCRIPTS: [(&str, f64); 3] = [("linux-image-", INITRD), ("ca-certificates", 4.0), ("php", 1.0)];

/// What dpkg has to do for a plan, in seconds. An upgrade of this host before corrects the sum, not its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct PackagingWork {
    pub beginning: f64,
    /// To unpack and to configure each package; of one that goes, its removal and nothing.
    pub packages: BTreeMap<String, (f64, f64)>,
    /// Triggers, and what apt does behind dpkg.
    pub tail: f64,
    /// How many times as long as usual the CPU takes.
    cpu: f64,
}

impl PackagingWork {
    /// On a server of today, where nothing was measured.
    pub fn of(plan: &UpgradePlan, pace: Option<&HostPace>) -> Self {
        let pace = pace.map_or_else(Pace::usual, Pace::of);
        let cpu = pace.cpu;
        Self {
            beginning: BEGINNING * cpu,
            packages: plan.changes.iter().map(|change| (change.name.clone(), pace.of_package(plan, change))).collect(),
            tail: (TAIL + if plan.changes.iter().any(triggers_initrd) { INITRD } else { 0.0 }) * cpu,
            cpu,
        }
    }

    pub fn total(&self) -> f64 {
        self.beginning + self.packages.values().map(|(unpack, configure)| unpack + configure).sum::<f64>() + self.tail
    }

    /// What the triggers of a package take.
    pub fn of_trigger(&self, package: &str) -> f64 {
        self.cpu * if package == "initramfs-tools" { INITRD } else { SCRIPT }
    }
}

/// A host's pace as the sums need it.
struct Pace {
    /// Seconds of a sync of dpkg's database.
    sync: f64,
    /// Seconds that one file waits for the disk.
    file: f64,
    /// How many times as long as usual the CPU takes.
    cpu: f64,
}

impl Pace {
    fn usual() -> Self {
        Self { sync: 0.002, file: 0.002, cpu: 1.0 }
    }

    fn of(pace: &HostPace) -> Self {
        Self {
            sync: pace.sync.as_secs_f64(),
            file: pace.file.as_secs_f64() * if pace.copies_up { 2.0 } else { 1.0 },
            cpu: pace.spawn.as_secs_f64() / HostPace::USUAL_SPAWN.as_secs_f64(),
        }
    }

    fn of_package(&self, plan: &UpgradePlan, change: &PackageChange) -> (f64, f64) {
        if change.action == PackageAction::Remove {
            return (REMOVE * self.cpu, 0.0);
        }
        let size = plan.sizes.get(&change.name);
        let megabytes = size.map_or(0.0, |size| size.installed as f64 / 1e6);
        let files = size.and_then(|size| size.files).map_or(FILES_OF_MEGABYTE * megabytes, f64::from);
        let has_script = size.is_none_or(|size| size.has_script);
        let long = LONG_SCRIPTS.iter().find(|(name, _)| change.name.starts_with(name) && megabytes > 0.05);
        let configure = long.map_or(if has_script { SCRIPT } else { NO_SCRIPT }, |(_, seconds)| *seconds);
        let disk = PACKAGE_SYNCS * self.sync + files * self.file;
        ((UNPACK + UNPACK_FILE * files) * self.cpu + disk, configure * self.cpu)
    }
}

/// Its triggers have the initrd built anew. A kernel's own script does that by itself.
fn triggers_initrd(change: &PackageChange) -> bool {
    ["initramfs-tools", "dkms"].iter().any(|name| change.name.starts_with(name))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::model::PackageSize;

    fn plan(files: u32, has_script: bool) -> UpgradePlan {
        let change = PackageChange {
            name: "perl".into(),
            action: PackageAction::Upgrade,
            from: Some("1".into()),
            to: Some("2".into()),
            origin: None,
        };
        let size = PackageSize { download: 1, installed: 1_000_000, files: Some(files), has_script };
        UpgradePlan { changes: vec![change], sizes: [("perl".into(), size)].into(), ..UpgradePlan::default() }
    }

    #[test]
    fn a_slow_disk_makes_files_longer_and_a_slow_cpu_scripts() {
        let usual = HostPace {
            at: jiff::Timestamp::UNIX_EPOCH,
            sync: SignedDuration::from_micros(500),
            file: SignedDuration::from_micros(500),
            spawn: HostPace::USUAL_SPAWN,
            copies_up: false,
        };
        let of = |pace: &HostPace, files, has_script| PackagingWork::of(&plan(files, has_script), Some(pace)).total();
        let slow = SignedDuration::from_millis(5);
        let slow_disk = HostPace { sync: slow, file: slow, ..usual };
        let slow_cpu = HostPace { spawn: HostPace::USUAL_SPAWN * 2, ..usual };
        let on_overlay = HostPace { copies_up: true, ..usual };
        let added = of(&slow_disk, 1000, false) - of(&usual, 1000, false);
        assert!((added - 1035.0 * 0.0045).abs() < 1e-6, "{added}");
        let added = of(&on_overlay, 1000, false) - of(&usual, 1000, false);
        assert!((added - 0.5).abs() < 1e-6, "{added}");
        let script = |pace| of(pace, 0, true) - of(pace, 0, false);
        assert!((script(&slow_cpu) - 2.0 * script(&usual)).abs() < 1e-6);
        assert!((script(&slow_disk) - script(&usual)).abs() < 1e-6);
    }
}
