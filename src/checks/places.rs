//! The places that packages write into: what should be mounted there is, and can be written to.

use super::check;
use crate::model::{FstabEntry, Mount, Severity, UpgradePlan, images};

/// Where a kernel's packages and the boot loader's write.
const BOOT: [&str; 3] = ["/boot", "/boot/efi", "/efi"];

const PLACES: [&str; 12] = [
    "/",
    "/etc",
    "/lib",
    "/lib/modules",
    "/opt",
    "/usr",
    "/usr/lib",
    "/usr/lib/modules",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
];

/// A place, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    /// The upgrade would fail for it, or write where nobody finds it again.
    is_fatal: bool,
    line: String,
}

check!(
    PLACES_WRITABLE,
    Space,
    "places-writable",
    Blocker,
    120,
    "all that packages write into is mounted, and can be written to",
    "Where /boot is in /etc/fstab and not mounted, a new kernel goes into the directory beneath, and the old one is started. \
     What is mounted read-only is found by dpkg, with the services down. A warning where the upgrade writes nothing there.",
    |check, inputs| {
        let system = &inputs.host.system;
        let (table, mounts) = (system.fstab().await?, system.mounts().await?);
        let problems = problems(&table, &mounts, inputs.upgrade().await?);
        if problems.is_empty() {
            return Ok(None);
        }
        let mut finding = check.found("packages would write into what is not mounted, or read-only");
        if problems.iter().all(|problem| !problem.is_fatal) {
            finding.severity = Severity::Warning;
        }
        let finding = finding.lines(problems.into_iter().map(|problem| problem.line));
        Ok(Some(finding.remedy("mount it, so that it can be written to", "findmnt --verify; mount -a")))
    }
);

fn problems(table: &[FstabEntry], mounts: &[Mount], plan: &UpgradePlan) -> Vec<Problem> {
    let brings_kernel = images(plan).next().is_some();
    let is_place = |point: &str| BOOT.contains(&point) || PLACES.contains(&point);
    let is_fatal = |point: &str| if BOOT.contains(&point) { brings_kernel } else { !plan.is_empty() };
    let trimmed = |point: &'_ str| if point == "/" { "/".to_owned() } else { point.trim_end_matches('/').to_owned() };
    let unmounted = table
        .iter()
        .map(|entry| (entry, trimmed(&entry.point)))
        .filter(|(_, point)| is_place(point) && point != "/" && mounts.iter().all(|mount| mount.point != *point));
    let unmounted = unmounted.map(|(entry, point)| Problem {
        is_fatal: is_fatal(&point),
        line: format!("{point}: {} is to be mounted there, and is not ({})", entry.source, entry.options.join(",")),
    });
    let read_only = mounts.iter().filter(|mount| mount.read_only && is_place(&mount.point));
    let read_only = read_only.map(|mount| Problem {
        is_fatal: is_fatal(&mount.point),
        line: format!("{}: {} is mounted read-only", mount.point, mount.source),
    });
    unmounted.chain(read_only).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PackageAction, PackageChange};

    fn plan(names: &[&str]) -> UpgradePlan {
        let change = |name: &&str| PackageChange {
            name: (*name).into(),
            action: PackageAction::Install,
            from: None,
            to: Some("1".into()),
            origin: None,
        };
        UpgradePlan { changes: names.iter().map(change).collect(), ..UpgradePlan::default() }
    }

    fn entry(point: &str, options: &str) -> FstabEntry {
        let options = options.split(',').map(str::to_owned).collect();
        FstabEntry { source: "/dev/vdb".into(), point: point.into(), kind: "ext4".into(), options, source_exists: None }
    }

    fn mount(point: &str, read_only: bool) -> Mount {
        let (source, kind) = ("/dev/vda".into(), "ext4".into());
        Mount { point: point.into(), source, kind, has_unit_file: false, read_only }
    }

    #[test]
    fn a_place_that_is_not_mounted_or_read_only_counts_where_the_upgrade_writes_into_it() {
        const KERNEL: &[&str] = &["linux-image-6.1.0-56-amd64"];
        const OTHER: &[&str] = &["tzdata"];
        let root = || vec![mount("/", false)];
        let rows = [
            (
                "all is mounted",
                vec![entry("/boot", "defaults")],
                vec![mount("/", false), mount("/boot", false)],
                KERNEL,
                None,
            ),
            ("noauto", vec![entry("/boot", "noauto")], root(), KERNEL, Some(true)),
            ("nofail", vec![entry("/boot/", "nofail")], root(), KERNEL, Some(true)),
            ("the firmware's", vec![entry("/boot/efi", "umask=0077")], root(), KERNEL, Some(true)),
            ("no kernel comes", vec![entry("/boot", "noauto")], root(), OTHER, Some(false)),
            ("nothing comes", vec![entry("/var", "nofail")], root(), &[], Some(false)),
            ("/var", vec![entry("/var", "nofail")], root(), OTHER, Some(true)),
            ("where no package writes", vec![entry("/srv/data", "noauto")], root(), KERNEL, None),
            ("/boot is read-only", vec![], vec![mount("/boot", true)], KERNEL, Some(true)),
            ("/usr is read-only", vec![], vec![mount("/usr", true)], OTHER, Some(true)),
            ("/sys is read-only", vec![], vec![mount("/sys", true)], KERNEL, None),
        ];
        for (what, table, mounts, names, fatal) in rows {
            let seen = problems(&table, &mounts, &plan(names));
            assert_eq!(seen.first().map(|problem| problem.is_fatal), fatal, "{what}: {seen:?}");
        }
    }
}
