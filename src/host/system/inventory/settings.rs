//! Kernel modules and kernel settings, and which of them somebody asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::host::command::below;
use crate::host::{HostError, HostResult};
use crate::model::{Modules, Sysctl};

/// Where lists of modules are; a name of an earlier directory hides the same name of a later one.
const MODULE_DIRS: [&str; 4] =
    ["etc/modules-load.d", "run/modules-load.d", "usr/local/lib/modules-load.d", "usr/lib/modules-load.d"];
/// Where kernel settings are.
const SYSCTL_DIRS: [&str; 4] = ["etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d"];

/// Settings that change what a server does, and that people set by other means than files as well.
const WATCHED: [&str; 14] = [
    "fs.inotify.max_user_watches",
    "kernel.panic",
    "kernel.pid_max",
    "kernel.randomize_va_space",
    "net.core.somaxconn",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
    "vm.max_map_count",
    "vm.overcommit_memory",
    "vm.swappiness",
];

pub(super) fn modules(root: &Path) -> HostResult<Modules> {
    let path = below(root, "/proc/modules");
    let text =
        fs::read_to_string(&path).map_err(|error| HostError::failed(format!("read {}", path.display()), error))?;
    let loaded = text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    let mut files = conf_files(root, &MODULE_DIRS);
    files.push(root.join("etc/modules"));
    let mut wanted = BTreeSet::new();
    for line in lines(&files) {
        // The kernel's own name has underscores, and arguments may follow it.
        wanted.extend(line.split_whitespace().next().map(|name| name.replace('-', "_")));
    }
    Ok(Modules { loaded, wanted })
}

pub(super) fn sysctl(root: &Path) -> HostResult<Sysctl> {
    let mut files = conf_files(root, &SYSCTL_DIRS);
    files.push(root.join("etc/sysctl.conf"));
    let mut configured = BTreeSet::new();
    for line in lines(&files) {
        let Some((name, _)) = line.split_once('=') else { continue };
        let name = name.trim().trim_start_matches('-').replace('/', ".");
        // A pattern names no one value.
        if !name.contains('*') {
            configured.insert(name);
        }
    }
    let mut values = BTreeMap::new();
    for name in WATCHED.iter().copied().chain(configured.iter().map(String::as_str)) {
        // A setting that this kernel does not have, or does not tell, has no value.
        if let Ok(value) = fs::read_to_string(below(root, "/proc/sys").join(name.replace('.', "/"))) {
            values.insert(name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    if values.is_empty() {
        return Err(HostError::failed("read the kernel settings", "nothing below /proc/sys can be read"));
    }
    Ok(Sysctl { values, configured })
}

/// The files ending in `.conf`, each name once.
fn conf_files(root: &Path, directories: &[&str]) -> Vec<PathBuf> {
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for directory in directories {
        let Ok(entries) = fs::read_dir(root.join(directory)) else { continue };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.ends_with(".conf") {
                files.entry(name).or_insert_with(|| entry.path());
            }
        }
    }
    files.into_values().collect()
}

/// Lines that are no comments; a file that cannot be read asks for nothing.
fn lines(files: &[PathBuf]) -> Vec<String> {
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let lines = texts.flat_map(|text| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>());
    lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree::write;

    #[test]
    fn modules_and_settings_with_who_wants_them() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert!(modules(root).is_err() && sysctl(root).is_err());
        write(root, "proc/modules", "br_netfilter 32768 0 - Live 0x0\nzfs 1 2 - Live 0x0\n");
        write(root, "etc/modules-load.d/k8s.conf", "# for pods\nbr-netfilter\n");
        write(root, "usr/lib/modules-load.d/k8s.conf", "hidden\n");
        let seen = modules(root).unwrap();
        assert_eq!(seen.wanted.into_iter().collect::<Vec<_>>(), ["br_netfilter"]);
        assert!(seen.loaded.contains("zfs"));

        write(root, "proc/sys/vm/swappiness", "10\n");
        write(root, "proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
        write(root, "etc/sysctl.d/a.conf", "-net/ipv4/tcp_rmem = 1 2 3\nnet.ipv4.conf.*.rp_filter = 1\n; no\n");
        let seen = sysctl(root).unwrap();
        assert_eq!(seen.configured.into_iter().collect::<Vec<_>>(), ["net.ipv4.tcp_rmem"]);
        assert_eq!(seen.values["vm.swappiness"], "10");
        assert_eq!(seen.values["net.ipv4.tcp_rmem"], "4096 131072 6291456");
    }
}
