//! Room that an upgrade needs, on each file system that its packages write to. Pure.

use std::collections::BTreeMap;

use super::{PackageAction, UpgradePlan};

/// What a package has below one mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Bytes of its files.
    pub bytes: u64,
    /// How many these are.
    pub files: u64,
}

/// What an installed package has, by mount points.
pub type Footprint = BTreeMap<String, Share>;

/// A file system, by those of the paths asked for that lie on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// The paths, as they were asked for.
    pub paths: Vec<String>,
    /// Bytes that are free for programs without root's reserve.
    pub free: u64,
    /// Free inodes, and all of them; none if it makes them as it needs them.
    pub inodes: Option<(u64, u64)>,
}

/// What an upgrade takes of a file system at its worst moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    pub bytes: u64,
    pub files: u64,
}

/// Where a package writes of which nothing is known yet.
const NEW_PACKAGES: &str = "/usr";
/// Where apt puts what it fetches.
const ARCHIVES: &str = "/var/cache/apt/archives";
/// Files in a megabyte of a package, where nobody has counted them.
const FILES_OF_MEGABYTE: u64 = 10;

/// What the plan takes, by mount points and by the directory of apt's archives. A version that replaces another one is
/// unpacked beside it: so what all of them grow by is needed, and the largest one once more. It is taken to lie where the
/// version that is installed does.
pub fn room_needed(plan: &UpgradePlan, footprints: &BTreeMap<String, Footprint>) -> BTreeMap<String, Need> {
    let mut growth: BTreeMap<&str, Need> = BTreeMap::new();
    let mut largest: BTreeMap<&str, Need> = BTreeMap::new();
    let nowhere = Footprint::new();
    for change in plan.changes.iter().filter(|change| change.action != PackageAction::Remove) {
        let Some(size) = plan.sizes.get(&change.name) else { continue };
        let now = footprints.get(&change.name).unwrap_or(&nowhere);
        let all: u64 = now.values().map(|share| share.bytes).sum();
        if all == 0 {
            let grown = growth.entry(NEW_PACKAGES).or_default();
            grown.bytes += size.installed;
            grown.files += FILES_OF_MEGABYTE * size.installed / 1_000_000 + 1;
            continue;
        }
        for (point, share) in now {
            let new = scaled(size.installed, share.bytes, all);
            let (grown, beside) = (growth.entry(point).or_default(), largest.entry(point).or_default());
            grown.bytes += new.saturating_sub(share.bytes);
            beside.bytes = beside.bytes.max(new.min(share.bytes));
            beside.files = beside.files.max(share.files);
        }
    }
    growth.entry(ARCHIVES).or_default().bytes += plan.download_bytes();
    let with_largest = |(point, grown): (&str, Need)| {
        let beside = largest.get(point).copied().unwrap_or_default();
        (point.to_owned(), Need { bytes: grown.bytes + beside.bytes, files: grown.files + beside.files })
    };
    growth.into_iter().map(with_largest).filter(|(_, need)| *need != Need::default()).collect()
}

fn scaled(whole: u64, part: u64, of: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(part) / u128::from(of.max(1))).unwrap_or(u64::MAX)
}

impl FileSystem {
    /// What all that lies on it takes of it.
    pub fn need(&self, needs: &BTreeMap<String, Need>) -> Need {
        let own = needs.iter().filter(|(point, _)| self.paths.contains(point));
        own.fold(Need::default(), |sum, (_, need)| Need {
            bytes: sum.bytes + need.bytes,
            files: sum.files + need.files,
        })
    }

    /// As people know it: the shortest of its paths.
    pub fn name(&self) -> &str {
        self.paths.iter().min_by_key(|path| path.len()).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PackageChange, PackageSize};

    const MB: u64 = 1_000_000;

    /// A package: megabytes to fetch, megabytes of the new version, and what the one before has: point, megabytes, files.
    type Row = (u64, u64, &'static [(&'static str, u64, u64)]);

    fn needed(rows: &[Row]) -> Vec<(String, u64, u64)> {
        let mut plan = UpgradePlan::default();
        let mut footprints = BTreeMap::new();
        for (number, (download, installed, now)) in rows.iter().enumerate() {
            let name = format!("package-{number}");
            let change = PackageChange {
                name: name.clone(),
                action: PackageAction::Upgrade,
                from: None,
                to: Some("2".into()),
                origin: None,
            };
            plan.changes.push(change);
            let size =
                PackageSize { download: download * MB, installed: installed * MB, files: None, has_script: false };
            plan.sizes.insert(name.clone(), size);
            let share = |(point, bytes, files): &(&str, u64, u64)| {
                ((*point).to_owned(), Share { bytes: bytes * MB, files: *files })
            };
            footprints.insert(name, now.iter().map(share).collect());
        }
        room_needed(&plan, &footprints).into_iter().map(|(point, need)| (point, need.bytes / MB, need.files)).collect()
    }

    #[test]
    fn growth_adds_up_and_the_largest_package_lies_beside_itself() {
        let expected = |rows: &[(&str, u64, u64)]| -> Vec<(String, u64, u64)> {
            rows.iter().map(|(point, bytes, files)| ((*point).to_owned(), *bytes, *files)).collect()
        };
        for (what, rows, wanted) in [
            ("nothing", &[][..], &[][..]),
            ("one that stays as it is", &[(0, 30, &[("/", 30, 100)][..])], &[("/", 30, 100)]),
            ("one that grows", &[(0, 50, &[("/", 30, 100)][..])], &[("/", 50, 100)]),
            ("one that shrinks", &[(0, 10, &[("/", 30, 100)][..])], &[("/", 10, 100)]),
            (
                "several: what they grow by, and the largest",
                &[(0, 50, &[("/", 30, 100)][..]), (0, 45, &[("/", 40, 10)][..])],
                &[("/", 65, 100)],
            ),
            (
                "on two file systems, each its part",
                &[(0, 80, &[("/", 30, 100), ("/opt", 10, 5)][..])],
                &[("/", 60, 100), ("/opt", 20, 5)],
            ),
            ("a new one, whose files nobody has counted", &[(0, 20, &[][..])], &[("/usr", 20, 201)]),
            ("what is to be fetched", &[(7, 1, &[("/", 1, 1)][..])], &[("/", 1, 1), ("/var/cache/apt/archives", 7, 0)]),
        ] {
            assert_eq!(needed(rows), expected(wanted), "{what}");
        }
    }

    #[test]
    fn a_file_system_is_needed_by_all_that_lies_on_it() {
        let need = |bytes, files| Need { bytes, files };
        let needs = [("/".to_owned(), need(5, 1)), ("/usr".to_owned(), need(7, 2)), ("/opt".to_owned(), need(1, 1))];
        let paths = ["/usr", "/", "/var"].map(str::to_owned).to_vec();
        let root = FileSystem { paths, free: 0, inodes: None };
        assert_eq!((root.need(&needs.into()), root.name()), (need(12, 3), "/"));
    }
}
