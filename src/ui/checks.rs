//! `patchday checks`: the catalogue, by topic.

use super::{Paint, Style};
use crate::model::Severity;

/// One check, as it is listed.
#[derive(Debug, Clone, Copy)]
pub struct CheckRow<'a> {
    /// The heading below which it stands.
    pub topic: &'a str,
    /// Its label.
    pub label: &'a str,
    /// The worst that it says.
    pub severity: Severity,
    /// When it is content.
    pub about: &'a str,
}

/// The table. Rows of one topic stand together.
pub fn render(checks: &[CheckRow<'_>], style: &Style) -> String {
    let label_width = checks.iter().map(|check| check.label.len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    let mut topic = "";
    for check in checks {
        if check.topic != topic {
            topic = check.topic;
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.push(style.paint(Paint::Strong, topic));
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
        let row = |topic, label, severity, about| CheckRow { topic, label, severity, about };
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
            assert_snapshot!("checks", render(&rows, &Style::plain()));
            assert_snapshot!("checks_narrow", render(&rows, &Style { width: 60, ..Style::plain() }));
        });
    }
}
