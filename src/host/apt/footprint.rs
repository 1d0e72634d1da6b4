//! On which file systems installed packages lie, and how much of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::host::command::below;
use crate::model::{Footprint, without_architecture};

/// What these packages have, by mount points. What cannot be looked at counts for nothing: room is an estimate.
pub(super) fn of(root: &Path, packages: &[String]) -> BTreeMap<String, Footprint> {
    let info = below(root, "/var/lib/dpkg/info");
    let lists: BTreeMap<String, PathBuf> = fs::read_dir(&info)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.strip_suffix(".list")?.to_owned(), entry.path())))
        .collect();
    let mut points = Points { root, of_directories: BTreeMap::new(), of_devices: BTreeMap::new() };
    let mut all = BTreeMap::new();
    for package in packages {
        let plain = without_architecture(package);
        // dpkg writes the architecture where several of a package can be installed.
        let own = lists.get(package).or_else(|| lists.get(plain)).or_else(|| {
            let first = lists.range(format!("{plain}:")..).next();
            first.filter(|(name, _)| without_architecture(name) == plain).map(|(_, path)| path)
        });
        let text = own.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let mut footprint = Footprint::new();
        for path in text.lines().filter(|path| path.starts_with('/')) {
            let Some((point, bytes)) = points.of_file(path) else { continue };
            let share = footprint.entry(point).or_default();
            share.bytes += bytes;
            share.files += 1;
        }
        all.insert(package.clone(), footprint);
    }
    all
}

/// Mount points that are known by now.
struct Points<'a> {
    root: &'a Path,
    of_directories: BTreeMap<PathBuf, Option<String>>,
    of_devices: BTreeMap<u64, String>,
}

impl Points<'_> {
    /// The mount point below which a file lies, and its size; none for a directory, and for what is not there.
    fn of_file(&mut self, path: &str) -> Option<(String, u64)> {
        let file = below(self.root, path);
        let metadata = file.symlink_metadata().ok().filter(|metadata| !metadata.is_dir())?;
        let directory = file.parent()?;
        if !self.of_directories.contains_key(directory) {
            let point = self.of_directory(directory);
            self.of_directories.insert(directory.to_owned(), point);
        }
        Some((self.of_directories.get(directory)?.clone()?, metadata.len()))
    }

    /// By directories: on an overlay each file may claim to lie on a device of its own.
    fn of_directory(&mut self, directory: &Path) -> Option<String> {
        // `/lib` may be a link into another file system.
        let real = directory.canonicalize().ok()?;
        let device = real.metadata().ok()?.dev();
        if let Some(point) = self.of_devices.get(&device) {
            return Some(point.clone());
        }
        let is_on_it = |path: &&Path| path.metadata().is_ok_and(|metadata| metadata.dev() == device);
        let top = real.ancestors().take_while(is_on_it).last()?;
        let inside = top.strip_prefix(self.root.canonicalize().ok()?).unwrap_or(Path::new(""));
        let point = Path::new("/").join(inside).to_str()?.to_owned();
        self.of_devices.insert(device, point.clone());
        Some(point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree;
    use crate::model::Share;

    #[test]
    fn files_are_counted_where_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| tree::write(dir.path(), path, text);
        write("usr/bin/tool", "0123456789");
        write("usr/lib/libtool.so", "01234");
        std::os::unix::fs::symlink("usr/lib", dir.path().join("lib")).unwrap();
        write("var/lib/dpkg/info/tool.list", "/.\n/usr\n/usr/bin\n/usr/bin/tool\n/usr/share/gone\n");
        write("var/lib/dpkg/info/libtool:amd64.list", "/lib/libtool.so\n");
        let names = ["tool", "libtool", "libtool:amd64", "too", "unknown"].map(str::to_owned);
        let seen = of(dir.path(), &names);
        let only = |bytes| Footprint::from([("/".to_owned(), Share { bytes, files: 1 })]);
        for (name, expected) in [
            ("tool", only(10)),
            ("libtool", only(5)),
            ("libtool:amd64", only(5)),
            ("too", Footprint::new()),
            ("unknown", Footprint::new()),
        ] {
            assert_eq!(seen[name], expected, "{name}");
        }
    }
}
