//! `patchday doctor`: why a mongod does not start.

use super::{Mark, Paint, Style};
use crate::model::{Finding, Severity, UnitName};
use crate::report::words::one_line;

/// Renders the findings: each with what proves it, and the way out.
pub fn render(unit: &UnitName, findings: &[Finding], style: &Style) -> String {
    if findings.is_empty() {
        return format!("{} {unit} runs\n", style.mark(Mark::Done));
    }
    let mut lines = Vec::new();
    for finding in findings {
        let mark = if finding.severity == Severity::Blocker { Mark::Failed } else { Mark::Warning };
        let title = format!("{} ({})", one_line(&finding.title), finding.key);
        lines.push(format!("{} {}", style.mark(mark), style.paint(Paint::Strong, &title)));
        lines.extend(finding.evidence.iter().flat_map(|line| style.wrap(&one_line(line), 4)));
        if let Some(remedy) = &finding.remedy {
            lines.extend(style.wrap(&format!("hint: {}", one_line(&remedy.hint)), 4));
            let command = remedy.command.as_ref();
            lines
                .extend(command.map(|command| format!("          {}", style.paint(Paint::Accent, &one_line(command)))));
        }
    }
    lines.join("\n") + "\n"
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
        let text = render(&unit, &[finding], &Style::plain());
        for words in ["its port is taken (mongod-port-in-use)", "nginx.service", "hint: end who", "ss -ltnp"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(render(&unit, &[], &Style::plain()).contains("mongod.service runs"));
    }
}
