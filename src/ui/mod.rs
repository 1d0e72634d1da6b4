//! What people see. Views are told events, live or from `events.jsonl`, and never ask anybody anything.
//!
//! Architecture Invariant: only `ui` and `cli` print. Talk goes to stderr, data to stdout. What a view or talk cannot write
//! (a closed pipe, a dead terminal) is ignored, since it must not change a run; data that cannot be written are an error.

pub mod bars;
pub mod checks;
mod choose;
pub mod config;
pub mod doctor;
mod error;
pub mod history;
mod jsonl;
pub mod limits;
mod lines;
pub mod pager;
pub mod plan;
pub mod status;
mod steady;
mod systemd;
pub mod verify;
pub mod windows;

use serde::Serialize;

use crate::events::Event;

pub use crate::report::{Mark, Paint, Style};
pub use choose::{ColorChoice, ViewInputs, ViewKind, choose, kind, style};
pub use error::{print_data, print_error, print_talk, render_error};
pub use jsonl::JsonLines;
pub use lines::Lines;
pub use systemd::{NotifySocket, StatusLine, Systemd};

/// What a verb answers. With `--json` its fields are printed, as `docs/state-format.md` has them, otherwise its text; a field
/// that only the text needs is skipped.
pub trait Answer: Serialize {
    /// The answer for people.
    fn render(&self, style: &Style) -> String;
}

/// Something that shows events.
pub trait View: Send {
    /// Shows one event. Never fails, and never waits for a reader.
    fn event(&mut self, event: &Event);

    /// Shows the last lines of the output of what is at work, or hides them. Only for views that have a place for it.
    fn output(&mut self, _lines: Option<&[String]>) {}

    /// Leaves the screen in order. The run may well go on: somebody may only have stopped looking.
    fn finish(&mut self);
}

#[cfg(test)]
mod tests;
