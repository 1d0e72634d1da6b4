//! The view for pipes and narrow terminals: a line for each event, with the time since the run began.

use std::io::Write;

use jiff::Timestamp;

use super::steady::Steady;
use super::{Paint, Style, View};
use crate::events::{Event, EventKind};
use crate::report::harmless::shown;
use crate::report::telling::{Telling, Tone, tell};
use crate::report::words;

/// A line for each event.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    style: Style,
    began: Option<Timestamp>,
    steady: Steady,
}

impl<W: Write + Send> Lines<W> {
    /// Writes to `out`.
    pub fn new(out: W, style: Style) -> Self {
        Self { out, style, began: None, steady: Steady::default() }
    }
}

impl<W: Write + Send> View for Lines<W> {
    fn event(&mut self, event: &Event) {
        let began = *self.began.get_or_insert_with(|| beginning(event));
        let (event, is_news) = self.steady.hear(event);
        if !is_news {
            return;
        }
        if let Some(told) = tell(&event) {
            let _ = writeln!(self.out, "{}", shown(&line(&told, began, event.at, &self.style)));
            let _ = self.out.flush();
        }
    }

    fn finish(&mut self) {
        let _ = self.out.flush();
    }
}

/// When the run began, judged by the first event that is seen of it. A view that comes in late, as on the boot after
/// the reboot, reads it off the run's name, so that the times go on where they stopped.
pub(super) fn beginning(event: &Event) -> Timestamp {
    match event.kind {
        EventKind::RunStarted { .. } => event.at,
        _ => event.run.minted().unwrap_or(event.at),
    }
}

fn line(told: &Telling, began: Timestamp, at: Timestamp, style: &Style) -> String {
    let elapsed = words::clock(at.duration_since(began));
    let text = match told.tone {
        // What goes well stays calm, so that the eye finds what does not.
        Tone::Plain | Tone::Good => told.text.clone(),
        Tone::Warning => style.paint(Paint::Warn, &told.text),
        Tone::Bad => style.paint(Paint::Bad, &told.text),
    };
    format!("{}  {text}", style.paint(Paint::Dim, &elapsed))
}
