//! What the views are told, one JSON object a line: written by the coordinator, read by whoever follows.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{StoreError, StoreResult};
use crate::events::Event;

/// Appends events. Not synced: the run's own file is the truth, and the log tells it to people.
#[derive(Debug)]
pub struct EventLog {
    file: Mutex<File>,
}

impl EventLog {
    pub(super) fn open(path: &Path) -> StoreResult<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Ok(Self { file: Mutex::new(file.map_err(StoreError::io("open", path))?) })
    }

    /// Appends one event in one write. A full disk costs the line, never the run.
    pub fn append(&self, event: &Event) {
        let Ok(mut line) = serde_json::to_vec(event) else { return };
        line.push(b'\n');
        if let Ok(mut file) = self.file.lock() {
            let _ = file.write_all(&line);
        }
    }
}

/// Reads events as they are appended.
#[derive(Debug)]
pub struct EventReader {
    path: PathBuf,
    offset: u64,
    rest: Vec<u8>,
}

impl EventReader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, offset: 0, rest: Vec::new() }
    }

    /// Every event since the last call. A log that does not exist yet is empty; a line that is no event (torn by a
    /// power cut, or of a newer version) is passed over.
    ///
    /// # Errors
    ///
    /// When the file exists and cannot be read.
    pub fn read_new(&mut self) -> StoreResult<Vec<Event>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("open", &self.path)(error)),
        };
        let start = self.rest.len();
        let read = file.seek(SeekFrom::Start(self.offset)).and_then(|_| file.read_to_end(&mut self.rest));
        read.map_err(StoreError::io("read", &self.path))?;
        self.offset += (self.rest.len() - start) as u64;

        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..end).collect();
        Ok(lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}
