//! The new kernel, while the services still run: it comes beside the one that runs, and changes nothing until the boot.

use super::task::Task;
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult};
use crate::host::PackageWork;
use crate::model::{Course, PackageAction, PackageChange, Step, UpgradePlan};

const NAME: &str = "ahead";

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let Some(plan) = ctx.run().upgrade.as_ref().map(UpgradePlan::new_kernels) else {
        return Err(StepError::Failed("the run has no plan of the upgrade".into()));
    };
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
    let estimate = ctx.run().estimate.as_ref();
    let expected = estimate.and_then(|estimate| estimate.steps.iter().find(|one| one.step == Step::Ahead));
    let work = Work {
        step: Step::Ahead,
        name: NAME,
        description: "Patchday: new kernel".into(),
        task: Task::Packages(PackageWork::Install(packages.clone())),
        course: Course::upgrade(&plan, expected),
    };
    let outcome = work::run_to_end(ctx, work).await?;
    if !outcome.succeeded() {
        return Err(work::failure(ctx, NAME, &outcome).await);
    }
    Ok(StepEnd::Succeeded(Some(packages.join(", "))))
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
        assert_eq!(whole.without_new_kernels(), plan(&[&tools, &kmod]));
        assert!(plan(&[&tools, &kmod]).new_kernels().is_empty());
    }
}
