//! `patchday checks`: the catalogue, by topic.

use serde::Serialize;

use super::{Answer, Paint, Style};
use crate::model::Severity;

/// Version of the shape of `patchday checks --json`.
pub const FORMAT: u32 = 1;

/// The checks, those of one topic together.
#[derive(Debug, Clone, Serialize)]
pub struct Checks {
    /// Version of this shape.
    pub format: u32,
    /// One row for each check.
    pub checks: Vec<CheckRow>,
}

/// One check, as it is listed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CheckRow {
    /// The name of its topic.
    pub topic: &'static str,
    /// The heading of its topic.
    #[serde(skip)]
    pub heading: &'static str,
    pub label: &'static str,
    /// The worst that it says.
    pub severity: Severity,
    /// After so long without an answer it counts as failed.
    pub deadline_seconds: u64,
    pub about: &'static str,
    pub doc: &'static str,
}

impl Answer for Checks {
    fn render(&self, style: &Style) -> String {
        table(&self.checks, style)
    }
}

fn table(checks: &[CheckRow], style: &Style) -> String {
    let label_width = checks.iter().map(|check| check.label.len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    let mut heading = "";
    for check in checks {
        if check.heading != heading {
            heading = check.heading;
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.push(style.paint(Paint::Strong, heading));
        }
        let (word, paint) = match check.severity {
            Severity::Blocker => ("blocker", Paint::Bad),
            Severity::Warning => ("warning", Paint::Warn),
            Severity::Info => ("info", Paint::Dim),
        };
        let head = format!("  {:<label_width$}  {}  ", check.label, style.paint(paint, &format!("{word:<7}")));
        let indent = label_width + 13;
        let about = style.wrap(check.about, indent);
        // On a narrow screen the sentence goes on below itself.
        let first = about.first().map_or("", |line| line.trim_start());
        lines.push(format!("{head}{first}"));
        lines.extend(about.into_iter().skip(1));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::report::sample::snapshots;

    #[test]
    fn checks_stand_below_their_topic() {
        let row = |heading, label, severity, about| {
            let (topic, deadline_seconds, doc) = ("", 0, "");
            CheckRow { topic, heading, label, severity, deadline_seconds, about, doc }
        };
        let rows = [
            row(
                "Packages",
                "dpkg-clean",
                Severity::Blocker,
                "no package is half installed, and no dpkg was interrupted",
            ),
            row("Packages", "third-party", Severity::Warning, "every package comes from an origin that is trusted"),
            row("Host", "container", Severity::Info, "the host is no container"),
        ];
        snapshots(|| {
            assert_snapshot!("checks", table(&rows, &Style::plain()));
            assert_snapshot!("checks_narrow", table(&rows, &Style { width: 60, ..Style::plain() }));
        });
    }
}
