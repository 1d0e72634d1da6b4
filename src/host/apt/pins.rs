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
    // In whatever encoding it is: apt takes it as it stands.
    let own = match fs::read(&own) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed("read", &own, error)),
    };
    let text = [pins(selection).into_bytes(), own].concat();
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let directory = below(root, "/run/patchday");
    fs::create_dir_all(&directory).map_err(|error| failed("make", &directory, error))?;
    let path = directory.join(format!("apt-preferences-{:016x}", hasher.finish()));
    // Another look at the same selection may be writing it at this moment.
    atomic_file::replace_shared(&path, &text, 0o644).map_err(|error| failed("write", &path, error))?;
    Ok(Some(path))
}

fn pins(selection: &PackageSelection) -> String {
    let mut text = String::new();
    let mut pin = |package: &str, pin: &str, priority: &str| {
        let _ = write!(text, "Package: {package}\nPin: {pin}\nPin-Priority: {priority}\n\n");
    };
    for name in &selection.exclude {
        // Without an architecture apt takes the host's own, and removes a package whose other half is upgraded.
        let any = if name.contains(':') { "" } else { ":any" };
        // A negative priority lets no version in; the one that is installed stays.
        pin(&format!("{name}{any}"), "release *", "-1");
    }
    for name in &selection.exclude_origins {
        // No pin of the host's for a single package counts against this one (seen with apt 2.6 and 3.0).
        for (key, value) in
            [("release o=", name.clone()), ("release l=", name.clone()), ("origin ", format!("\"{name}\""))]
        {
            pin("*", &format!("{key}{value}"), "never");
        }
    }
    let security = if selection.only_security { ONLY_SECURITY } else { "" };
    text + security
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

        let exclude = vec!["docker-*".into(), "libc6:i386".into()];
        let exclude = PackageSelection { exclude, ..PackageSelection::default() };
        let path = write(dir.path(), &exclude).unwrap().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let pin = |package: &str, pin: &str, priority: &str| {
            format!("Package: {package}\nPin: {pin}\nPin-Priority: {priority}\n\n")
        };
        let packages = ["docker-*:any", "libc6:i386"].map(|package| pin(package, "release *", "-1")).concat();
        assert_eq!(text, format!("{packages}{own}"));
        assert_eq!(write(dir.path(), &exclude).unwrap().unwrap(), path);
        let security = PackageSelection { only_security: true, ..exclude };
        assert_ne!(write(dir.path(), &security).unwrap().unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);

        let origins = PackageSelection { exclude_origins: vec!["Docker CE".into()], ..security };
        let text = fs::read_to_string(write(dir.path(), &origins).unwrap().unwrap()).unwrap();
        let archives = ["release o=Docker CE", "release l=Docker CE", "origin \"Docker CE\""];
        let archives = archives.map(|which| pin("*", which, "never")).concat();
        assert_eq!(text, format!("{packages}{archives}{ONLY_SECURITY}{own}"));
    }
}
