//! Old kernels make room in a `/boot` that is too tight for a new one.

use super::task::Task;
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult};
use crate::checks::tight_boot;
use crate::host::PackageWork;
use crate::model::{Course, PackageAction, Step, UpgradePlan, without_architecture};

const NAME: &str = "remove-kernels";

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let mut told = None;
    let mut packages = Vec::new();
    if !work::has_begun(ctx, NAME).await? {
        let facts = ctx.host.kernels.facts().await?;
        let Some(tight) = tight_boot(ctx.host, &facts).await? else {
            return Ok(StepEnd::Skipped("/boot has room for a new kernel".into()));
        };
        if !tight.suffices {
            return Ok(StepEnd::Skipped("/boot is tight, and no kernel may go that would make enough room".into()));
        }
        refuse_others(&ctx.host.packages.simulate_purge(&tight.packages).await?, &tight.packages)?;
        packages = tight.packages;
        told = Some(tight.dispensable.join(", "));
    }
    let work = Work {
        step: Step::RemoveKernels,
        name: NAME,
        description: "Patchday: old kernels".into(),
        task: Task::Packages(PackageWork::Purge(packages)),
        course: Course::counted((0.0, 1.0)),
    };
    let outcome = work::run_to_end(ctx, work).await?;
    if outcome.succeeded() {
        return Ok(StepEnd::Succeeded(told));
    }
    Err(work::failure(ctx, NAME, &outcome).await)
}

/// What depends on an old kernel would go with it, or be changed.
fn refuse_others(plan: &UpgradePlan, packages: &[String]) -> Result<(), StepError> {
    let is_other = |name: &str| !packages.iter().any(|package| package == without_architecture(name));
    let others = plan.changes.iter().filter(|change| change.action != PackageAction::Remove || is_other(&change.name));
    let others: Vec<&str> = others.map(|change| change.name.as_str()).collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(StepError::Failed(format!(
        "/boot is tight, and removing {} would also change {}; make room by hand",
        packages.join(", "),
        others.join(", ")
    )))
}
