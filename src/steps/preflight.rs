//! Read-only checks. While a blocker stands, nothing is touched.

use super::{StepContext, StepEnd, StepError, StepResult};
use crate::checks::{self, CheckInputs};
use crate::events::EventKind;
use crate::model::{Fact, Severity};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let options = ctx.run().options.clone();
    let inputs = CheckInputs::new(ctx.host, ctx.settings, &options);
    let results = checks::run_all(&inputs).await;
    for check in results.iter().filter(|check| check.finding.is_some()) {
        ctx.events.emit(EventKind::CheckFound { check: check.clone() });
    }
    ctx.recorder.record(Fact::ChecksAnswered(results.clone()))?;

    let findings: Vec<_> = results.iter().filter_map(|check| check.finding.as_ref()).collect();
    let blockers: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Blocker).collect();
    let warnings = findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
    match blockers.as_slice() {
        [] => Ok(StepEnd::Succeeded(Some(format!("{} checks, {warnings} warnings", results.len())))),
        blockers => {
            let titles: Vec<_> = blockers.iter().map(|b| format!("{}: {}", b.key, b.title)).collect();
            Err(StepError::Failed(titles.join("; ")))
        }
    }
}
