//! The control groups of one machine.
//!
//! All machines of one caller would otherwise share a control group, and the systemd of one machine would count the
//! processes of another as its own. It also gives a sure way to end everything in a machine.

use crate::wait::wait_for;
use anyhow::{Context, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where control group hierarchies with a tree of processes are mounted, whatever the host uses:
/// version 2 alone, or version 1 with systemd's named hierarchy and version 2 beside it.
const UNIFIED_ONLY: &str = "/sys/fs/cgroup";
const HYBRID: [&str; 2] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];

/// A process that was killed ends when its writes have: on a busy disk that may take a while.
const EMPTIED: Duration = Duration::from_secs(60);

/// One directory per hierarchy, all for the same machine.
pub(crate) struct Cgroup {
    directories: Vec<PathBuf>,
}

impl Cgroup {
    /// The control groups of the machine `id`, whether they exist or not.
    pub(crate) fn of(id: &str) -> Self {
        let roots = if Path::new(UNIFIED_ONLY).join("cgroup.controllers").exists() {
            vec![PathBuf::from(UNIFIED_ONLY)]
        } else {
            HYBRID.iter().map(PathBuf::from).filter(|root| root.is_dir()).collect()
        };
        Self { directories: roots.into_iter().map(|root| root.join("patchday-lab").join(id)).collect() }
    }

    /// Makes the directories, and hands down whatever controllers the host can give.
    pub(crate) fn create(&self) -> Result<()> {
        for directory in &self.directories {
            fs::create_dir_all(directory).with_context(|| format!("cannot make the cgroup {}", directory.display()))?;
            if let Some(parent) = directory.parent() {
                // Best effort: without controllers a machine runs, it only cannot enforce limits.
                for controller in ["+cpu", "+memory", "+io", "+pids"] {
                    let _ = fs::write(parent.join("cgroup.subtree_control"), controller);
                }
            }
        }
        Ok(())
    }

    /// The files into which a process writes its ID to become a member.
    pub(crate) fn member_files(&self) -> impl Iterator<Item = PathBuf> {
        self.directories.iter().map(|directory| directory.join("cgroup.procs"))
    }

    /// Kills every process of the machine, wherever it hides, and removes the directories.
    pub(crate) fn destroy(&self) -> Result<()> {
        for directory in &self.directories {
            let kill = directory.join("cgroup.kill");
            if kill.exists() {
                fs::write(&kill, "1").with_context(|| format!("cannot write {}", kill.display()))?;
            }
        }
        for directory in &self.directories {
            wait_for(&format!("the cgroup {} to be empty", directory.display()), EMPTIED, || {
                match remove_tree(directory) {
                    Ok(()) => Ok(Some(())),
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(None),
                    Err(error) => Err(error).context(format!("cannot remove the cgroup {}", directory.display())),
                }
            })?;
        }
        Ok(())
    }
}

/// Removes a control group and the groups below it; `remove_dir_all` cannot, since their files cannot be deleted.
fn remove_tree(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
