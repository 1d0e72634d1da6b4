//! `patchday doctor`: why a mongod does not start.

use serde::Serialize;

use super::{Answer, Mark, Style};
use crate::model::{Finding, UnitName};

/// Version of the shape of `patchday doctor --json`.
pub const FORMAT: u32 = 1;

/// Why a unit does not start: each finding with what proves it, and the way out.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Diagnosis<'a> {
    /// Version of this shape.
    pub format: u32,
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
        style.findings(self.findings).join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FindingKey, Severity};

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
