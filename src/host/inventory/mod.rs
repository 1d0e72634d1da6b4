//! What a host has besides units, sockets and packages, read from its kernel and its files.

mod files;
mod network;
mod settings;
mod timers;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::clock_state;
use super::command::{self, below};
use super::{HostError, HostResult, Inventories};
use crate::model::{Inventory, Reading};

/// Programs that only read, on a busy host.
const TIMEOUT: Duration = Duration::from_secs(20);

/// This host.
#[derive(Debug, Clone)]
pub struct HostInventory {
    root: PathBuf,
}

impl HostInventory {
    /// Reads files and finds programs below `root`; `/` except in tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn read(&self, path: &str) -> HostResult<String> {
        let path = below(&self.root, path);
        fs::read_to_string(&path).map_err(|error| HostError::failed(format!("read {}", path.display()), error))
    }

    /// The first column behind the heading: files and partitions.
    fn swap(&self) -> HostResult<BTreeSet<String>> {
        let text = self.read("/proc/swaps")?;
        Ok(text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// Mount points whose own options begin with `ro`; a file system that fell back to read-only after an error says so
    /// in its super options.
    fn read_only(&self) -> HostResult<BTreeSet<String>> {
        let text = self.read("/proc/self/mountinfo")?;
        let is_read_only = |options: &str| options.split(',').any(|option| option == "ro");
        let points = text.lines().filter_map(|line| {
            let (mount, file_system) = line.split_once(" - ")?;
            let mut fields = mount.split(' ').skip(4);
            let (point, options) = (fields.next()?, fields.next()?);
            let super_options = file_system.split(' ').nth(2).unwrap_or_default();
            (is_read_only(options) || is_read_only(super_options)).then(|| point.to_owned())
        });
        Ok(points.collect())
    }

    async fn text(&self, program: &str, args: &[&str]) -> HostResult<String> {
        command::read_text(&self.root, program, args, TIMEOUT).await
    }

    async fn conffiles(&self) -> HostResult<BTreeSet<String>> {
        let root = self.root.clone();
        let walk = tokio::task::spawn_blocking(move || files::to_be_merged(&root));
        walk.await.map_err(|error| HostError::failed("look for configuration files to merge", error))?
    }
}

#[async_trait]
impl Inventories for HostInventory {
    async fn inventory(&self) -> Inventory {
        let addresses = async { network::addresses(&self.text("ip", &network::ADDRESSES).await?) };
        let routes = async {
            network::routes(&[&self.text("ip", &network::ROUTES).await?, &self.text("ip", &network::ROUTES_6).await?])
        };
        let timers = async { timers::parse(&self.text("systemctl", &timers::ARGS).await?) };
        let (addresses, routes, timers, clock_synchronized, conffiles) =
            tokio::join!(addresses, routes, timers, clock_state::synchronized(&self.root), self.conffiles());
        Inventory {
            swap: self.swap().into(),
            read_only: self.read_only().into(),
            addresses: addresses.into(),
            routes: routes.into(),
            timers: timers.into(),
            command_line: Reading::from(self.read("/proc/cmdline").map(|text| text.trim().to_owned())),
            modules: settings::modules(&self.root).into(),
            sysctl: settings::sysctl(&self.root).into(),
            clock_synchronized: clock_synchronized.into(),
            conffiles: conffiles.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_is_unknown_each_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("proc")).unwrap();
        fs::write(dir.path().join("proc/swaps"), "Filename\t\tType\n/swapfile   file 1 0 -2\n").unwrap();
        let seen = HostInventory::new(dir.path().to_owned()).inventory().await;
        assert_eq!(seen.swap, Reading::Known(BTreeSet::from(["/swapfile".to_owned()])));
        assert!(seen.addresses.known().is_none() && seen.command_line.known().is_none());
    }

    #[test]
    fn a_mount_is_read_only_by_its_own_or_its_file_systems_word() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        let text = "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n2 1 8:2 / /srv rw - ext4 /dev/sdb1 ro,errors=x\n\
                    3 1 8:3 / /usr ro,nodev shared:1 - ext4 /dev/sdc1 rw\n";
        fs::write(dir.path().join("proc/self/mountinfo"), text).unwrap();
        let seen = HostInventory::new(dir.path().to_owned()).read_only().unwrap();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["/srv", "/usr"]);
        assert!(HostInventory::new(Path::new("/nonexistent").into()).read_only().is_err());
    }
}
