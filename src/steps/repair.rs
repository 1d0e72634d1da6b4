//! Forward to a consistent package database, after packaging work that failed or whose outcome is lost.

use super::task::Task;
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult, package_locks, protection};
use crate::host::PackageWork;
use crate::model::{Course, Step};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    package_locks::give_up(ctx).await?;
    let went_on = wait_for_what_was_left(ctx).await?;
    let before = ctx.host.packages.state().await?;
    if before.is_clean() {
        return Ok(match went_on {
            Some(work) => StepEnd::Succeeded(Some(format!("{work} went on, and came to its end; dpkg is clean"))),
            None => StepEnd::Skipped("dpkg is clean".into()),
        });
    }
    // A script that restarts what is protected fails, and would fail again. Whatever dpkg's state, a protection that cannot be
    // taken away is taken away by `restore`.
    protection::lift(ctx).await?;
    // apt refuses to begin before dpkg's own records are merged, which `--configure -a` does even where it fails.
    let mut works = vec![(PackageWork::Configure, "configure", (0.0, 0.4))];
    let to_reinstall = before.to_reinstall();
    if !to_reinstall.is_empty() {
        works.push((PackageWork::Reinstall(to_reinstall), "reinstall", (0.4, 0.8)));
    }
    works.push((PackageWork::FixBroken, "fix-broken", (0.8, 1.0)));
    let mut told = Vec::new();
    for (what, name, span) in works {
        let work = Work {
            step: Step::Repair,
            name,
            description: format!("Patchday: {name}"),
            task: Task::Packages(what),
            course: Course::counted(span),
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

/// Work that stood still has dpkg's lock as long as it runs. Returns which came to its end.
async fn wait_for_what_was_left(ctx: &mut StepContext<'_>) -> Result<Option<String>, StepError> {
    let mut went_on = None;
    for stood in ctx.run().standstills.clone() {
        // What this attempt began is found by whoever began it.
        let is_own =
            ctx.run().attempt.as_ref().is_some_and(|open| open.step == stood.step && open.number == stood.attempt);
        if !is_own && work::follow_left(ctx, &stood).await?.is_some() {
            went_on = Some(stood.work);
        }
    }
    Ok(went_on)
}
