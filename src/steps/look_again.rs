//! What the preflight knew, asked once more while the services still run: between the two, packages were fetched, people
//! were told and hooks were called. What refuses here costs nobody their service.

use super::{StepContext, StepEnd, StepError, StepResult, fetch, locks, preflight};
use crate::checks::{self, CheckInputs};
use crate::events::EventKind;
use crate::model::{CheckResult, Fact, Step};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    // First, since it may take long: whoever installs packages now may change all that is asked next.
    locks::wait_until_free(ctx, Step::LookAgain).await?;
    let options = ctx.run().options.clone();
    let inputs = CheckInputs::new(ctx.host, ctx.settings, &options);
    let answers = checks::run_again(&inputs).await;
    let before = ctx.run().checks.clone();
    for check in answers.iter().filter(|check| check.finding.is_some() && !before.contains(check)) {
        ctx.events.emit(EventKind::CheckFound { check: check.clone() });
    }
    let asked = format!("{} checks asked again", answers.len());
    let refusal = preflight::refusal(&answers);
    ctx.recorder.record(Fact::ChecksAnswered(merged(before, answers)))?;
    if let Some(why) = refusal {
        return Err(StepError::Failed(why));
    }
    let fetched = fetch::again(ctx).await?;
    Ok(StepEnd::Succeeded(Some(fetched.map_or(asked.clone(), |fetched| format!("{asked}, {fetched}")))))
}

/// The newer answer counts; what was not asked again stays as it was said.
fn merged(mut before: Vec<CheckResult>, answers: Vec<CheckResult>) -> Vec<CheckResult> {
    for answer in answers {
        match before.iter_mut().find(|check| check.label == answer.label) {
            Some(check) => *check = answer,
            None => before.push(answer),
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Finding, FindingKey, Severity};

    #[test]
    fn the_newer_answer_replaces_the_older_one_in_its_place() {
        let answer = |label: &str, title: Option<&str>| CheckResult {
            label: label.into(),
            finding: title.map(|title| Finding::new(FindingKey::labelled(label), Severity::Warning, title)),
        };
        let before = vec![answer("a", Some("old")), answer("b", Some("stays")), answer("c", None)];
        let again = vec![answer("c", Some("new")), answer("a", None), answer("d", None)];
        let now = merged(before, again);
        let wanted = [answer("a", None), answer("b", Some("stays")), answer("c", Some("new")), answer("d", None)];
        assert_eq!(now, wanted);
    }
}
