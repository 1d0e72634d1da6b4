//! What comes while the services still run: a new kernel, which changes nothing until the boot, and where that is wanted
//! everything that no service uses.

use super::task::Task;
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult, owed, protection, related};
use crate::config::Ahead;
use crate::host::PackageWork;
use crate::model::{AheadChoice, Course, Estimate, Fact, PackageAction, PackageChange, Step, UpgradePlan};

const NAME: &str = "ahead";

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let Some(plan) = ctx.run().upgrade.clone() else {
        return Err(StepError::Failed("the run has no plan of the upgrade".into()));
    };
    if ctx.settings.upgrade.ahead != Ahead::Unrelated || plan.is_empty() {
        return kernels(ctx, &plan.new_kernels()).await;
    }
    let choice = match plan.ahead.clone() {
        // Under a second attempt some of it is done already: apt knows what is left.
        Some(choice) if work::has_begun(ctx, NAME).await? => choice,
        _ => {
            let kernel = ctx.host.kernels.facts().await?.running;
            let used = related::used_now(ctx.host, ctx.settings).await;
            let choice = related::ahead_of(ctx.host, ctx.settings, &plan, &kernel, &used).await;
            ctx.recorder.record(Fact::AheadChosen(choice.clone()))?;
            choice
        }
    };
    let Some(why) = &choice.all_waits else { return unrelated(ctx, &plan, &choice).await };
    ctx.note(format!("only new kernels come ahead: {why}"));
    let told = |note: String| format!("{note}; all else waits: {why}");
    Ok(match kernels(ctx, &plan.new_kernels()).await? {
        StepEnd::Skipped(note) => StepEnd::Skipped(told(note)),
        StepEnd::Succeeded(note) => StepEnd::Succeeded(note.map(told)),
        other => other,
    })
}

async fn unrelated(ctx: &mut StepContext<'_>, plan: &UpgradePlan, choice: &AheadChoice) -> StepResult {
    let part = UpgradePlan { ahead: Some(choice.clone()), ..plan.clone() }.ahead_of_stop();
    if part.is_empty() {
        return Ok(StepEnd::Skipped("all packages are related to services".into()));
    }
    owed::foresee(ctx, &part)?;
    protection::protect(ctx).await?;
    // Where it fails, its repair and the restore take the protection away: what stands still may go on.
    install(ctx, &part, PackageWork::UpgradeWithout(choice.waiting()), "Patchday: unrelated packages").await?;
    protection::lift(ctx).await?;
    let waits = choice.waits.len();
    Ok(StepEnd::Succeeded(Some(format!("{} packages while the services run, {waits} wait", part.changes.len()))))
}

async fn kernels(ctx: &mut StepContext<'_>, plan: &UpgradePlan) -> StepResult {
    if plan.is_empty() {
        return Ok(StepEnd::Skipped("no kernel is new".into()));
    }
    let version = |name: &str, to: &Option<String>| to.as_ref().map_or(name.into(), |to| format!("{name}={to}"));
    let packages: Vec<String> = plan.changes.iter().map(|change| version(&change.name, &change.to)).collect();
    // Under a second attempt some of it is done already: apt knows what is left.
    if !work::has_begun(ctx, NAME).await? {
        let others = touched_besides(&ctx.host.packages.simulate_install(&packages).await?);
        if !others.is_empty() {
            let others = others.join(", ");
            return Ok(StepEnd::Skipped(format!("the new kernel needs others to be changed first: {others}")));
        }
    }
    install(ctx, plan, PackageWork::Install(packages.clone()), "Patchday: new kernel").await?;
    Ok(StepEnd::Succeeded(Some(packages.join(", "))))
}

async fn install(
    ctx: &mut StepContext<'_>,
    part: &UpgradePlan,
    packages: PackageWork,
    description: &str,
) -> Result<(), StepError> {
    let estimate = ctx.run().estimate.as_ref();
    let expected = estimate.and_then(|estimate| estimate.steps.iter().find(|one| one.step == Step::Ahead));
    let work = Work {
        step: Step::Ahead,
        name: NAME,
        description: description.into(),
        task: Task::Packages(packages),
        course: Course::upgrade(part, expected, estimate.and_then(Estimate::host_pace)),
    };
    let outcome = work::run_to_end(ctx, work).await?;
    if outcome.succeeded() { Ok(()) } else { Err(work::failure(ctx, NAME, &outcome).await) }
}

/// What a running service may use, and would be changed under it. A kernel's packages are none of it, as long as they
/// come; one that goes may be the kernel that runs.
fn touched_besides(plan: &UpgradePlan) -> Vec<String> {
    let is_other =
        |change: &&PackageChange| change.action == PackageAction::Remove || !change.name.starts_with("linux-");
    plan.changes.iter().filter(is_other).map(|change| change.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_of_kernels_are_touched() {
        let change = |name: &str, action| PackageChange {
            name: name.into(),
            action,
            from: None,
            to: Some("2".into()),
            origin: None,
        };
        let kernel = change("linux-image-6.1.0-42-amd64", PackageAction::Install);
        let tools = change("linux-kbuild-6.1", PackageAction::Upgrade);
        let kmod = change("kmod", PackageAction::Upgrade);
        let plan = |changes: &[&PackageChange]| UpgradePlan {
            changes: changes.iter().map(|&change| change.clone()).collect(),
            ..UpgradePlan::default()
        };
        assert!(touched_besides(&plan(&[&kernel, &tools])).is_empty());
        assert_eq!(touched_besides(&plan(&[&kernel, &kmod])), ["kmod"]);
        let old = change("linux-image-6.1.0-40-amd64", PackageAction::Remove);
        assert_eq!(touched_besides(&plan(&[&kernel, &old])), ["linux-image-6.1.0-40-amd64"]);
        let whole = plan(&[&kernel, &tools, &kmod]);
        assert_eq!(whole.new_kernels(), plan(&[&kernel]));
        assert_eq!(whole.behind_stop(), plan(&[&tools, &kmod]));
        assert!(plan(&[&tools, &kmod]).new_kernels().is_empty());
    }
}
