//! Where a server's files are on this host: a server in a container, or one with mounts of its own, names its files as it
//! sees them itself, and this host may have others by the same names.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::host::command::below;
use crate::host::mounts;
use crate::model::DatabaseFacts;

/// Data directory and log as this host has them; none for what cannot be reached from here.
pub(super) fn on_host(root: &Path, facts: &DatabaseFacts, pid: u32) -> (Option<String>, Option<String>) {
    let process = root.join("proc").join(pid.to_string());
    let place = |path: &Option<String>| path.as_deref().and_then(|path| place(root, &process, path));
    (place(&facts.db_path), place(&facts.log_path))
}

/// One file or directory of the process, by a name that it has here.
fn place(root: &Path, process: &Path, path: &str) -> Option<String> {
    // Relative names are of the directory where it was started.
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => fs::read_link(process.join("cwd")).ok()?.join(path).to_str()?.to_owned(),
    };
    let theirs = match fs::metadata(below(&process.join("root"), &path)) {
        Ok(theirs) => theirs,
        // We may not look: then the name is all there is, and a server without a container means ours.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Some(path),
        Err(_) => return None,
    };
    let is_it = |candidate: &str| fs::metadata(below(root, candidate)).is_ok_and(|ours| is_same(&ours, &theirs));
    if is_it(&path) {
        return Some(path);
    }
    let read = |file: PathBuf| fs::read_to_string(file).unwrap_or_default();
    let (their_mounts, our_mounts) = (read(process.join("mountinfo")), read(root.join("proc/self/mountinfo")));
    names(&their_mounts, &our_mounts, &path).into_iter().find(|name| is_it(name))
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The names that a path of `theirs` may have among our mounts: the same file system may be mounted here several times.
fn names(theirs: &str, ours: &str, path: &str) -> Vec<String> {
    let path = Path::new(path);
    // The longest mount point that holds it; of equals the last, which lies above the others.
    let holder = mounts::parse(theirs).filter(|mount| path.starts_with(&mount.point));
    let Some(holder) = holder.max_by_key(|mount| Path::new(&mount.point).components().count()) else {
        return Vec::new();
    };
    let Ok(rest) = path.strip_prefix(&holder.point) else { return Vec::new() };
    let within = joined(Path::new(&holder.root), rest);
    let same = mounts::parse(ours).filter(|mount| mount.device == holder.device);
    let names = same.filter_map(|mount| {
        let name = joined(Path::new(&mount.point), within.strip_prefix(&mount.root).ok()?);
        Some(name.to_str()?.to_owned())
    });
    names.collect()
}

/// `Path::join` leaves a slash behind where nothing is joined.
fn joined(base: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { base.to_owned() } else { base.join(rest) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::host::tree;

    const OURS: &str = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 21 8:17 / /srv/big\\040disk rw - xfs /dev/sdb1 rw\n\
                        40 21 0:24 / /run rw - tmpfs tmpfs rw\n";

    #[test]
    fn a_path_of_a_container_is_looked_for_among_our_mounts() {
        let theirs = "80 70 0:61 / / rw - overlay overlay rw\n81 80 8:1 /srv/db /data/db rw - ext4 /dev/sda1 rw\n\
                      82 80 8:17 /logs /var/log rw - xfs /dev/sdb1 rw\n";
        for (path, expected) in [
            ("/data/db", vec!["/srv/db"]),
            ("/data/db/mongod.lock", vec!["/srv/db/mongod.lock"]),
            ("/var/log/mongod.log", vec!["/srv/big disk/logs/mongod.log"]),
            // In the container's own layers, which nobody has mounted here.
            ("/data/configdb", vec![]),
        ] {
            assert_eq!(names(theirs, OURS, path), expected, "{path}");
        }
    }

    /// A host below `root` whose process 7 has a root directory of its own.
    #[test]
    fn only_the_very_same_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let write = |path: &str, text: &str| tree::write(root, path, text);
        // This host has a mongod of its own in the same place.
        write("/data/db/mongod.lock", "9\n");
        write("/srv/db/mongod.lock", "1\n");
        write("/container/etc/hostname", "box\n");
        fs::create_dir_all(below(root, "/container/data")).unwrap();
        symlink(below(root, "/srv/db"), below(root, "/container/data/db")).unwrap();
        write("/proc/7/mountinfo", "81 80 8:1 /srv/db /data/db rw - ext4 /dev/sda1 rw\n");
        write("/proc/self/mountinfo", OURS);
        symlink(below(root, "/container"), below(root, "/proc/7/root")).unwrap();
        symlink("/data", below(root, "/proc/7/cwd")).unwrap();
        let facts = |db: &str, log: &str| DatabaseFacts {
            db_path: Some(db.into()),
            log_path: Some(log.into()),
            ..DatabaseFacts::default()
        };
        let seen = on_host(root, &facts("/data/db", "/var/log/mongod.log"), 7);
        assert_eq!(seen, (Some("/srv/db".into()), None));
        let relative = on_host(root, &facts("db", "/none"), 7);
        assert_eq!(relative.0.as_deref(), Some("/srv/db"));
        // One that shares our root names its files as we do.
        fs::remove_file(below(root, "/proc/7/root")).unwrap();
        symlink(root, below(root, "/proc/7/root")).unwrap();
        let seen = on_host(root, &facts("/data/db", "/srv/db/mongod.lock"), 7);
        assert_eq!(seen, (Some("/data/db".into()), Some("/srv/db/mongod.lock".into())));
    }
}
