//! On which disks packages lie, and that all of it is there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::super::footprint;
use super::below;
use crate::host::{HostError, HostResult};

/// Where packages and their scripts write.
const PLACES: [&str; 9] =
    ["/", "/usr", "/etc", "/var", "/var/lib", "/var/lib/dpkg", "/var/lib/patchday", "/var/cache", "/boot"];

/// File systems on which `syncfs` is all that it takes, by the numbers in `linux/magic.h`.
const FIT: [(u32, &str); 5] =
    [(0xEF53, "ext4"), (0x5846_5342, "xfs"), (0x9123_683E, "btrfs"), (0x794C_7630, "overlay"), (0xF2F5_2010, "f2fs")];

/// What can hold no package: only the kernel, the loader and the log of ours write there.
const BOOT: &str = "/boot";

/// Why a batch would not be safe here; none if it is.
pub(super) fn unfit(root: &Path, packages: &[String], log: &Path) -> Option<String> {
    let boot = below(root, BOOT);
    let all = places(root, packages).into_iter().filter(|place| *place != boot);
    all.chain([log.to_owned()]).find_map(|place| {
        let kind = match rustix::fs::statfs(&place) {
            Ok(kind) => kind.f_type,
            Err(error) => return Some(format!("{}: {error}", place.display())),
        };
        let is_fit = FIT.iter().any(|(magic, _)| u64::try_from(kind).is_ok_and(|kind| kind == u64::from(*magic)));
        let fit: Vec<&str> = FIT.iter().map(|(_, name)| *name).collect();
        (!is_fit).then(|| format!("{} is on none of {}", place.display(), fit.join(", ")))
    })
}

/// A directory of each file system on which the packages, or what their scripts make, may lie.
pub(super) fn places(root: &Path, packages: &[String]) -> Vec<PathBuf> {
    let points: BTreeSet<String> =
        footprint::of(root, packages).into_values().flat_map(|shares| shares.into_keys()).collect();
    let fixed = PLACES.iter().map(|&place| place.to_owned());
    let mut seen = BTreeSet::new();
    let mut places = Vec::new();
    for place in fixed.chain(points).map(|place| below(root, &place)) {
        let Ok(metadata) = fs::metadata(&place) else { continue };
        if metadata.is_dir() && seen.insert(metadata.dev()) {
            places.push(place);
        }
    }
    places
}

/// Has the kernel write all that these file systems have in memory; an error that a write before met counts.
pub(super) fn sync<'a>(places: impl IntoIterator<Item = &'a Path>) -> HostResult<()> {
    for place in places {
        let failed =
            |error: std::io::Error| HostError::failed(format!("sync the file system of {}", place.display()), error);
        let opened = File::open(place).map_err(failed)?;
        rustix::fs::syncfs(&opened).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_system_is_synced_once_and_memory_is_no_disk() {
        let places = places(Path::new("/"), &[]);
        assert_eq!(places.first().map(PathBuf::as_path), Some(Path::new("/")));
        let devices: BTreeSet<u64> = places.iter().map(|place| place.metadata().unwrap().dev()).collect();
        assert_eq!(devices.len(), places.len());
        sync(places.iter().map(PathBuf::as_path)).unwrap();
        assert!(sync([Path::new("/no/such/place")]).is_err());
        if Path::new("/dev/shm").is_dir() {
            let why = unfit(Path::new("/"), &[], Path::new("/dev/shm"));
            assert!(why.is_some_and(|why| why.contains("on none of ext4")));
        }
    }
}
