//! `patchday windows`: when the host may be patched next, and what keeps it from being.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::status::field;
use super::{Mark, Paint, Style};
use crate::model::Hold;
use crate::report::words::{duration, one_line};
use crate::window::{Piece, clock_time};

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub struct WindowsInputs<'a> {
    /// Now.
    pub now: Timestamp,
    /// Whose clock is shown.
    pub zone: &'a TimeZone,
    /// No window is configured.
    pub always: bool,
    /// The hold in force.
    pub hold: Option<&'a Hold>,
    /// The next openings, cut by blackouts and the hold.
    pub pieces: &'a [Piece],
}

/// The table.
pub fn render(inputs: &WindowsInputs<'_>, style: &Style) -> String {
    let mut lines = Vec::new();
    if let Some(hold) = inputs.hold {
        let text = format!("{}, until {}", one_line(&hold.to_string()), clock_time(hold.until, inputs.zone));
        lines.extend(field("hold", &text, style).iter().map(|line| style.paint(Paint::Warn, line)));
        lines.push(String::new());
    }
    if inputs.always {
        lines.push("no window is configured: a run may begin at any time, but for the blackouts".to_owned());
    } else if inputs.pieces.is_empty() {
        lines.push("no window opens any more".to_owned());
    } else {
        let head = format!("    {:<21}  {:<21}  {:>7}  {}", "from", "until", "open", "");
        lines.push(style.paint(Paint::Dim, head.trim_end()));
    }
    let bounded = inputs.pieces.iter().filter(|piece| !inputs.always || piece.blocked.is_some());
    lines.extend(bounded.map(|piece| row(piece, inputs, style)));
    lines.join("\n") + "\n"
}

fn row(piece: &Piece, inputs: &WindowsInputs<'_>, style: &Style) -> String {
    let (mark, note) = match &piece.blocked {
        Some(reason) => (Mark::Failed, format!("not: {}", one_line(reason))),
        None if piece.from <= inputs.now => (Mark::Done, "open now".to_owned()),
        None => (Mark::Note, String::new()),
    };
    let [from, until] = [piece.from, piece.until].map(|at| clock_time(at, inputs.zone));
    let long = duration(piece.until.duration_since(piece.from));
    let text = format!("{from:<21}  {until:<21}  {long:>7}  {note}");
    let text = style.cut(text.trim_end(), style.width.saturating_sub(4));
    let text = if piece.blocked.is_some() { style.paint(Paint::Dim, &text) } else { text };
    format!("  {} {text}", style.mark(mark))
}
