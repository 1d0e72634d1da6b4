//! What control groups say: how many processes are left (a service is down when none is, whatever its main process
//! did), which caps are in force, and what was used.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::model::{CpuCap, GroupUse};

/// Where systemd keeps its control groups: the unified hierarchy, the unified half of a hybrid set-up, and the named
/// hierarchy of version 1. Looking at all of them is cheaper than finding out which one it is, and cannot go wrong.
const HIERARCHIES: [&str; 3] = ["sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/systemd"];

/// Where the cpu and memory controllers of version 1 are mounted, by the names that systemd gives them.
const CPU_V1: [&str; 2] = ["sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/cpu"];
const MEMORY_V1: &str = "sys/fs/cgroup/memory";

/// The cap in force and the use of a control group; none if there is no such group.
///
/// # Errors
///
/// A file of the group is there and cannot be read or understood.
pub(super) fn group_use(root: &Path, control_group: &str) -> io::Result<Option<GroupUse>> {
    let relative = control_group.trim_matches('/');
    if relative.is_empty() || !HIERARCHIES.iter().any(|hierarchy| root.join(hierarchy).join(relative).is_dir()) {
        return Ok(None);
    }
    let unified = HIERARCHIES[..2].iter().map(|hierarchy| root.join(hierarchy).join(relative));
    for group in unified {
        if let Some(max) = text(&group, "cpu.max")? {
            let stat = text(&group, "cpu.stat")?.unwrap_or_default();
            return Ok(Some(GroupUse {
                cpu: cap_v2(&max).ok_or_else(|| odd(&group, "cpu.max", &max))?,
                cpu_usec: counter(&stat, "usage_usec"),
                throttled_usec: counter(&stat, "throttled_usec"),
                memory: number(&group, "memory.current")?,
            }));
        }
    }
    for group in CPU_V1.map(|controller| root.join(controller).join(relative)) {
        if let (Some(quota), Some(period)) = (text(&group, "cpu.cfs_quota_us")?, number(&group, "cpu.cfs_period_us")?) {
            let stat = text(&group, "cpu.stat")?.unwrap_or_default();
            return Ok(Some(GroupUse {
                cpu: cap(quota.trim(), period).ok_or_else(|| odd(&group, "cpu.cfs_quota_us", &quota))?,
                cpu_usec: number(&group, "cpuacct.usage")?.map(|nanoseconds| nanoseconds / 1000),
                throttled_usec: counter(&stat, "throttled_time").map(|nanoseconds| nanoseconds / 1000),
                memory: number(&root.join(MEMORY_V1).join(relative), "memory.usage_in_bytes")?,
            }));
        }
    }
    // Without the controller a group of version 2 still counts the time that it uses.
    let mut used = None;
    for hierarchy in &HIERARCHIES[..2] {
        let stat = text(&root.join(hierarchy).join(relative), "cpu.stat")?;
        used = used.or_else(|| counter(stat.as_deref()?, "usage_usec"));
    }
    Ok(Some(GroupUse { cpu: CpuCap::NotEnforced, cpu_usec: used, throttled_usec: None, memory: None }))
}

/// `QUOTA PERIOD`, both in microseconds, as in `50000 100000`; the quota may be `max`.
fn cap_v2(max: &str) -> Option<CpuCap> {
    let (quota, period) = max.trim().split_once(' ')?;
    cap(quota, period.parse().ok()?)
}

fn cap(quota: &str, period: u64) -> Option<CpuCap> {
    if quota == "max" || quota == "-1" {
        return Some(CpuCap::Unlimited);
    }
    let quota: u64 = quota.parse().ok()?;
    Some(CpuCap::Enforced(quota.checked_mul(1_000_000)?.checked_div(period)?))
}

fn text(group: &Path, name: &str) -> io::Result<Option<String>> {
    present(std::fs::read_to_string(group.join(name)), group)
}

fn number(group: &Path, name: &str) -> io::Result<Option<u64>> {
    let Some(text) = text(group, name)? else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| odd(group, name, &text))
}

