//! The run and its storage, together: what is applied is saved, in this order, before anybody acts on it.

use std::path::PathBuf;

use crate::events::Event;
use crate::machine::apply;
use crate::model::{Fact, Run};
use crate::steps::{RecordError, Recorder};
use crate::store::{RunStore, StoreResult};

/// Where a run is kept; [`RunStore`], or a double that fails or crashes.
pub trait RunStorage: Send {
    /// Saves the run; on return it survives a power cut.
    ///
    /// # Errors
    ///
    /// The old state is then still whole.
    fn save(&self, run: &Run) -> StoreResult<()>;

    /// Writes a file of the run.
    ///
    /// # Errors
    ///
    /// The file system's word.
    fn write_file(&self, name: &str, content: &[u8]) -> StoreResult<()>;

    /// Where the output of a work unit goes.
    fn output_path(&self, name: &str) -> PathBuf;

    /// The events so far.
    fn timeline(&self) -> Vec<Event>;
}

impl RunStorage for RunStore {
    fn save(&self, run: &Run) -> StoreResult<()> {
        Self::save(self, run)
    }

    fn write_file(&self, name: &str, content: &[u8]) -> StoreResult<()> {
        Self::write_file(self, name, content)
    }

    fn output_path(&self, name: &str) -> PathBuf {
        Self::output_path(self, name)
    }

    fn timeline(&self) -> Vec<Event> {
        self.events().read_new().unwrap_or_default()
    }
}

/// The run and its storage.
#[derive(Debug)]
pub struct Journal<S> {
    run: Run,
    storage: S,
    must_save: bool,
}

impl<S: RunStorage> Journal<S> {
    /// A journal of a run that is saved already.
    pub fn new(run: Run, storage: S) -> Self {
        Self { run, storage, must_save: true }
    }

    /// From now on a failed save is no error: the ending of a run whose state cannot be saved.
    pub(super) fn go_on_in_memory(&mut self) {
        self.must_save = false;
    }
}

impl<S: RunStorage> Recorder for Journal<S> {
    fn run(&self) -> &Run {
        &self.run
    }

    fn record(&mut self, fact: Fact) -> Result<(), RecordError> {
        let next = apply(&self.run, fact).map_err(|error| RecordError(error.to_string()))?;
        let saved = self.storage.save(&next);
        if self.must_save {
            saved.map_err(|error| RecordError(error.to_string()))?;
        }
        self.run = next;
        Ok(())
    }

    fn output_path(&self, name: &str) -> PathBuf {
        self.storage.output_path(name)
    }

    fn write_file(&self, name: &str, content: &[u8]) -> Result<(), RecordError> {
        self.storage.write_file(name, content).map_err(|error| RecordError(error.to_string()))
    }

    fn timeline(&self) -> Vec<Event> {
        self.storage.timeline()
    }
}
