//! The host itself: its boot, its disks, its mounts and its sockets, where its power comes from, and whose its programs are.

mod fstab;
mod inventory;
mod power;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::boot_clock::boot_began;
use super::command::below;
use super::mounts::{self, Mounted};
use super::{HostError, HostResult, System, clock_state, foreign, sockets, trusted};
use crate::model::{BootId, FileSystem, FstabEntry, Inventory, ListeningSocket, Mount, PowerSupply, Resources};

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

    /// The boot that is running, for who has no runtime; none if the kernel's answer is no boot ID.
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

    /// `/proc/uptime` is cut to hundredths: too coarse to tell which of two services was ready first.
    fn moment(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        let now = Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default());
        u64::try_from(now.saturating_sub(boot_began(&self.root)).as_micros()).unwrap_or(u64::MAX)
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

    async fn listening_sockets(&self) -> HostResult<Vec<ListeningSocket>> {
        let root = self.root.clone();
        tokio::task::spawn_blocking(move || sockets::listening(&root))
            .await
            .map_err(|error| HostError::failed("list the listening sockets", error))?
    }

    /// Asks each file system itself before it asks which one it is, so that one which is mounted when it is touched counts.
    async fn file_systems(&self, paths: &[&str]) -> HostResult<Vec<FileSystem>> {
        let mut found: BTreeMap<u64, FileSystem> = BTreeMap::new();
        for path in paths {
            let place = below(&self.root, path);
            let asked = rustix::fs::statvfs(&place).and_then(|room| Ok((room, rustix::fs::stat(&place)?.st_dev)));
            match asked {
                Ok((room, device)) => {
                    let file_system = found.entry(device).or_insert_with(|| FileSystem {
                        paths: Vec::new(),
                        free: room.f_bavail.saturating_mul(room.f_frsize),
                        inodes: (room.f_files > 0).then_some((room.f_favail, room.f_files)),
                    });
                    file_system.paths.push((*path).to_owned());
                }
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Err(HostError::failed(format!("ask for the room of {path}"), error)),
            }
        }
        Ok(found.into_values().collect())
    }

    async fn mounts(&self) -> HostResult<Vec<Mount>> {
        let mounts = mounts::of_host(&self.root)?.into_values();
        Ok(mounts
            .map(|Mounted { point, source, kind, read_only, .. }| {
                let has_unit_file = fstab::has_unit_file(&self.root, &point);
                Mount { point, source, kind, has_unit_file, read_only }
            })
            .collect())
    }

    async fn fstab(&self) -> HostResult<Vec<FstabEntry>> {
        fstab::read(&self.root)
    }

    async fn power_supplies(&self) -> HostResult<Vec<PowerSupply>> {
        power::supplies(&self.root)
    }

    async fn distrust(&self, command: &[String]) -> HostResult<Option<String>> {
        let mut command = command.to_vec();
        if let Some(program) = command.first_mut() {
            *program = below(&self.root, program).display().to_string();
        }
        let what = format!("look whose {} is", command.first().map_or("", String::as_str));
        foreign::in_time(foreign::PATIENCE, &what, move || trusted::check_command(&command).err()).await
    }

    async fn clock_synchronized(&self) -> HostResult<bool> {
        clock_state::synchronized(&self.root).await
    }

    async fn inventory(&self) -> Inventory {
        inventory::of(&self.root).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree::write;
    use crate::model::lasting_mounts;

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
        let mounts = lasting_mounts(HostSystem::new(dir.path().to_owned()).mounts().await.unwrap());
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

    #[tokio::test]
    async fn mounts_and_the_table_are_read_below_the_root() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/self/mountinfo", include_str!("../../tests/fixtures/proc/mountinfo")),
            ("etc/systemd/system/srv-over.mount", ""),
            ("etc/fstab", "/dev/vda1 / ext4 defaults 0 1\n/dev/gone /srv ext4 nofail 0 2\n"),
            ("dev/vda1", ""),
        ] {
            write(dir.path(), path, text);
        }
        let system = HostSystem::new(dir.path().to_owned());
        let mounts = system.mounts().await.unwrap();
        let with_unit: Vec<_> = mounts.iter().filter(|mount| mount.has_unit_file).map(|mount| &mount.point).collect();
        assert_eq!(with_unit, ["/srv/over"]);
        let entries = system.fstab().await.unwrap();
        assert_eq!(entries.iter().map(|entry| entry.source_exists).collect::<Vec<_>>(), [Some(true), Some(false)]);
        assert!(entries[1].has("nofail"));
        let rooms = system.file_systems(&["/", "/etc", "/nowhere"]).await.unwrap();
        let paths: Vec<_> = rooms.iter().map(|room| room.paths.as_slice()).collect();
        assert_eq!(paths, [["/", "/etc"]], "what lies on one file system is told once");
    }
}
