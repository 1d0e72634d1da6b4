//! Replacing a file so that after a power cut either the old or the new one is there, whole.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{StoreError, StoreResult};

/// Writes beside the file, syncs, renames over it and syncs the directory. The file is readable by its owner only.
pub(super) fn replace(path: &Path, content: &[u8]) -> StoreResult<()> {
    let temporary = path.with_extension("tmp");
    // What is left of a crash goes; a link that lies there is not followed.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreError::io("remove", &temporary)(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(StoreError::io("create", &temporary))?;
    file.write_all(content).map_err(StoreError::io("write", &temporary))?;
    file.sync_all().map_err(StoreError::io("sync", &temporary))?;
    fs::rename(&temporary, path).map_err(StoreError::io("replace", path))?;
    sync_parent(path)
}

/// Renames a directory whose files are synced, and syncs both itself and the one above.
pub(super) fn rename(from: &Path, to: &Path) -> StoreResult<()> {
    let sync = File::open(from).and_then(|directory| directory.sync_all());
    sync.map_err(StoreError::io("sync", from))?;
    fs::rename(from, to).map_err(StoreError::io("replace", to))?;
    sync_parent(to)
}

/// Removes the file, durably. A file that is not there is removed already.
pub(super) fn remove(path: &Path) -> StoreResult<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("remove", path)(error)),
    }
}

fn sync_parent(path: &Path) -> StoreResult<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let sync = File::open(parent).and_then(|directory| directory.sync_all());
    sync.map_err(StoreError::io("sync", parent))
}
