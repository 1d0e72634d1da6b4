//! Counting the processes of a control group: a service is down when none is left, whatever its main process did.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Where systemd keeps its control groups: the unified hierarchy, the unified half of a hybrid set-up, and the named
/// hierarchy of version 1. Looking at all of them is cheaper than finding out which one it is, and cannot go wrong.
const HIERARCHIES: [&str; 3] = ["sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/systemd"];

/// Processes in a control group and in those below it. A group that does not exist has none, and so has the empty path
/// of a unit that has no group; the root group is no unit's.
///
/// # Errors
///
/// A group is there and cannot be read: then the number is unknown, not zero.
pub(super) fn count_processes(root: &Path, control_group: &str) -> io::Result<u32> {
    let relative = control_group.trim_matches('/');
    if relative.is_empty() {
        return Ok(0);
    }
    let mut processes = BTreeSet::new();
    for hierarchy in HIERARCHIES {
        collect(root.join(hierarchy).join(relative), &mut processes)?;
    }
    Ok(u32::try_from(processes.len()).unwrap_or(u32::MAX))
}

fn collect(group: PathBuf, processes: &mut BTreeSet<String>) -> io::Result<()> {
    let mut groups = vec![group];
    while let Some(group) = groups.pop() {
        if let Some(lines) = present(std::fs::read_to_string(group.join("cgroup.procs")), &group)? {
            processes.extend(lines.lines().map(str::to_owned));
        }
        let Some(entries) = present(std::fs::read_dir(&group), &group)? else { continue };
        for entry in entries {
            let Some(entry) = present(entry, &group)? else { break };
            if present(entry.file_type(), &group)?.is_some_and(|kind| kind.is_dir()) {
                groups.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Nothing for a group that is not there, or vanished while it was read. A threaded group lists its processes in a
/// group above, and says "not supported" itself.
fn present<T>(result: io::Result<T>, group: &Path) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP) => Ok(None),
            _ => Err(io::Error::new(error.kind(), format!("read control group {}: {error}", group.display()))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(root: &Path, path: &str, processes: &str) {
        let directory = root.join("sys/fs/cgroup").join(path);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("cgroup.procs"), processes).unwrap();
    }

    #[test]
    fn processes_are_counted_once_in_every_hierarchy_and_below() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(count_processes(root.path(), "/system.slice/a.service").unwrap(), 0);
        group(root.path(), "system.slice/a.service", "10\n11\n");
        group(root.path(), "system.slice/a.service/worker/deep", "12\n");
        group(root.path(), "unified/system.slice/a.service", "10\n");
        group(root.path(), "systemd/system.slice/a.service", "13\n");
        group(root.path(), "system.slice/b.service", "20\n");
        assert_eq!(count_processes(root.path(), "/system.slice/a.service").unwrap(), 4);
        assert_eq!(count_processes(root.path(), "").unwrap(), 0);
    }

    #[test]
    fn an_unreadable_group_is_not_an_empty_one() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("sys/fs/cgroup/system.slice/a.service/cgroup.procs");
        std::fs::create_dir_all(directory).unwrap();
        let error = count_processes(root.path(), "/system.slice/a.service").unwrap_err();
        assert!(error.to_string().contains("a.service"), "{error}");
    }
}
