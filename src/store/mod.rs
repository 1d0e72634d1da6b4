//! The state directory: the only writer below it, and only with the lock in hand.
//! `docs/state-format.md` has every file of it.

mod atomic;
mod event_log;
mod format;
mod handed_on;
mod holds;
mod lock;
mod open_run;
mod ours;
mod outputs;
mod run_store;

/// Where runs are recorded, unless somebody says otherwise.
pub const DEFAULT_PATH: &str = "/var/lib/patchday";

pub use event_log::{EventLog, EventReader};
pub use format::{FORMAT, decode, encode};
pub use lock::{LockHolder, LockedState};
pub use run_store::{RunStore, StateDir, WishBox};

use std::path::{Path, PathBuf};

use crate::model::RunId;

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system said no.
    #[error("{action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// The file is not what Patchday wrote.
    #[error("{}: not as Patchday wrote it: {why}", path.display())]
    Unreadable {
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Others than root could write it, or the way to it.
    #[error("{} {why}", path.display())]
    Foreign {
        /// What they could change.
        path: PathBuf,
        /// Why it is not obeyed.
        why: String,
        remedy: String,
    },
    /// A newer Patchday wrote it.
    #[error("{}: written by a newer Patchday (format {found}, this one reads {FORMAT})", path.display())]
    Newer { path: PathBuf, found: u64 },
    /// Somebody else holds the lock.
    #[error("another run is at work: {0}")]
    Locked(LockHolder),
    #[error("no run {0} is recorded")]
    NoSuchRun(RunId),
    /// The open run is gone: somebody removed its directory.
    #[error("{} names run {run} as the open one, and it is gone", pointer.display())]
    Gone { run: RunId, pointer: PathBuf },
    /// A run is open already.
    #[error("run {0} is not finished")]
    RunIsOpen(RunId),
}

impl StoreError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// What the store returns.
pub type StoreResult<T> = Result<T, StoreError>;
