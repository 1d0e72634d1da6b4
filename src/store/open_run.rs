//! Which run is open.

use std::fs;

use super::{StateDir, StoreError, StoreResult};
use crate::model::{Run, RunId};

impl StateDir {
    /// The run that is not finished. The pointer is the way to it and no more: where it was lost, the records tell.
    ///
    /// # Errors
    ///
    /// When the pointer exists and cannot be understood, or is not there and the newest record cannot be.
    pub fn open_run(&self) -> StoreResult<Option<RunId>> {
        let path = self.root.join("open-run");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return self.open_by_record(),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        let id = text.trim().parse();
        id.map(Some).map_err(|error: crate::model::InvalidId| StoreError::Unreadable { path, why: error.to_string() })
    }

    /// No run begins while another is open, so that only the newest can be.
    fn open_by_record(&self) -> StoreResult<Option<RunId>> {
        let Some(newest) = self.runs()?.pop() else { return Ok(None) };
        match self.load(&newest) {
            Ok(run) => Ok(run.is_open().then_some(newest)),
            // A directory without a record is no run.
            Err(StoreError::NoSuchRun(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the pointer to the open run was lost: the next boot looks for it.
    pub fn has_lost_its_pointer(&self) -> bool {
        !self.root.join("open-run").exists() && matches!(self.open_by_record(), Ok(Some(_)))
    }

    /// The run that is recorded as open: the pointer names it, and its record does not say that it is closed. The power
    /// may have gone between the two.
    ///
    /// # Errors
    ///
    /// When the pointer cannot be understood, or leads nowhere. A record that cannot be understood counts as open.
    pub fn unfinished_run(&self) -> StoreResult<Option<RunId>> {
        let Some(id) = self.open_run()? else { return Ok(None) };
        match self.load_open(&id) {
            Err(error @ StoreError::Gone { .. }) => Err(error),
            Ok(run) if !run.is_open() => Ok(None),
            Ok(_) | Err(_) => Ok(Some(id)),
        }
    }

    /// The run that the pointer names.
    pub(super) fn load_open(&self, id: &RunId) -> StoreResult<Run> {
        self.load(id).map_err(|error| match error {
            StoreError::NoSuchRun(run) => StoreError::Gone { run, pointer: self.root.join("open-run") },
            error => error,
        })
    }
}
