//! What a host has besides units, sockets and packages, read from its kernel and its files.

mod files;
mod network;
mod settings;
mod timers;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::host::command::{self, below};
use crate::host::{HostError, HostResult, clock_state, mounts};
use crate::model::{Inventory, Reading};

/// Programs that only read, on a busy host.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Reads files and finds programs below `root`.
struct Reader<'a> {
    root: &'a Path,
}

impl Reader<'_> {
    fn read(&self, path: &str) -> HostResult<String> {
        let path = below(self.root, path);
        fs::read_to_string(&path).map_err(|error| HostError::failed(format!("read {}", path.display()), error))
    }

    /// The first column behind the heading: files and partitions.
    fn swap(&self) -> HostResult<BTreeSet<String>> {
        let text = self.read("/proc/swaps")?;
        Ok(text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    fn read_only(&self) -> HostResult<BTreeSet<String>> {
        let mounts = mounts::of_host(self.root)?.into_values();
        Ok(mounts.filter(|mount| mount.read_only).map(|mount| mount.point).collect())
    }

    async fn text(&self, program: &str, args: &[&str]) -> HostResult<String> {
        command::read_text(self.root, program, args, TIMEOUT).await
    }

    async fn conffiles(&self) -> HostResult<BTreeSet<String>> {
        let root = self.root.to_owned();
        let walk = tokio::task::spawn_blocking(move || files::to_be_merged(&root));
        walk.await.map_err(|error| HostError::failed("look for configuration files to merge", error))?
    }

    async fn all(&self) -> Inventory {
        let addresses = async { network::addresses(&self.text("ip", &network::ADDRESSES).await?) };
        let routes = async {
            network::routes(&[&self.text("ip", &network::ROUTES).await?, &self.text("ip", &network::ROUTES_6).await?])
        };
        let timers = async { timers::parse(&self.text("systemctl", &timers::ARGS).await?) };
        let (addresses, routes, timers, clock_synchronized, conffiles) =
            tokio::join!(addresses, routes, timers, clock_state::synchronized(self.root), self.conffiles());
        Inventory {
            swap: self.swap().into(),
            read_only: self.read_only().into(),
            addresses: addresses.into(),
            routes: routes.into(),
            timers: timers.into(),
            command_line: Reading::from(self.read("/proc/cmdline").map(|text| text.trim().to_owned())),
            modules: settings::modules(self.root).into(),
            sysctl: settings::sysctl(self.root).into(),
            clock_synchronized: clock_synchronized.into(),
            conffiles: conffiles.into(),
        }
    }
}

/// All of it at this instant. What cannot be read is unknown, each by itself.
pub(super) async fn of(root: &Path) -> Inventory {
    Reader { root }.all().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_is_unknown_each_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("proc")).unwrap();
        fs::write(dir.path().join("proc/swaps"), "Filename\t\tType\n/swapfile   file 1 0 -2\n").unwrap();
        let seen = of(dir.path()).await;
        assert_eq!(seen.swap, Reading::Known(BTreeSet::from(["/swapfile".to_owned()])));
        assert!(seen.addresses.known().is_none() && seen.command_line.known().is_none());
    }
}
