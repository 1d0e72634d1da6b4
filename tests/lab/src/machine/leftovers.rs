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
pub(super) const ROOT: &str = "root";

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

/// Unmounts a machine's file system, if it is mounted.
pub(crate) fn unmount(root: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    if mounts.lines().any(|line| line.split(' ').nth(1).is_some_and(|mount| Path::new(mount) == root)) {
        run(Command::new("umount").arg(root))?;
    }
    Ok(())
}
