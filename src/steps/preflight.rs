//! Read-only checks. While a blocker stands, nothing is touched.

use super::{StepContext, StepEnd, StepError, StepResult};
use crate::checks::{self, CheckInputs};
use crate::events::EventKind;
use crate::model::{CheckResult, Fact, Finding, Severity};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let options = ctx.run().options.clone();
    let mut inputs = CheckInputs::new(ctx.host, ctx.settings, &options);
    if let Some(estimate) = ctx.run().estimate.clone() {
        inputs = inputs.expecting(estimate, ctx.run().upgrade.clone().unwrap_or_default());
    }
    let results = checks::run_all(&inputs).await;
    for check in results.iter().filter(|check| check.finding.is_some()) {
        ctx.events.emit(EventKind::CheckFound { check: check.clone() });
    }
    ctx.recorder.record(Fact::ChecksAnswered(results.clone()))?;

    let warnings = of_severity(&results, Severity::Warning).count();
    match refusal(&results) {
        None => {
            let plural = if warnings == 1 { "" } else { "s" };
            Ok(StepEnd::Succeeded(Some(format!("{} checks, {warnings} warning{plural}", results.len()))))
        }
        Some(why) => Err(StepError::Failed(why)),
    }
}

/// The blockers, in one line; none if nothing stands in the way.
pub(super) fn refusal(results: &[CheckResult]) -> Option<String> {
    let said = |finding: &Finding| match finding.evidence.first() {
        Some(first) => format!("{}: {}: {first}", finding.key, finding.title),
        None => format!("{}: {}", finding.key, finding.title),
    };
    let said: Vec<_> = of_severity(results, Severity::Blocker).map(said).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn of_severity(results: &[CheckResult], severity: Severity) -> impl Iterator<Item = &Finding> {
    results.iter().filter_map(|check| check.finding.as_ref()).filter(move |finding| finding.severity == severity)
}
