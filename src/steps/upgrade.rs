//! The dist-upgrade.

use super::task::{self, Task};
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult, locks, owed, protection};
use crate::config::StopOrder;
use crate::host::PackageWork;
use crate::model::{Course, Outcome, Step, is_lock_conflict};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let Some(plan) = ctx.run().upgrade.clone() else {
        return Err(StepError::Failed("the run has no plan of the upgrade".into()));
    };
    if plan.is_empty() {
        return Ok(StepEnd::Skipped("no package to upgrade".into()));
    }
    let removals_allowed = plan.removals().next().is_some();
    let estimate = ctx.run().estimate.as_ref();
    let expected = estimate.and_then(|estimate| estimate.steps.iter().find(|one| one.step == Step::Upgrade));
    let is_ahead = ctx.run().last_record(&Step::Ahead).is_some_and(|record| record.outcome == Outcome::Succeeded);
    let left = if is_ahead { plan.behind_stop() } else { plan };
    let course = Course::upgrade(&left, expected);
    // Not again where a repair has let go of them: a script that restarts its own service would fail again.
    let is_first = ctx.run().attempts_of(&Step::Upgrade) == 0;
    if ctx.settings.upgrade.order == StopOrder::LateStop && (is_first || ctx.run().protects_services()) {
        protection::protect(ctx).await?;
    }
    owed::foresee(ctx, &left)?;
    let work = Work {
        step: Step::Upgrade,
        name: "upgrade",
        description: "Patchday: dist-upgrade".into(),
        task: Task::Packages(PackageWork::Upgrade { removals_allowed }),
        course,
    };
    let outcome = work::run_to_end(ctx, work).await?;
    if !outcome.succeeded() {
        let failure = work::failure(ctx, "upgrade", &outcome).await;
        if is_lock_conflict(&task::log_tail(ctx, "upgrade").await) {
            let holders = ctx.host.packages.lock_holders().await.unwrap_or_default();
            return Err(StepError::Failed(format!("{failure}; {}", locks::named(&holders))));
        }
        if is_first && ctx.run().protects_services() && !ctx.host.packages.state().await?.is_clean() {
            return Err(StepError::Again(format!(
                "{failure}; a script may want to restart what is protected: the packages are repaired without protection, and the upgrade goes on"
            )));
        }
        return Err(failure);
    }
    let cpu = outcome.cpu_usec.map_or(String::new(), |usec| format!(", {:.1} s of CPU", usec as f64 / 1e6));
    Ok(StepEnd::Succeeded(Some(format!("{} packages{cpu}", left.changes.len()))))
}
