//! The view for programs: the events themselves.

use std::io::Write;

use super::View;
use crate::events::Event;
use crate::report::harmless::shown;

/// Each event as one line of JSON.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> View for JsonLines<W> {
    fn event(&mut self, event: &Event) {
        let Ok(line) = serde_json::to_string(event) else { return };
        let line = shown(&line) + "\n";
        // One write for one line, at once: the reader may be waiting for it.
        let _ = self.out.write_all(line.as_bytes());
        let _ = self.out.flush();
    }

    fn finish(&mut self) {
        let _ = self.out.flush();
    }
}
