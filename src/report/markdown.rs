//! The report as a ready post-mortem.

use super::Report;

/// The summary; the rest follows.
pub fn render(report: &Report) -> String {
    report.summary.clone()
}
