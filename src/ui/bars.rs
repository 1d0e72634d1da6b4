//! The view for a terminal: finished steps as lines, the current one as a bar.

use std::io::Write;

use jiff::Timestamp;

use super::{Lines, Style, View};
use crate::events::Event;

/// Where bars are drawn.
#[derive(Debug)]
pub struct Screen;

impl Screen {
    /// The terminal behind stderr.
    pub fn stderr() -> Self {
        Self
    }
}

/// Bars.
pub struct Bars {
    lines: Lines<Box<dyn Write + Send>>,
}

impl Bars {
    /// Draws on a screen.
    pub fn new(_screen: Screen, style: Style, _clock: fn() -> Timestamp) -> Self {
        Self { lines: Lines::new(Box::new(std::io::stderr()), style) }
    }
}

impl View for Bars {
    fn event(&mut self, event: &Event) {
        self.lines.event(event);
    }

    fn finish(&mut self) {
        self.lines.finish();
    }
}
