//! What `patchday plan --fetch` fetched: package lists and packages of our own, and the plan that belongs to them.
//!
//! apt refreshes the host's own lists every day, archives drop a version as soon as there is a newer one, and the host's
//! cache is cleared by whoever pleases. With both in a place of their own apt sees the day of the fetch, whenever it looks.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{below, sizes};
use crate::atomic_file;
use crate::model::{FetchedPlan, UpgradePlan};

const DIRECTORY: &str = "/var/cache/patchday/plan";

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    #[serde(flatten)]
    fetched: FetchedPlan,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// Where all of it is.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new(root: &Path) -> Self {
        Self(below(root, DIRECTORY))
    }

    pub(super) fn lists(&self) -> PathBuf {
        self.0.join("lists")
    }

    pub(super) fn archives(&self) -> PathBuf {
        self.0.join("archives")
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    pub(super) fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }

    /// What apt is told of the place. Its caches are made from the lists, and must not be those of the host's own.
    pub(super) fn options(&self) -> Vec<String> {
        [
            ("Dir::State::lists", self.lists()),
            ("Dir::Cache::archives", self.archives()),
            ("Dir::Cache::pkgcache", self.0.join("pkgcache.bin")),
            // Only saves time where packages come and go between two looks.
            ("Dir::Cache::srcpkgcache", PathBuf::new()),
        ]
        .into_iter()
        .flat_map(|(name, path)| ["-o".to_owned(), format!("{name}={}", path.display())])
        .collect()
    }

    pub(super) fn begin(&self) -> std::io::Result<()> {
        // apt makes these for itself, but only below its own directories.
        fs::create_dir_all(self.lists().join("partial"))?;
        fs::create_dir_all(self.archives().join("partial"))?;
        atomic_file::remove(&self.plan()).map(drop)
    }

    pub(super) fn keep(&self, fetched: &FetchedPlan) -> std::io::Result<()> {
        for archive in files(&self.archives())? {
            let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(".deb") && !is_of_plan(&name, &fetched.plan) {
                fs::remove_file(archive)?;
            }
        }
        for directory in [self.lists(), self.archives()] {
            for file in files(&directory)? {
                File::open(file)?.sync_all()?;
            }
            File::open(directory)?.sync_all()?;
        }
        let record = Record { format: FORMAT, fetched: fetched.clone() };
        atomic_file::replace(&self.plan(), &serde_json::to_vec_pretty(&record)?, 0o644)
    }

    pub(super) fn kept(&self) -> Result<Option<FetchedPlan>, String> {
        let text = match fs::read(self.plan()) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let wrong = |error: serde_json::Error| format!("not as Patchday wrote it: {error}");
        let FormatOnly { format } = serde_json::from_slice(&text).map_err(wrong)?;
        if format > FORMAT {
            return Err(format!("written by a newer Patchday (format {format}, this one reads {FORMAT})"));
        }
        let Record { fetched, .. } = serde_json::from_slice(&text).map_err(wrong)?;
        Ok(Some(fetched))
    }
}

/// The files of a directory, and nothing below it.
fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// By the names that apt gives to what it fetches; a package for all architectures is called so.
fn is_of_plan(file: &str, plan: &UpgradePlan) -> bool {
    plan.changes.iter().any(|change| {
        let new = change.to.as_deref().map(|to| sizes::file_name_until_architecture(&change.name, to));
        new.is_some_and(|beginning| file.starts_with(&beginning))
    })
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::Apt;
    use super::*;
    use crate::host::Packages as _;
    use crate::model::{PackageAction, PackageChange};

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            files(directory).unwrap().iter().map(|path| path.file_name().unwrap().to_string_lossy().into()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_plan_is_kept_with_its_packages_and_forgotten_as_soon_as_another_begins() {
        let root = tempfile::tempdir().unwrap();
        let apt = Apt::new(root.path().to_owned(), SignedDuration::ZERO).with_fetched_lists();
        assert_eq!(apt.fetched().await.unwrap(), None);
        assert!(apt.keep_fetched(&plan(&[])).await.is_err(), "nothing was begun");
        apt.begin_fetch().await.unwrap();
        assert_eq!(apt.fetched().await.unwrap(), None);
        let archives = Place::new(root.path()).archives();
        for name in
            ["bash_5.2_amd64.deb", "git_1%3a2.39_amd64.deb", "tzdata_2026f_all.deb", "bash_5.1_amd64.deb", "lock"]
        {
            fs::write(archives.join(name), name).unwrap();
        }
        let fetched = plan(&[("bash", "5.2"), ("git", "1:2.39"), ("tzdata", "2026f")]);
        apt.keep_fetched(&fetched).await.unwrap();
        assert_eq!(apt.fetched().await.unwrap().unwrap(), fetched);
        assert_eq!(names(&archives), ["bash_5.2_amd64.deb", "git_1%3a2.39_amd64.deb", "lock", "tzdata_2026f_all.deb"]);
        apt.begin_fetch().await.unwrap();
        assert_eq!(apt.fetched().await.unwrap(), None);
        assert_eq!(names(&archives).len(), 4, "what is still wanted need not be fetched again");
    }

    #[tokio::test]
    async fn a_plan_that_cannot_be_understood_is_no_plan() {
        let root = tempfile::tempdir().unwrap();
        let apt = Apt::new(root.path().to_owned(), SignedDuration::ZERO);
        apt.begin_fetch().await.unwrap();
        for (text, why) in [("{", "not as Patchday wrote it"), ("{\"format\": 99}", "newer Patchday (format 99")] {
            fs::write(Place::new(root.path()).plan(), text).unwrap();
            let error = apt.fetched().await.unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("plan/plan.json"), "{error}");
        }
    }

    fn plan(changes: &[(&str, &str)]) -> FetchedPlan {
        let change = |(name, to): &(&str, &str)| PackageChange {
            name: (*name).into(),
            action: PackageAction::Upgrade,
            from: Some("1".into()),
            to: Some((*to).into()),
            origin: None,
        };
        let plan = UpgradePlan { changes: changes.iter().map(change).collect(), ..UpgradePlan::default() };
        FetchedPlan { run: "20261127t203000z-0001".parse().unwrap(), at: Timestamp::UNIX_EPOCH, plan }
    }
}
