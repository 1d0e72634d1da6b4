//! Packages that are installed without a sync for each file. Their archives are kept as a redo log, in a directory of ours:
//! hooks of dpkg's, timers and people may empty apt's own.

mod disks;
mod kept;
mod known;
mod log;
mod mending;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

pub use mending::mend;

use super::{Apt, below};
use crate::host::command;
use crate::host::{Batches, HostError, HostResult, Spoiled};
use crate::model::{BatchPlan, BootNeeds, PackageAction, PackageChange, RunId, UpgradePlan};

const DIRECTORY: &str = "/var/cache/patchday/batch";

/// To read a package's file, and to compare many of them.
const TIMEOUT: Duration = Duration::from_secs(600);

/// How what booting needs is upgraded, before the names: with a sync for each file, whatever dpkg.cfg says. Only the two marks
/// together leave what is marked as automatically installed so, and what is not, too (seen with apt 2.6.1).
pub(super) const FIRST: [&str; 7] =
    ["-o", "Dpkg::Options::=--no-force-unsafe-io", "--no-remove", "--only-upgrade", "--mark-auto", "-y", "install"];

fn directory(root: &Path, run: &RunId) -> PathBuf {
    below(root, DIRECTORY).join(run.to_string())
}

#[async_trait]
impl Batches for Apt {
    async fn prepare(&self, run: &RunId, plan: &UpgradePlan) -> HostResult<BatchPlan> {
        remove(&below(&self.root, DIRECTORY))?;
        if plan.removals().next().is_some() {
            return Ok(BatchPlan::unfit("the upgrade removes packages"));
        }
        let directory = directory(&self.root, run);
        log::make(&directory)?;
        let names: Vec<String> = plan.changes.iter().map(|change| change.name.clone()).collect();
        if let Some(why) = disks::unfit(&self.root, &names, &directory) {
            return Ok(BatchPlan::unfit(why));
        }
        let files = match log::find(self, plan).await? {
            Ok(files) => files,
            Err(why) => return Ok(BatchPlan::unfit(why)),
        };
        let also = known::with_a_say_in_booting(&self.root, plan, &files).await?;
        let needs = BootNeeds::of(&known::installed(&self.root).await?, &also);
        let first = match self.first(plan, &needs).await {
            Ok(first) => first,
            Err(why) => return Ok(BatchPlan::unfit(why.to_string())),
        };
        let rest: Vec<_> = files.into_iter().filter(|file| !first.contains(&file.package)).collect();
        let archives = log::keep(&self.root, &directory, rest).await?;
        disks::sync([directory.as_path()])?;
        Ok(BatchPlan { first: first.into_iter().collect(), archives, unfit: None })
    }

    async fn begin(&self, run: &RunId, batch: &BatchPlan) -> HostResult<()> {
        kept::keep(&self.root, &directory(&self.root, run), batch).await?;
        self.sync(batch).await
    }

    async fn sync(&self, batch: &BatchPlan) -> HostResult<()> {
        let names: Vec<String> = batch.archives.iter().map(|archive| archive.package.clone()).collect();
        let root = self.root.clone();
        // As long as the disk takes: nobody could do anything better meanwhile.
        let synced = tokio::task::spawn_blocking(move || {
            let places = disks::places(&root, &names);
            disks::sync(places.iter().map(PathBuf::as_path))
        });
        synced.await.map_err(|error| HostError::failed("sync what was installed", error))?
    }

    async fn spoiled(&self, run: &RunId, batch: &BatchPlan) -> HostResult<Spoiled> {
        let kept = directory(&self.root, run);
        let (archives, problems) = log::trusted(&self.root, &kept, &batch.archives).await?;
        Ok(Spoiled { archives, kept, problems })
    }

    async fn damaged(&self, batch: &BatchPlan) -> HostResult<Vec<String>> {
        let names = batch.archives.iter().map(|archive| archive.package.as_str());
        let arguments: Vec<&str> = ["--verify"].into_iter().chain(names).collect();
        // Its exit status says whether it found anything, and also that it could not look.
        let said = command::read(&self.root, "dpkg", &arguments, TIMEOUT).await?;
        if said.stdout.is_empty() && !said.status.success() {
            return Err(HostError::failed("compare what is installed with its packages", command::complaint(&said)));
        }
        Ok(unlike_their_packages(&String::from_utf8_lossy(&said.stdout)))
    }

    async fn forget(&self, run: &RunId) -> HostResult<()> {
        remove(&directory(&self.root, run))
    }
}

impl Apt {
    /// What apt changes where only what booting needs is upgraded; an error where that is no part of the plan.
    async fn first(&self, plan: &UpgradePlan, needs: &BootNeeds) -> HostResult<BTreeSet<String>> {
        let what = "simulate the upgrade of what booting needs";
        let wanted: Vec<&PackageChange> = plan.changes.iter().filter(|change| needs.has(&change.name)).collect();
        let upgrades: Vec<String> = wanted
            .iter()
            .filter(|change| change.action == PackageAction::Upgrade)
            .filter_map(|change| Some(format!("{}={}", change.name, change.to.as_ref()?)))
            .collect();
        let first = if upgrades.is_empty() {
            UpgradePlan::default()
        } else {
            let arguments: Vec<&str> = FIRST.into_iter().chain(upgrades.iter().map(String::as_str)).collect();
            self.simulated(what, &arguments).await?
        };
        let is_planned = |change: &PackageChange| {
            plan.changes.iter().any(|planned| (&planned.name, &planned.to) == (&change.name, &change.to))
        };
        if let Some(other) = first.changes.iter().find(|change| !is_planned(change)) {
            return Err(HostError::failed(what, format!("apt would change {} as well", other.name)));
        }
        let names: BTreeSet<String> = first.changes.into_iter().map(|change| change.name).collect();
        match wanted.iter().find(|change| !names.contains(&change.name)) {
            Some(left) => Err(HostError::failed(what, format!("{} would not come with it", left.name))),
            None => Ok(names),
        }
    }
}

fn remove(directory: &Path) -> HostResult<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(HostError::failed(format!("remove {}", directory.display()), error))
        }
        _ => Ok(()),
    }
}

/// Reads `dpkg --verify`: `??5?????? c PATH`. What is missing may be left out on purpose (`path-exclude`), and
/// configuration files are the administrator's.
fn unlike_their_packages(text: &str) -> Vec<String> {
    let file = |line: &str| {
        let (found, rest) = line.split_at_checked(9)?;
        let path = rest.trim_start();
        (found.chars().nth(2) == Some('5') && path.starts_with('/')).then(|| path.to_owned())
    };
    text.lines().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_other_content_are_unlike_their_packages() {
        let text = "??5??????   /usr/bin/tool\n??5?????? c /etc/tool.conf\nmissing     /usr/share/doc/tool/copyright\n\
                    ?????????   /usr/bin/fine\n\n";
        assert_eq!(unlike_their_packages(text), ["/usr/bin/tool"]);
        crate::host::hostile::survives(&[text], |text| {
            let _ = unlike_their_packages(text);
        });
    }
}
