//! Forward to a consistent package database, after packaging work that failed or whose outcome is lost.

use super::work::{self, Task, Work};
use super::{StepContext, StepEnd, StepError, StepResult};
use crate::host::PackageWork;
use crate::model::{Course, Step};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let before = ctx.host.packages.state().await?;
    if before.is_clean() {
        return Ok(StepEnd::Skipped("dpkg is clean".into()));
    }
    let mut told = Vec::new();
    for (what, name) in [(PackageWork::Configure, "configure"), (PackageWork::FixBroken, "fix-broken")] {
        let work = Work {
            step: Step::Repair,
            name,
            description: format!("Patchday: {name}"),
            task: Task::Packages(what),
            course: Course::counted(if name == "configure" { (0.0, 0.5) } else { (0.5, 1.0) }),
        };
        let outcome = work::run_to_end(ctx, work).await?;
        if !outcome.succeeded() {
            let failure = work::failure(ctx, name, &outcome).await.to_string();
            ctx.note(failure.clone());
            told.push(failure);
        }
    }
    // What counts is the state, not how the commands ended.
    let after = ctx.host.packages.state().await?;
    if after.is_clean() {
        let repaired = if before.broken.is_empty() { "dpkg's journal".into() } else { before.broken.join(", ") };
        return Ok(StepEnd::Succeeded(Some(format!("repaired: {repaired}"))));
    }
    told.push(format!("still broken: {}", after.broken.join(", ")));
    Err(StepError::Failed(told.join("; ")))
}
