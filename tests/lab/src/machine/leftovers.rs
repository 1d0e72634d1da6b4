//! What a killed lab left behind: processes, mounts and directories of machines that nobody holds any more.

use crate::cgroup::Cgroup;
use crate::image::remove_tree;
use crate::process::run;
use anyhow::{Context, Result};
use std::env;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::process::Command;

/// Held, locked, by the lab as long as the machine lives.
pub(super) const LOCK: &str = "lock";

/// Marks a machine that shall stay although nobody holds it.
const KEEP: &str = "keep";

/// Where the machine's file system is mounted.
pub(crate) const ROOT: &str = "root";

/// Removes every machine below `machines` that is neither held nor kept. The caller holds the lock under which
/// machines are created, so that none is met between its creation and its lock.
pub(super) fn remove_abandoned(machines: &Path) -> Result<()> {
    for entry in fs::read_dir(machines).with_context(|| format!("cannot list {}", machines.display()))? {
        let directory = entry.context("cannot list the machines")?.path();
        if !directory.is_dir() || directory.join(KEEP).exists() {
            continue;
        }
        let lock = match File::options().read(true).open(directory.join(LOCK)) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot open the lock of {}", directory.display()));
            }
        };
        if let Some(lock) = &lock
            && matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
        {
            continue;
        }
        remove(&directory).with_context(|| format!("cannot remove the abandoned machine {}", directory.display()))?;
    }
    Ok(())
}

/// Lets kept machines count as abandoned.
pub(super) fn forget_kept(machines: &Path) -> Result<()> {
    for entry in fs::read_dir(machines).with_context(|| format!("cannot list {}", machines.display()))? {
        let mark = entry.context("cannot list the machines")?.path().join(KEEP);
        if mark.exists() {
            fs::remove_file(&mark).with_context(|| format!("cannot remove {}", mark.display()))?;
        }
    }
    Ok(())
}

/// What is done with the directory of a machine that is off and no longer needed: it is removed, or kept on request.
pub(crate) fn give_up(directory: &Path) -> Result<()> {
    if env::var_os("PATCHDAY_LAB_KEEP").is_none_or(|keep| keep != "1") {
        return remove(directory);
    }
    fs::write(directory.join(KEEP), "").with_context(|| format!("cannot mark {}", directory.display()))?;
    eprintln!("lab: a machine is kept in {}", directory.display());
    unmount(&directory.join(ROOT))
}

/// Ends the processes of a machine, unmounts it and removes its directory.
fn remove(directory: &Path) -> Result<()> {
    let id = directory.file_name().context("a machine's directory has no name")?;
    Cgroup::of(&id.to_string_lossy()).destroy()?;
    unmount(&directory.join(ROOT))?;
    remove_tree(directory)
}

/// Unmounts whatever is mounted at a directory or below it, the last mounted first.
pub(crate) fn unmount(root: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
        if Path::new(mount).starts_with(root) {
            run(Command::new("umount").arg(mount))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_within_mounts_are_unmounted_and_the_tree_can_be_removed() {
        let tree = env::temp_dir().join(format!("patchday-lab-mounts-{}", std::process::id()));
        for mount in [tree.clone(), tree.join("dev"), tree.join("dev/pts")] {
            fs::create_dir_all(&mount).expect("a directory can be made");
            run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&mount)).expect("root may mount");
        }
        assert!(remove_tree(&tree).is_err(), "a tree with mounts is not removed");
        unmount(&tree).expect("unmounted");
        remove_tree(&tree).expect("removed");
        assert!(!tree.exists());
    }
}
