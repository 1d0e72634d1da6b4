//! Reads dpkg's database, as `dpkg-query` prints it.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::host::command::below;
use crate::host::{HostError, HostResult};

/// The format that is asked of `dpkg-query -W`, one line a package.
pub(super) const FORMAT: &str = "${db:Status-Abbrev}|${Package}|${Architecture}|${Version}\n";

/// One package of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DpkgPackage {
    /// What is wanted, what is, and whether it is in error: `ii `, `hi `, `rc `, `iF `, `iHR`.
    pub(super) status: String,
    /// Name, with `:arch` where it is foreign: as apt writes it.
    pub(super) name: String,
    /// Version; empty where nothing of the package is there.
    pub(super) version: String,
}

impl DpkgPackage {
    /// Whether dpkg is not done with it: unpacked, half installed, half configured, waiting for triggers, in error, or
    /// in a state that this version does not know. What is *wanted* of a package is a selection and breaks nothing.
    pub(super) fn is_broken(&self) -> bool {
        let mut letters = self.status.chars().skip(1);
        let consistent = matches!(letters.next(), Some('n' | 'c' | 'i'));
        let in_error = letters.next().is_some_and(|error| error != ' ');
        !consistent || in_error
    }

    /// Whether its files are on the host, configured or not.
    pub(super) fn is_installed(&self) -> bool {
        !matches!(self.status.chars().nth(1), None | Some('n' | 'c' | 'H'))
    }
}

/// Reads `dpkg-query -W -f FORMAT`. A line that cannot be read is an error.
///
/// The host's own architecture is that of the package `dpkg` itself.
pub(super) fn parse(text: &str) -> Result<Vec<DpkgPackage>, String> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.splitn(4, '|').collect();
        let &[status, name, architecture, version] = fields.as_slice() else {
            return Err(format!("cannot read dpkg-query's line {line:?}"));
        };
        rows.push((status, name, architecture, version));
    }
    let native = rows.iter().find(|(_, name, ..)| *name == "dpkg").map_or("", |(_, _, architecture, _)| *architecture);
    let package = |(status, name, architecture, version): (&str, &str, &str, &str)| {
        let foreign = ![native, "all", ""].contains(&architecture) && !native.is_empty();
        DpkgPackage {
            status: status.to_owned(),
            name: if foreign { format!("{name}:{architecture}") } else { name.to_owned() },
            version: version.to_owned(),
        }
    };
    Ok(rows.into_iter().map(package).collect())
}

/// Packages that dpkg is not done with, as `iF libc6`.
pub(super) fn broken(packages: &[DpkgPackage]) -> Vec<String> {
    let broken = packages.iter().filter(|package| package.is_broken());
    broken.map(|package| format!("{} {}", package.status.trim_end(), package.name)).collect()
}

/// Installed packages that somebody put on hold.
pub(super) fn held(packages: &[DpkgPackage]) -> Vec<String> {
    let held = packages.iter().filter(|package| package.status.starts_with('h') && package.is_installed());
    held.map(|package| package.name.clone()).collect()
}

/// Installed packages and their versions.
pub(super) fn installed(packages: &[DpkgPackage]) -> BTreeMap<String, String> {
    let installed = packages.iter().filter(|package| package.is_installed());
    installed.map(|package| (package.name.clone(), package.version.clone())).collect()
}

/// Whether dpkg was interrupted: it keeps numbered records of what it has not merged into its database.
pub(super) fn interrupted(root: &Path) -> HostResult<bool> {
    let updates = below(root, "/var/lib/dpkg/updates");
    let failed = |error| HostError::failed(format!("read {}", updates.display()), error);
    let entries = match fs::read_dir(&updates) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let numeric = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if numeric {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_half_done_packages_are_broken() {
        for (status, is_broken, is_installed) in [
            ("ii ", false, true),
            ("hi ", false, true),
            ("ri ", false, true),
            ("pi ", false, true),
            ("rc ", false, false),
            ("pc ", false, false),
            ("hc ", false, false),
            ("un ", false, false),
            ("pn ", false, false),
            ("in ", false, false),
            ("iU ", true, true),
            ("iF ", true, true),
            ("iH ", true, false),
            ("iW ", true, true),
            ("it ", true, true),
            ("hF ", true, true),
            ("rH ", true, false),
            ("iiR", true, true),
            ("iHR", true, false),
            ("i? ", true, true),
            ("", true, false),
        ] {
            let package = DpkgPackage { status: status.into(), name: "lab".into(), version: "1".into() };
            assert_eq!((package.is_broken(), package.is_installed()), (is_broken, is_installed), "{status:?}");
        }
    }

    #[test]
    fn a_real_database_with_a_failed_package_is_read() {
        let packages = parse(include_str!("../../../tests/fixtures/apt/dpkg-query-broken-apt2.6.1.txt")).unwrap();
        assert_eq!(broken(&packages), ["iF lab-fail"]);
        let installed = installed(&packages);
        assert_eq!(installed["dpkg"], "1.21.23");
        assert_eq!(installed["lab-held"], "1");
        assert_eq!(held(&packages), ["lab-held"]);
    }

    #[test]
    fn foreign_packages_have_their_architecture_in_the_name() {
        let text = "ii |dpkg|amd64|1.21.23\nii |libc6|amd64|2.36-9\nii |libc6|i386|2.36-8\nii |tzdata|all|2026f\n\
                    un |cron||\n";
        let packages = parse(text).unwrap();
        let installed = installed(&packages);
        assert_eq!(installed.keys().collect::<Vec<_>>(), ["dpkg", "libc6", "libc6:i386", "tzdata"]);
        assert!(broken(&packages).is_empty());
        assert!(parse("ii bash\n").is_err());
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [include_str!("../../../tests/fixtures/apt/dpkg-query-broken-apt2.6.1.txt")];
        crate::host::hostile::survives(&samples, |text| {
            let _ = parse(text);
        });
    }
}
