//! The host itself: its boot, its disks, its mounts and its sockets.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::SignedDuration;
use rustix::io::Errno;

use super::boot_clock::boot_began;
use super::command::below;
use super::mounts::{self, Mounted};
use super::{HostError, HostResult, System, sockets};
use crate::model::{BootId, ListeningSocket, Resources};

/// File systems of the kernel, which hold no data of anybody's.
const KERNEL_FILE_SYSTEMS: [&str; 21] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// Below these, mounts come and go with the kernel, with sessions, with containers and with snaps: they are never the
/// same after a boot, and say nothing of the host.
const PASSING_MOUNTS: [&str; 9] = [
    "/dev",
    "/proc",
    "/run",
    "/snap",
    "/sys",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/snap",
];

/// This host, read from its kernel.
#[derive(Debug, Clone)]
pub struct HostSystem {
    root: PathBuf,
}

impl HostSystem {
    /// Reads files below `root`; `/` except in tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The boot that is running, for who has no runtime; none where the kernel's answer is no boot ID.
    pub fn boot_id(&self) -> Option<BootId> {
        // As PID 1 sees it: whoever lives in mounts of its own may have another one over it (below systemd-nspawn, with
        // ProtectKernelTunables=), and a reboot that nobody notices leaves a run open for ever.
        let seen_by = |process: &str| self.read(&format!("/proc/{process}sys/kernel/random/boot_id")).ok();
        let read = |text: String| text.trim_end().parse::<BootId>().ok();
        let (own, first) = (seen_by("").and_then(read), seen_by("1/root/proc/").and_then(read));
        if let (Some(own), Some(first)) = (&own, &first)
            && own != first
        {
            tracing::warn!(%own, %first, "another boot ID is mounted over ours here; that of PID 1 counts");
        }
        first.or(own)
    }

    fn read(&self, path: &str) -> HostResult<String> {
        let path = below(&self.root, path);
        fs::read_to_string(&path).map_err(|error| HostError::failed(format!("read {}", path.display()), error))
    }
}

#[async_trait]
impl System for HostSystem {
    async fn boot(&self) -> Option<BootId> {
        self.boot_id()
    }

    async fn uptime(&self) -> HostResult<SignedDuration> {
        let text = self.read("/proc/uptime")?;
        text.split_whitespace()
            .next()
            .and_then(|seconds| seconds.parse().ok())
            .and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok())
            .and_then(|uptime| uptime.checked_sub(boot_began(&self.root).try_into().ok()?))
            .ok_or_else(|| HostError::failed("read /proc/uptime", format!("{text:?} is no number of seconds")))
    }

    /// What programs without root's reserve may use. Asks each file system itself, so that one which is mounted when
    /// it is touched counts.
    async fn free_space(&self, paths: &[&str]) -> HostResult<BTreeMap<String, u64>> {
        let mut free = BTreeMap::new();
        for path in paths {
            match rustix::fs::statvfs(below(&self.root, path)) {
                Ok(status) => {
                    free.insert((*path).to_owned(), status.f_bavail.saturating_mul(status.f_frsize));
                }
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Err(HostError::failed(format!("ask for the free space of {path}"), error)),
            }
        }
        Ok(free)
    }

    /// CPUs, memory and load of the machine, always the real one.
    async fn resources(&self) -> HostResult<Resources> {
        let failed = |error: &dyn std::fmt::Debug| HostError::failed("read memory and load", format!("{error:?}"));
        let mut system = sysinfo::System::new().map_err(|error| failed(&error))?;
        system.refresh_memory();
        let load = sysinfo::System::load_average().map_err(|error| failed(&error))?;
        let cpus = std::thread::available_parallelism().map_err(|error| failed(&error))?.get();
        Ok(Resources {
            cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
            memory_total: system.total_memory(),
            memory_available: system.available_memory(),
            load_one_minute: load.one,
        })
    }

    async fn mounts(&self) -> HostResult<BTreeMap<String, String>> {
        let lasting = mounts::of_host(&self.root)?.into_values().filter(is_lasting);
        Ok(lasting.map(|mount| (mount.point, mount.source)).collect())
    }

    async fn listening_sockets(&self) -> HostResult<Vec<ListeningSocket>> {
        let root = self.root.clone();
        tokio::task::spawn_blocking(move || sockets::listening(&root))
            .await
            .map_err(|error| HostError::failed("list the listening sockets", error))?
    }
}

