//! To which packages files belong, from dpkg's lists of files.
//!
//! dpkg writes paths as packages have them: `/lib/x` where `/lib` is a link to `/usr/lib`, and the name of before where a file
//! was diverted. More owners than one is no trouble here; one too few would be.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::diversions::Diversions;
use crate::host::command::below;
use crate::model::without_architecture;

/// Links into `/usr`, where both are one.
const MERGED: [&str; 6] = ["/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/"];
/// Packages that share a directory: of a file in it that belongs to none, these few may be who made it.
const FEW: usize = 4;
/// Where only packages put files, and their scripts.
const OF_PACKAGES: &str = "/usr/";
const OF_ADMINISTRATOR: &str = "/usr/local/";

/// The owners of these files, by the files; of none that no package knows.
pub(super) fn of(root: &Path, files: &BTreeSet<String>) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let diversions = Diversions::read(root)?;
    // What is looked for in the lists, and for the sake of which file.
    let mut wanted: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    let mut directories: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for file in files {
        let path = merged(file);
        let before =
            diversions.places().filter(|(place, _)| merged(place) == path).map(|(_, packaged)| merged(packaged));
        for path in before.chain([path.clone()]).collect::<BTreeSet<_>>() {
            wanted.entry(path.into_owned()).or_default().push(file);
        }
        if let Some((directory, _)) = path.rsplit_once('/').filter(|_| path.starts_with(OF_PACKAGES)) {
            directories.entry(directory.to_owned()).or_default().push(file);
        }
    }
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut sharers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let info = below(root, "/var/lib/dpkg/info");
    let failed = |error: io::Error| format!("{}: {error}", info.display());
    for entry in fs::read_dir(&info).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(package) = name.strip_suffix(".list") else { continue };
        let package = without_architecture(package);
        let bytes = match fs::read(entry.path()) {
            Ok(bytes) => bytes,
            // Of a package that is removed at this moment.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{}: {error}", entry.path().display())),
        };
        for line in String::from_utf8_lossy(&bytes).lines() {
            let path = merged(line);
            for file in wanted.get(path.as_ref()).into_iter().flatten() {
                owners.entry((*file).clone()).or_default().insert(package.to_owned());
            }
            for file in directories.get(path.as_ref()).into_iter().flatten() {
                sharers.entry((*file).clone()).or_default().insert(package.to_owned());
            }
        }
    }
    // Not of a directory, which is of all who have something in it.
    owners.retain(|file, _| !below(root, file).is_dir());
    let made_by_scripts = sharers.into_iter().filter(|(file, sharers)| {
        sharers.len() <= FEW && !file.starts_with(OF_ADMINISTRATOR) && !owners.contains_key(file)
    });
    let made_by_scripts: Vec<_> = made_by_scripts.filter(|(file, _)| !below(root, file).is_dir()).collect();
    owners.extend(made_by_scripts);
    Ok(owners)
}

fn merged(path: &str) -> Cow<'_, str> {
    let is_link = !path.starts_with(OF_PACKAGES) && MERGED.iter().any(|start| path.starts_with(start));
    if is_link { Cow::Owned(format!("/usr{path}")) } else { Cow::Borrowed(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree;

    #[test]
    fn owners_are_found_through_merged_directories_diversions_and_what_scripts_made() {
        let dir = tempfile::tempdir().unwrap();
        let list = |name: &str, files: &[&str]| {
            tree::write(dir.path(), &format!("var/lib/dpkg/info/{name}.list"), &(files.join("\n") + "\n"));
        };
        tree::write(dir.path(), "usr/share/shop/pages/one.html", "");
        list("libssl3:amd64", &["/.", "/usr", "/usr/lib", "/usr/lib/libssl.so.3"]);
        list("kmod", &["/.", "/lib", "/lib/modprobe.d", "/bin/kmod"]);
        list("tool", &["/.", "/usr", "/usr/bin", "/usr/bin/tool"]);
        list("tool-plus", &["/.", "/usr", "/usr/bin", "/usr/bin/tool"]);
        list("locales", &["/.", "/usr", "/usr/lib", "/usr/lib/locale"]);
        list("shop", &["/usr", "/usr/share", "/usr/share/shop", "/usr/share/shop/pages", "/etc/shop.conf"]);
        for other in ["one", "two", "three", "four", "five"] {
            list(other, &["/usr", "/usr/lib"]);
        }
        tree::write(dir.path(), "var/lib/dpkg/diversions", "/usr/bin/tool\n/usr/bin/tool.distrib\ntool-plus\n");
        for (file, expected) in [
            ("/usr/lib/libssl.so.3", "libssl3"),
            ("/usr/bin/kmod", "kmod"),
            ("/bin/kmod", "kmod"),
            ("/lib/modprobe.d", "kmod"),
            ("/usr/bin/tool.distrib", "tool tool-plus"),
            ("/usr/bin/tool", "tool tool-plus"),
            // Made by a script, in a directory of one; and in one of many.
            ("/usr/lib/locale/locale-archive", "locales"),
            ("/usr/lib/made.cache", ""),
            ("/etc/shop.conf", "shop"),
            ("/etc/other.conf", ""),
            ("/opt/shop/main", ""),
            ("/usr/local/bin/tool", ""),
            // A directory is nobody's alone.
            ("/usr/share/shop/pages", ""),
        ] {
            let seen = of(dir.path(), &BTreeSet::from([file.to_owned()])).unwrap();
            let seen: Vec<&String> = seen.get(file).into_iter().flatten().collect();
            assert_eq!(seen, expected.split_whitespace().collect::<Vec<_>>(), "{file}");
        }
        assert!(of(&dir.path().join("nowhere"), &BTreeSet::new()).is_err());
    }
}
