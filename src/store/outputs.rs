//! What the work of a run has said: a file for each of its units, and each attempt.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::{StateDir, StoreError, StoreResult};
use crate::model::RunId;

/// What is read of a log for its last lines.
const TAIL: u64 = 16 * 1024;

/// What is shown of a log: its end. A kernel's build, the longest, is a tenth of it.
const MOST: u64 = 64 << 20;

const SUFFIX: &str = ".log";

impl StateDir {
    /// The outputs of a run by name, as in `upgrade-1`, in the order in which they were last written.
    ///
    /// # Errors
    ///
    /// When the run's directory cannot be read.
    pub fn outputs(&self, id: &RunId) -> StoreResult<Vec<String>> {
        let directory = self.run_dir(id);
        let entries = fs::read_dir(&directory).map_err(StoreError::io("read", &directory))?;
        let mut logs: Vec<(_, String)> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().to_string_lossy().strip_suffix(SUFFIX)?.to_owned();
                Some((entry.metadata().and_then(|metadata| metadata.modified()).ok(), name))
            })
            .collect();
        logs.sort();
        Ok(logs.into_iter().map(|(_, name)| name).collect())
    }

    /// One of them, as far as it was ever to be read.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn output(&self, id: &RunId, name: &str) -> StoreResult<Vec<String>> {
        let path = self.run_dir(id).join(format!("{name}{SUFFIX}"));
        end(&path, MOST).map_err(StoreError::io("read", &path))
    }

    /// The last lines of the output that was written last; none where nothing can be read.
    pub fn last_output(&self, id: &RunId, lines: usize) -> Vec<String> {
        let newest = self.outputs(id).unwrap_or_default().pop();
        let log = newest.map(|name| self.run_dir(id).join(format!("{name}{SUFFIX}")));
        let mut last = log.and_then(|log| end(&log, TAIL).ok()).unwrap_or_default();
        last.retain(|line| !line.trim().is_empty());
        last.split_off(last.len().saturating_sub(lines))
    }
}

fn end(path: &Path, most: u64) -> std::io::Result<Vec<String>> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // Of a line that is drawn again and again only its last state was ever to be read.
    Ok(text.lines().filter_map(|line| line.trim_end().rsplit('\r').next()).map(str::to_owned).collect())
}