/// One line `NAME VALUE` of a statistic.
fn counter(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn odd(group: &Path, name: &str, text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {:?}", group.join(name).display(), text.trim()))
}

/// Processes in a control group and in those below it. A group that does not exist has none, and so has the empty path
/// of a unit that has no group; the root group is no unit's.
///
/// # Errors
///
/// A group is there and cannot be read: then the number is unknown, not zero.
pub(super) fn processes(root: &Path, control_group: &str) -> io::Result<BTreeSet<u32>> {
    let relative = control_group.trim_matches('/');
    let mut processes = BTreeSet::new();
    if !relative.is_empty() {
        for hierarchy in HIERARCHIES {
            collect(root.join(hierarchy).join(relative), &mut processes)?;
        }
    }
    Ok(processes)
}

fn collect(group: PathBuf, processes: &mut BTreeSet<u32>) -> io::Result<()> {
    let mut groups = vec![group];
    while let Some(group) = groups.pop() {
        if let Some(lines) = present(std::fs::read_to_string(group.join("cgroup.procs")), &group)? {
            processes.extend(lines.lines().filter_map(|pid| pid.parse::<u32>().ok()));
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
        assert!(processes(root.path(), "/system.slice/a.service").unwrap().is_empty());
        group(root.path(), "system.slice/a.service", "10\n11\n");
        group(root.path(), "system.slice/a.service/worker/deep", "12\n");
        group(root.path(), "unified/system.slice/a.service", "10\n");
        group(root.path(), "systemd/system.slice/a.service", "13\n");
        group(root.path(), "system.slice/b.service", "20\n");
        assert_eq!(processes(root.path(), "/system.slice/a.service").unwrap().len(), 4);
        assert!(processes(root.path(), "").unwrap().is_empty());
    }

    #[test]
    fn the_cap_in_force_is_the_kernels_word() {
        let write = |root: &Path, path: &str, text: &str| {
            crate::host::tree::write(&root.join("sys/fs/cgroup"), path, text);
        };
        let slice = "/patchday.slice";
        let new = || tempfile::tempdir().unwrap();

        let root = new();
        assert_eq!(group_use(root.path(), slice).unwrap(), None);
        assert_eq!(group_use(root.path(), "").unwrap(), None);

        write(root.path(), "patchday.slice/cpu.max", "50000 100000\n");
        let stat = "usage_usec 12000000\nuser_usec 1\nnr_periods 7\nthrottled_usec 2500000\n";
        write(root.path(), "patchday.slice/cpu.stat", stat);
        write(root.path(), "patchday.slice/memory.current", "4096\n");
        let seen = GroupUse {
            cpu: CpuCap::Enforced(500_000),
            cpu_usec: Some(12_000_000),
            throttled_usec: Some(2_500_000),
            memory: Some(4096),
        };
        assert_eq!(group_use(root.path(), slice).unwrap(), Some(seen));
        write(root.path(), "patchday.slice/cpu.max", "max 100000\n");
        assert_eq!(group_use(root.path(), slice).unwrap().unwrap().cpu, CpuCap::Unlimited);
        write(root.path(), "patchday.slice/cpu.max", "plenty\n");
        assert!(group_use(root.path(), slice).unwrap_err().to_string().contains("plenty"));

        let v1 = new();
        for (path, text) in [
            ("systemd/patchday.slice/cgroup.procs", ""),
            ("cpu,cpuacct/patchday.slice/cpu.cfs_quota_us", "40000\n"),
            ("cpu,cpuacct/patchday.slice/cpu.cfs_period_us", "100000\n"),
            ("cpu,cpuacct/patchday.slice/cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 5000000\n"),
            ("cpu,cpuacct/patchday.slice/cpuacct.usage", "9000000\n"),
        ] {
            write(v1.path(), path, text);
        }
        let seen =
            GroupUse { cpu: CpuCap::Enforced(400_000), cpu_usec: Some(9000), throttled_usec: Some(5000), memory: None };
        assert_eq!(group_use(v1.path(), slice).unwrap(), Some(seen));

        let without = new();
        write(without.path(), "unified/patchday.slice/cpu.stat", "usage_usec 7\n");
        let seen = GroupUse { cpu: CpuCap::NotEnforced, cpu_usec: Some(7), throttled_usec: None, memory: None };
        assert_eq!(group_use(without.path(), slice).unwrap(), Some(seen));
    }

    #[test]
    fn an_unreadable_group_is_not_an_empty_one() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("sys/fs/cgroup/system.slice/a.service/cgroup.procs");
        std::fs::create_dir_all(directory).unwrap();
        let error = processes(root.path(), "/system.slice/a.service").unwrap_err();
        assert!(error.to_string().contains("a.service"), "{error}");
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = ["50000 100000\n", "max 100000\n", "usage_usec 1234\nuser_usec 1\nnr_throttled 7\n"];
        crate::host::hostile::survives(&samples, |text| {
            let _ = cap_v2(text);
            let _ = ["usage_usec", "nr_throttled"].map(|name| counter(text, name));
        });
    }
}
