//! `patchday doctor`: why a mongod does not start.

use serde::Serialize;

use super::{Answer, Mark, Paint, Style};
use crate::model::{Finding, Severity, UnitName};
use crate::report::words::one_line;

/// Version of the shape of `patchday doctor --json`.
pub const FORMAT: u32 = 1;

/// Why a unit does not start: each finding with what proves it, and the way out.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Diagnosis<'a> {
    /// Version of this shape.
    pub format: u32,
    /// The unit.
    pub unit: &'a UnitName,
    /// systemd's word for its state.
    pub active: &'a str,
    /// What was found; nothing if it runs.
    pub findings: &'a [Finding],
}

impl Answer for Diagnosis<'_> {
    fn render(&self, style: &Style) -> String {
        if self.findings.is_empty() {
            return format!("{} {} runs\n", style.mark(Mark::Done), self.unit);
        }
        let mut lines = Vec::new();
        for finding in self.findings {
            let mark = if finding.severity == Severity::Blocker { Mark::Failed } else { Mark::Warning };
            let title = format!("{} ({})", one_line(&finding.title), finding.key);
            lines.push(format!("{} {}", style.mark(mark), style.paint(Paint::Strong, &title)));
            lines.extend(finding.evidence.iter().flat_map(|line| style.wrap(&one_line(line), 4)));
            if let Some(remedy) = &finding.remedy {
                lines.extend(style.wrap(&format!("hint: {}", one_line(&remedy.hint)), 4));
                let command = remedy.command.iter().map(|command| style.paint(Paint::Accent, &one_line(command)));
                lines.extend(command.map(|command| format!("          {command}")));
            }
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FindingKey;

    #[test]
    fn a_finding_is_told_with_its_proof_and_the_way_out() {
        let unit: UnitName = "mongod.service".parse().unwrap();
        let finding = Finding::new(
            FindingKey::labelled("mongod-port-in-use"),
            Severity::Blocker,
            "mongod.service: its port is taken",
        )
        .evidence("port 27017: nginx (nginx.service)")
        .remedy("end who listens there", "ss -ltnp sport = :27017");
        let told = |findings: &[Finding]| {
            let diagnosis = Diagnosis { format: FORMAT, unit: &unit, active: "failed", findings };
            diagnosis.render(&Style::plain())
        };
        let text = told(&[finding]);
        for words in ["its port is taken (mongod-port-in-use)", "nginx.service", "hint: end who", "ss -ltnp"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(told(&[]).contains("mongod.service runs"));
    }
}
