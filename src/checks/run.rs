//! Runs the checks side by side.

use futures_util::future::join_all;

use super::catalogue::CATALOGUE;
use super::check::Check;
use super::inputs::CheckInputs;
use crate::model::{CheckResult, Finding, FindingKey, Severity};

/// Runs all checks side by side, each under its own deadline.
pub async fn run_all(inputs: &CheckInputs<'_>) -> Vec<CheckResult> {
    join_all(CATALOGUE.iter().map(|check| run_one(check, inputs))).await
}

/// Runs those that are asked once more right before the first stop.
pub async fn run_again(inputs: &CheckInputs<'_>) -> Vec<CheckResult> {
    join_all(CATALOGUE.iter().filter(|check| check.asked_again).map(|check| run_one(check, inputs))).await
}

async fn run_one(check: &Check, inputs: &CheckInputs<'_>) -> CheckResult {
    let finding = match tokio::time::timeout(check.deadline, (check.run)(check, inputs)).await {
        Ok(Ok(finding)) => finding,
        Ok(Err(error)) => Some(unanswered(check, &error.to_string())),
        Err(_) => Some(unanswered(check, &format!("no answer within {} s", check.deadline.as_secs()))),
    };
    CheckResult { label: check.label.into(), finding: finding.map(|finding| lowered(finding, inputs)) }
}

/// Unknown is never healthy: what cannot be told stands in the way, unless it would only have been worth knowing.
fn unanswered(check: &Check, why: &str) -> Finding {
    let severity = if check.severity == Severity::Info { Severity::Info } else { Severity::Blocker };
    let finding = Finding::new(FindingKey::labelled(check.label), severity, format!("the check cannot answer: {why}"));
    finding.hint("fix what keeps it from answering; unknown is not healthy")
}

fn lowered(mut finding: Finding, inputs: &CheckInputs<'_>) -> Finding {
    let label = finding.key.to_string();
    let names = |labels: &[String]| labels.contains(&label);
    let by = match (names(&inputs.options.allowed_checks), names(&inputs.settings.allowed_checks)) {
        _ if finding.severity != Severity::Blocker => return finding,
        (true, _) => "--allow",
        (false, true) => "[preflight] allow",
        (false, false) => return finding,
    };
    finding.severity = Severity::Warning;
    finding.evidence.push(format!("a blocker, allowed by {by}"));
    finding
}
