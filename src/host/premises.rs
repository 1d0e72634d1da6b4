//! What the host stands on: mounts and `/etc/fstab`, inodes, the clock, where its power comes from, and whose its
//! programs are.

mod fstab;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use async_trait::async_trait;
use rustix::io::Errno;

use super::command::below;
use super::mounts::{self, Mounted};
use super::{HostError, HostResult, Premises, clock_state, foreign, trusted};
use crate::model::{FileSystem, FstabEntry, Mount, PowerSupply};

/// What this host stands on.
#[derive(Debug, Clone)]
pub struct HostPremises {
    root: PathBuf,
}

impl HostPremises {
    /// Reads files below `root`, which is `/` except in tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn read(&self, path: &str) -> HostResult<Option<String>> {
        let path = below(&self.root, path);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(HostError::failed(format!("read {}", path.display()), error)),
        }
    }
}

#[async_trait]
impl Premises for HostPremises {
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
        let text = self.read("/etc/fstab")?.unwrap_or_default();
        Ok(fstab::parse(&text, &self.root))
    }

    async fn power_supplies(&self) -> HostResult<Vec<PowerSupply>> {
        let class = below(&self.root, "/sys/class/power_supply");
        let entries = match fs::read_dir(&class) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(HostError::failed(format!("read {}", class.display()), error)),
        };
        let mut supplies = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| HostError::failed(format!("read {}", class.display()), error))?;
            let tells = |name: &str| fs::read_to_string(entry.path().join(name)).map(|text| text.trim().to_owned());
            // The batteries of a mouse or a keyboard are none of the host's.
            if tells("scope").is_ok_and(|scope| scope == "Device") {
                continue;
            }
            supplies.push(PowerSupply {
                name: entry.file_name().to_string_lossy().into_owned(),
                kind: tells("type").unwrap_or_default(),
                status: tells("status").unwrap_or_default(),
                online: tells("online").ok().map(|online| online != "0"),
                capacity: tells("capacity").ok().and_then(|capacity| capacity.parse().ok()),
            });
        }
        supplies.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(supplies)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, HostPremises) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let premises = HostPremises::new(dir.path().to_owned());
        (dir, premises)
    }

    #[tokio::test]
    async fn supplies_of_the_host_are_told_and_those_of_a_mouse_are_not() {
        let (_dir, premises) = host(&[
            ("sys/class/power_supply/AC/type", "Mains\n"),
            ("sys/class/power_supply/AC/online", "0\n"),
            ("sys/class/power_supply/BAT0/type", "Battery\n"),
            ("sys/class/power_supply/BAT0/status", "Discharging\n"),
            ("sys/class/power_supply/BAT0/capacity", "41\n"),
            ("sys/class/power_supply/hidpp_battery_0/type", "Battery\n"),
            ("sys/class/power_supply/hidpp_battery_0/scope", "Device\n"),
        ]);
        let seen = premises.power_supplies().await.unwrap();
        let seen: Vec<_> = seen.iter().map(|s| (s.name.as_str(), s.status.as_str(), s.online, s.capacity)).collect();
        assert_eq!(seen, [("AC", "", Some(false), None), ("BAT0", "Discharging", None, Some(41))]);
        assert!(host(&[]).1.power_supplies().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn mounts_and_the_table_are_read_below_the_root() {
        let (_dir, premises) = host(&[
            ("proc/self/mountinfo", include_str!("../../tests/fixtures/proc/mountinfo")),
            ("etc/systemd/system/srv-over.mount", ""),
            ("etc/fstab", "/dev/vda1 / ext4 defaults 0 1\n/dev/gone /srv ext4 nofail 0 2\n"),
            ("dev/vda1", ""),
        ]);
        let mounts = premises.mounts().await.unwrap();
        let with_unit: Vec<_> = mounts.iter().filter(|mount| mount.has_unit_file).map(|mount| &mount.point).collect();
        assert_eq!(with_unit, ["/srv/over"]);
        let entries = premises.fstab().await.unwrap();
        assert_eq!(entries.iter().map(|entry| entry.source_exists).collect::<Vec<_>>(), [Some(true), Some(false)]);
        assert!(entries[1].has("nofail"));
        let rooms = premises.file_systems(&["/", "/etc", "/nowhere"]).await.unwrap();
        let paths: Vec<_> = rooms.iter().map(|room| room.paths.as_slice()).collect();
        assert_eq!(paths, [["/", "/etc"]], "what lies on one file system is told once");
    }
}
