//! The dist-upgrade: all of it, or what booting needs and then the rest.

use super::task::{self, Task};
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult, batch, locks, owed, protection};
use crate::config::StopOrder;
use crate::host::PackageWork;
use crate::model::{Course, Estimate, Outcome, PackageAction, PackageChange, Step, UpgradePlan, is_lock_conflict};

/// What booting and a repair need, each file synced, so that the rest may be lost.
pub(super) async fn perform_base(ctx: &mut StepContext<'_>) -> StepResult {
    let (plan, batch) = (left_of_ahead(ctx)?, ctx.run().batch.clone().unwrap_or_default());
    if let Some(why) = batch.unfit {
        return Ok(StepEnd::Skipped(format!("each file is synced: {why}")));
    }
    let first = plan.first_of(&batch);
    // What is new comes with what needs it, and is marked so.
    let upgrades = first.changes.iter().filter(|change| change.action == PackageAction::Upgrade);
    let named = |change: &PackageChange| Some(format!("{}={}", change.name, change.to.as_ref()?));
    let packages: Vec<String> = upgrades.filter_map(named).collect();
    if packages.is_empty() {
        return Ok(StepEnd::Skipped("nothing that booting needs is to be upgraded".into()));
    }
    if !batch.is_usable() {
        return Ok(StepEnd::Skipped("nothing else is to be upgraded".into()));
    }
    install(ctx, Step::UpgradeBase, PackageWork::UpgradeOnly(packages), &first, None).await
}

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let plan = left_of_ahead(ctx)?;
    if plan.is_empty() && ctx.run().upgrade.as_ref().is_some_and(UpgradePlan::is_empty) {
        return Ok(StepEnd::Skipped("no package to upgrade".into()));
    }
    let removals_allowed = plan.removals().next().is_some();
    let estimate = ctx.run().estimate.as_ref();
    let expected = estimate.and_then(|estimate| estimate.steps.iter().find(|one| one.step == Step::Upgrade)).cloned();
    let came_first = ctx.run().last_record(&Step::UpgradeBase).is_some_and(|one| one.outcome == Outcome::Succeeded);
    let first = ctx.run().batch.clone().filter(|_| came_first).unwrap_or_default();
    let left = plan.without_first_of(&first);
    let in_batch = batch::begin(ctx).await?;
    let what = PackageWork::Upgrade { removals_allowed, in_batch };
    install(ctx, Step::Upgrade, what, &left, expected.as_ref()).await
}

fn left_of_ahead(ctx: &StepContext<'_>) -> Result<UpgradePlan, StepError> {
    let Some(plan) = ctx.run().upgrade.clone() else {
        return Err(StepError::Failed("the run has no plan of the upgrade".into()));
    };
    let is_ahead = ctx.run().last_record(&Step::Ahead).is_some_and(|record| record.outcome == Outcome::Succeeded);
    Ok(if is_ahead { plan.behind_stop() } else { plan })
}

async fn install(
    ctx: &mut StepContext<'_>,
    step: Step,
    what: PackageWork,
    plan: &UpgradePlan,
    expected: Option<&crate::model::StepEstimate>,
) -> StepResult {
    let name = step.to_string();
    // Not again where a repair has let go of them: a script that restarts its own service would fail again.
    let is_first = ctx.run().attempts_of(&step) == 0 && !is_let_go(ctx);
    if ctx.settings.upgrade.order == StopOrder::LateStop && (is_first || ctx.run().protects_services()) {
        protection::protect(ctx).await?;
    }
    owed::foresee(ctx, plan)?;
    let work = Work {
        step,
        name: &name,
        description: "Patchday: dist-upgrade".into(),
        task: Task::Packages(what),
        course: Course::upgrade(plan, expected, ctx.run().estimate.as_ref().and_then(Estimate::host_pace)),
    };
    // What stands still goes on, and is synced by whoever repairs it.
    let outcome = work::run_to_end(ctx, work).await?;
    let synced = batch::end(ctx).await;
    if !outcome.succeeded() {
        if let Err(error) = synced {
            ctx.note(format!("what was installed is perhaps not on disk: {error}"));
        }
        let failure = work::failure(ctx, &name, &outcome).await;
        if is_lock_conflict(&task::log_tail(ctx, &name).await) {
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
    synced?;
    let cpu = outcome.cpu_usec.map_or(String::new(), |usec| format!(", {:.1} s of CPU", usec as f64 / 1e6));
    Ok(StepEnd::Succeeded(Some(format!("{} packages{cpu}", plan.changes.len()))))
}

/// A repair of what booting needs has let go of the services.
fn is_let_go(ctx: &StepContext<'_>) -> bool {
    ctx.run().attempts_of(&Step::UpgradeBase) > 1 && !ctx.run().protects_services()
}
