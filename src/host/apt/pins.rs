//! Pins for what a run leaves out (apt_preferences(5)), in a file of our own that apt reads in place of
//! `/etc/apt/preferences`. The host's own pins are in it as well, behind ours: of pins for one package the first counts.

use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::below;
use crate::atomic_file;
use crate::host::{HostError, HostResult};
use crate::model::PackageSelection;

/// An upgrade from anywhere else ranks below what is installed, which has 100; a package that is new may still come from
/// there.
const ONLY_SECURITY: &str = "Package: *\nPin: release a=now\nPin-Priority: 100\n\n\
                             Package: *\nPin: release a=*-security\nPin-Priority: 500\n\n\
                             Package: *\nPin: release *\nPin-Priority: 50\n\n";

/// Writes the pins, and returns where; none if nothing is left out. The file is named after what is in it, so that
/// whoever selects otherwise meanwhile changes nothing for a run that is at work.
pub(super) fn write(root: &Path, selection: &PackageSelection) -> HostResult<Option<PathBuf>> {
    if selection.is_all() {
        return Ok(None);
    }
    let failed = |what: &str, path: &Path, error| HostError::failed(format!("{what} {}", path.display()), error);
    let own = below(root, "/etc/apt/preferences");
    let own = match fs::read_to_string(&own) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed("read", &own, error)),
    };
    let text = pins(selection, &own);
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let directory = below(root, "/run/patchday");
    fs::create_dir_all(&directory).map_err(|error| failed("make", &directory, error))?;
    let path = directory.join(format!("apt-preferences-{:016x}", hasher.finish()));
    // Another look at the same selection may be writing it at this moment.
    atomic_file::replace_shared(&path, text.as_bytes(), 0o644).map_err(|error| failed("write", &path, error))?;
    Ok(Some(path))
}

fn pins(selection: &PackageSelection, own: &str) -> String {
    let mut text = String::new();
    for name in &selection.exclude {
        // A negative priority lets no version in; the one that is installed stays.
        let _ = write!(text, "Package: {name}\nPin: release *\nPin-Priority: -1\n\n");
    }
    let security = if selection.only_security { ONLY_SECURITY } else { "" };
    format!("{text}{security}{own}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_pins_stay_and_ours_come_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/apt")).unwrap();
        let own = "Package: nginx\nPin: release a=stable-backports\nPin-Priority: 600\n";
        fs::write(dir.path().join("etc/apt/preferences"), own).unwrap();
        assert_eq!(write(dir.path(), &PackageSelection::default()).unwrap(), None);

        let exclude = PackageSelection { exclude: vec!["docker-ce".into()], only_security: false };
        let path = write(dir.path(), &exclude).unwrap().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("Package: docker-ce\nPin: release *\nPin-Priority: -1\n\n{own}"));
        assert_eq!(write(dir.path(), &exclude).unwrap().unwrap(), path);
        let security = PackageSelection { only_security: true, ..exclude };
        assert_ne!(write(dir.path(), &security).unwrap().unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
