//! Forward to a consistent package database, after packaging work that failed or whose outcome is lost.

use super::task::Task;
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult, batch, package_locks, protection};
use crate::host::PackageWork;
use crate::model::{Course, Step};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    package_locks::give_up(ctx).await?;
    let went_on = wait_for_what_was_left(ctx).await?;
    let is_lost = ctx.run().has_lost_a_batch();
    let before = ctx.host.packages.state().await?;
    if before.is_clean() && !is_lost {
        batch::end(ctx).await?;
        return Ok(match went_on {
            Some(work) => StepEnd::Succeeded(Some(format!("{work} went on, and came to its end; dpkg is clean"))),
            None => StepEnd::Skipped("dpkg is clean".into()),
        });
    }
    // A script that restarts what is protected fails, and would fail again. Whatever dpkg's state, a protection that cannot be
    // taken away is taken away by `restore`.
    protection::lift(ctx).await?;
    let mut told = Vec::new();
    let again = if is_lost { Some(install_again(ctx, &mut told).await?) } else { None };
    // apt refuses to begin before dpkg's own records are merged, which `--configure -a` does even where it fails.
    let mut works = vec![(PackageWork::Configure, "configure", (0.0, 0.4))];
    let to_reinstall = before.to_reinstall();
    if !to_reinstall.is_empty() {
        works.push((PackageWork::Reinstall(to_reinstall), "reinstall", (0.4, 0.8)));
    }
    works.push((PackageWork::FixBroken, "fix-broken", (0.8, 1.0)));
    for (what, name, span) in works {
        // Since they were installed again.
        let is_needless = again.is_some() && what != PackageWork::Configure;
        if is_needless && ctx.host.packages.state().await?.is_clean() {
            break;
        }
        told.extend(work_on(ctx, what, name, span).await?);
    }
    // What counts is the state, not how the commands ended.
    let after = ctx.host.packages.state().await?;
    if after.is_clean() {
        if let Some(Again { told: words, is_whole }) = again {
            if !is_whole {
                return Err(StepError::Failed(told.join("; ")));
            }
            batch::end(ctx).await?;
            return Ok(StepEnd::Succeeded(Some(words)));
        }
        batch::end(ctx).await?;
        let repaired = if before.broken.is_empty() { "dpkg's journal".into() } else { before.broken.join(", ") };
        return Ok(StepEnd::Succeeded(Some(format!("repaired: {repaired}"))));
    }
    told.push(format!("still broken: {}", after.broken.join(", ")));
    Err(StepError::Failed(told.join("; ")))
}

/// Runs one of the works, and tells how it failed.
async fn work_on(
    ctx: &mut StepContext<'_>,
    what: PackageWork,
    name: &str,
    span: (f64, f64),
) -> Result<Option<String>, StepError> {
    let work = Work {
        step: Step::Repair,
        name,
        description: format!("Patchday: {name}"),
        task: Task::Packages(what),
        course: Course::counted(span),
    };
    let outcome = work::run_to_end(ctx, work).await?;
    if outcome.succeeded() {
        return Ok(None);
    }
    let failure = work::failure(ctx, name, &outcome).await.to_string();
    ctx.note(failure.clone());
    Ok(Some(failure))
}

/// What became of a batch.
struct Again {
    told: String,
    /// All of it is as it was to be.
    is_whole: bool,
}

/// The power was cut before the packages were on disk: what is there of them may be empty, and all of them are installed
/// once more, each file synced. A file of a script that is cut keeps its package from being unpacked until the package it
/// is of is whole, so there is a second round.
async fn install_again(ctx: &mut StepContext<'_>, told: &mut Vec<String>) -> Result<Again, StepError> {
    let batch = ctx.run().batch.clone().unwrap_or_default();
    let spoiled = ctx.host.batches.spoiled(&ctx.run().id, &batch).await?;
    let count = spoiled.archives.len();
    ctx.note(format!("the power was cut before {count} packages were on disk: they are installed again"));
    let mut is_whole = spoiled.problems.is_empty();
    told.extend(spoiled.problems);
    if let Some(failure) = work_on(ctx, PackageWork::Mend(spoiled.kept), "mend", (0.0, 0.05)).await? {
        is_whole = false;
        told.push(failure);
    }
    if count > 0 {
        let unpack = || PackageWork::Unpack(spoiled.archives.clone());
        if work_on(ctx, unpack(), "unpack", (0.05, 0.3)).await?.is_some() {
            told.extend(work_on(ctx, PackageWork::Configure, "configure-unpacked", (0.3, 0.4)).await?);
            if let Some(failure) = work_on(ctx, unpack(), "unpack-again", (0.4, 0.5)).await? {
                is_whole = false;
                told.push(failure);
            }
        }
    }
    match ctx.host.batches.damaged(&batch).await {
        Ok(damaged) if damaged.is_empty() => {}
        Ok(damaged) => ctx.note(format!("not as packaged: {}", damaged.join(", "))),
        Err(error) => ctx.note(error.to_string()),
    }
    Ok(Again { told: format!("installed {count} packages again, which a power cut had taken"), is_whole })
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
