//! Why a mongod does not start: pure, from what was seen to findings, by one table.

mod rules;

use crate::model::{Finding, FindingKey, MongodSymptoms, Severity};

/// The findings, the most specific first; none if the server runs well. What nobody knows is a finding too.
pub fn diagnose(symptoms: &MongodSymptoms) -> Vec<Finding> {
    let is_active = matches!(symptoms.active.as_str(), "active" | "reloading");
    if is_active && !symptoms.hollow {
        return rules::OF_RUNNING.iter().filter_map(|rule| rules::apply(rule, symptoms)).collect();
    }
    let mut findings: Vec<Finding> = rules::RULES.iter().filter_map(|rule| rules::apply(rule, symptoms)).collect();
    // Two signs of one cause are one finding.
    let mut keys: Vec<FindingKey> = Vec::new();
    findings.retain(|finding| {
        let is_first = !keys.contains(&finding.key);
        keys.push(finding.key.clone());
        is_first
    });
    // A rule that only looks at the state of the host is no cause where the log names one.
    if findings.iter().any(|finding| finding.severity == Severity::Blocker) {
        findings.retain(|finding| finding.severity == Severity::Blocker);
    } else if !is_active {
        findings.push(unknown(symptoms));
    }
    if is_active {
        findings.push(hollow(symptoms));
    }
    findings
}

/// A start of an active unit does nothing: it has to be stopped first.
fn hollow(MongodSymptoms { unit, active, .. }: &MongodSymptoms) -> Finding {
    let title = format!("{unit} is {active}, and no mongod of it runs: systemd does not notice its end");
    let finding = Finding::new(FindingKey::MongodHollow, Severity::Blocker, title);
    finding.remedy("stop the unit and start it anew; a start alone does nothing", format!("systemctl restart {unit}"))
}

fn unknown(symptoms: &MongodSymptoms) -> Finding {
    let MongodSymptoms { unit, active, result, .. } = symptoms;
    let status = symptoms.exit_status.map(|status| format!(", exit status {status}")).unwrap_or_default();
    let mut finding = Finding::new(
        FindingKey::MongodUnknown,
        Severity::Blocker,
        format!("{unit} does not run, and why is not recognised"),
    )
    .evidence(format!("{active}, result {result}{status}"));
    finding.evidence.extend(symptoms.records.iter().rev().take(3).map(|record| record.text.clone()));
    finding.evidence.extend(symptoms.output.iter().rev().take(3).cloned());
    finding.remedy("read what it says of itself", format!("journalctl -b -u {unit}"))
}

#[cfg(test)]
mod tests;
