//! The report for programs.

use super::Report;
use super::harmless::shown;

/// The report as indented JSON with a newline at its end. Its shape is versioned by its field `format`.
pub fn render(report: &Report) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(shown(&text))
}
