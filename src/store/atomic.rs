//! The store's way to write: what it keeps is readable by its owner only, and an error names the file.

use std::path::Path;

use super::{StoreError, StoreResult};
use crate::atomic_file;

pub(super) fn replace(path: &Path, content: &[u8]) -> StoreResult<()> {
    atomic_file::replace(path, content, 0o600).map_err(StoreError::io("write", path))
}

pub(super) fn rename(from: &Path, to: &Path) -> StoreResult<()> {
    atomic_file::rename_directory(from, to).map_err(StoreError::io("replace", to))
}

/// A file that is not there is removed already.
pub(super) fn remove(path: &Path) -> StoreResult<()> {
    atomic_file::remove(path).map(drop).map_err(StoreError::io("remove", path))
}
