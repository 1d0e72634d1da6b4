//! `patchday windows`: when the host may be patched next, and what keeps it from being.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{Answer, Mark, Paint, Style};
use crate::model::Hold;
use crate::report::words::{duration, one_line};
use crate::window::{Piece, clock_time};

/// Version of the shape of `patchday windows --json`.
pub const FORMAT: u32 = 1;

/// The next windows, and what keeps the host from being patched in them.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Windows<'a> {
    /// Version of this shape.
    pub format: u32,
    /// No window is configured: the host may always be patched, but in blackouts.
    pub always: bool,
    /// The hold in force.
    pub hold: Option<&'a Hold>,
    /// The next openings, cut by blackouts and the hold.
    pub pieces: &'a [Piece],
    #[serde(skip)]
    pub now: Timestamp,
    /// Whose clock the text shows.
    #[serde(skip)]
    pub zone: &'a TimeZone,
}

impl Answer for Windows<'_> {
    fn render(&self, style: &Style) -> String {
        let mut lines = Vec::new();
        if let Some(hold) = self.hold {
            let text = format!("{}, until {}", one_line(&hold.to_string()), clock_time(hold.until, self.zone));
            lines.extend(style.field("hold", &text).iter().map(|line| style.paint(Paint::Warn, line)));
            lines.push(String::new());
        }
        if self.always {
            lines.push("no window is configured: a run may begin at any time, but for the blackouts".to_owned());
        } else if self.pieces.is_empty() {
            lines.push("no window opens any more".to_owned());
        } else {
            let head = format!("    {:<21}  {:<21}  {:>7}  {}", "from", "until", "open", "");
            lines.push(style.paint(Paint::Dim, head.trim_end()));
        }
        let bounded = self.pieces.iter().filter(|piece| !self.always || piece.blocked.is_some());
        lines.extend(bounded.map(|piece| row(piece, self, style)));
        lines.join("\n") + "\n"
    }
}

fn row(piece: &Piece, windows: &Windows<'_>, style: &Style) -> String {
    let (mark, note) = match &piece.blocked {
        Some(reason) => (Mark::Failed, format!("not: {}", one_line(reason))),
        None if piece.from <= windows.now => (Mark::Done, "open now".to_owned()),
        None => (Mark::Note, String::new()),
    };
    let [from, until] = [piece.from, piece.until].map(|at| clock_time(at, windows.zone));
    let long = duration(piece.until.duration_since(piece.from));
    let text = format!("{from:<21}  {until:<21}  {long:>7}  {note}");
    let text = style.cut(text.trim_end(), style.width.saturating_sub(4));
    let text = if piece.blocked.is_some() { style.paint(Paint::Dim, &text) } else { text };
    format!("  {} {text}", style.mark(mark))
}