/// Whether every boot should bring it back, and is not what makes it anew.
fn is_lasting(mount: &Mounted) -> bool {
    let is_below = |dir: &str| Path::new(&mount.point).starts_with(dir);
    !KERNEL_FILE_SYSTEMS.contains(&mount.kind.as_str()) && !PASSING_MOUNTS.iter().any(|dir| is_below(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Below systemd-nspawn the container's own lies over the kernel's, and a sandbox may take it away again.
    #[tokio::test]
    async fn the_boot_id_that_pid_1_sees_counts() {
        let dir = tempfile::tempdir().unwrap();
        let [own, first] = ["2f7e5d0c-9f2b-4c4e-8a0e-5a3f0a6c1b11", "7c9e6679-7425-40de-944b-e07fc1f90ae7"];
        write(dir.path(), "proc/sys/kernel/random/boot_id", own);
        let host = HostSystem::new(dir.path().to_owned());
        assert_eq!(host.boot_id().unwrap().as_str(), own);
        write(dir.path(), "proc/1/root/proc/sys/kernel/random/boot_id", first);
        assert_eq!(host.boot_id().unwrap().as_str(), first);
    }

    #[tokio::test]
    async fn a_boot_id_is_valid_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let system = HostSystem::new(dir.path().to_owned());
        assert_eq!(system.boot().await, None);
        for (text, valid) in [
            ("6c6f1e2a-0b0f-4d53-9d5b-0a2f1e6f7a10\n", true),
            ("", false),
            ("6c6f1e2a0b0f4d539d5b0a2f1e6f7a10\n", false),
        ] {
            write(dir.path(), "proc/sys/kernel/random/boot_id", text);
            assert_eq!(system.boot().await.is_some(), valid, "{text:?}");
        }
    }

    #[tokio::test]
    async fn uptime_is_seconds() {
        let dir = tempfile::tempdir().unwrap();
        let system = HostSystem::new(dir.path().to_owned());
        write(dir.path(), "proc/uptime", "350735.47 234388.90\n");
        assert_eq!(system.uptime().await.unwrap(), SignedDuration::from_millis(350_735_470));
        for bad in ["", "soon\n", "NaN 0\n", "inf 0\n"] {
            write(dir.path(), "proc/uptime", bad);
            assert!(system.uptime().await.is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn free_space_is_told_of_what_exists() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("var")).unwrap();
        let free = HostSystem::new(dir.path().to_owned()).free_space(&["/", "/var", "/boot"]).await.unwrap();
        assert_eq!(free.keys().collect::<Vec<_>>(), ["/", "/var"]);
        assert!(free["/"] > 0);
    }

    #[tokio::test]
    async fn mounts_are_those_that_a_boot_should_bring_back() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "proc/self/mountinfo", include_str!("../../tests/fixtures/proc/mountinfo"));
        let mounts = HostSystem::new(dir.path().to_owned()).mounts().await.unwrap();
        let seen: Vec<_> = mounts.iter().map(|(point, source)| (point.as_str(), source.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("/", "/dev/vda1"),
                ("/boot/efi", "/dev/vda15"),
                ("/mnt/with space", "192.0.2.9:/export/with space"),
                ("/runner", "/dev/vdc"),
                ("/srv/over", "/dev/vdd2"),
                ("/tmp", "tmpfs"),
                ("/var/lib/mongodb", "/dev/mapper/vg0-mongo"),
            ]
        );
    }

    #[tokio::test]
    async fn resources_are_plausible() {
        let resources = HostSystem::new("/".into()).resources().await.unwrap();
        assert!(resources.cpus >= 1);
        assert!(resources.memory_available > 0 && resources.memory_available <= resources.memory_total);
        assert!(resources.load_one_minute >= 0.0);
    }
}
