//! On which file systems installed packages lie, and how much of them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::host::command::below;
use crate::model::{Footprint, Share, without_architecture};

/// What these packages have, by mount points. What cannot be looked at counts for nothing: room is an estimate.
pub(super) fn of(root: &Path, packages: &[String]) -> BTreeMap<String, Footprint> {
    let info = below(root, "/var/lib/dpkg/info");
    let lists: BTreeMap<String, PathBuf> = fs::read_dir(&info)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.strip_suffix(".list")?.to_owned(), entry.path())))
        .collect();
    let mut points = Points::below(root);
    let mut all = BTreeMap::new();
    for package in packages {
        let plain = without_architecture(package);
        // dpkg writes the architecture where several of a package can be installed.
        let own = lists.get(package).or_else(|| lists.get(plain)).or_else(|| {
            let first = lists.range(format!("{plain}:")..).next();
            first.filter(|(name, _)| without_architecture(name) == plain).map(|(_, path)| path)
        });
        let text = own.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let mut shares: BTreeMap<usize, Share> = BTreeMap::new();
        for path in text.lines().filter(|path| path.starts_with('/')) {
            let Some((point, bytes)) = points.of_file(path) else { continue };
            let share = shares.entry(point).or_default();
            share.bytes += bytes;
            share.files += 1;
        }
        let named = shares.into_iter().map(|(point, share)| (points.names[point].clone(), share));
        all.insert(package.clone(), named.collect());
    }
    all
}

/// Where a directory lies: its device, and the number of its mount point.
type Place = (u64, usize);

/// Mount points that are known by now. An upgrade has thousands of files, and each is looked at once.
struct Points<'a> {
    root: &'a Path,
    names: Vec<String>,
    /// Directories as dpkg writes them; none where a directory cannot be looked at.
    of_directories: HashMap<String, Option<Place>>,
    of_devices: BTreeMap<u64, usize>,
}

impl<'a> Points<'a> {
    fn below(root: &'a Path) -> Self {
        Self { root, names: Vec::new(), of_directories: HashMap::new(), of_devices: BTreeMap::new() }
    }

    /// The mount point below which a file lies, and its size; none for a directory, and for what is not there.
    fn of_file(&mut self, path: &str) -> Option<(usize, u64)> {
        // Every package lists the directories that it shares with others.
        if self.of_directories.contains_key(path) {
            return None;
        }
        let metadata = below(self.root, path).symlink_metadata().ok()?;
        let above = path.rsplit_once('/').map(|(above, _)| if above.is_empty() { "/" } else { above })?;
        if !metadata.is_dir() {
            let (_, point) = self.of_directory(above)?;
            return Some((point, metadata.len()));
        }
        // One on the device of the directory above lies where that does; dpkg writes that first.
        let place = self.of_directories.get(above).copied().flatten().filter(|(device, _)| *device == metadata.dev());
        let place = place.or_else(|| self.look(path));
        self.of_directories.insert(path.to_owned(), place);
        None
    }

    fn of_directory(&mut self, path: &str) -> Option<Place> {
        if let Some(known) = self.of_directories.get(path) {
            return *known;
        }
        let place = self.look(path);
        self.of_directories.insert(path.to_owned(), place);
        place
    }

    /// By directories: on an overlay each file may claim to lie on a device of its own.
    fn look(&mut self, directory: &str) -> Option<Place> {
        // `/lib` may be a link into another file system.
        let real = below(self.root, directory).canonicalize().ok()?;
        let device = real.metadata().ok()?.dev();
        if let Some(point) = self.of_devices.get(&device) {
            return Some((device, *point));
        }
        let is_on_it = |path: &&Path| path.metadata().is_ok_and(|metadata| metadata.dev() == device);
        let top = real.ancestors().take_while(is_on_it).last()?;
        let inside = top.strip_prefix(self.root.canonicalize().ok()?).unwrap_or(Path::new(""));
        self.names.push(Path::new("/").join(inside).to_str()?.to_owned());
        let point = self.names.len() - 1;
        self.of_devices.insert(device, point);
        Some((device, point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree;

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
