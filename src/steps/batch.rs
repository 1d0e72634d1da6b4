//! Packages that are installed without a sync for each file: from the log, which is made while services run, to the mark,
//! which is taken away behind the sync.

use super::{StepContext, StepError};
use crate::config::Durability;
use crate::model::{BatchPlan, Change, Fact, Outcome, Step, UpgradePlan};

/// Makes the log. Whatever is against it, the upgrade goes on with a sync for each file.
pub(super) async fn prepare(ctx: &mut StepContext<'_>, plan: &UpgradePlan) -> Result<(), StepError> {
    if ctx.settings.upgrade.durability == Durability::File || ctx.run().options.fetch_only {
        return Ok(());
    }
    let prepared = ctx.host.batches.prepare(&ctx.run().id, plan).await;
    let batch = prepared.unwrap_or_else(|error| BatchPlan::unfit(error.to_string()));
    if let Some(why) = &batch.unfit {
        ctx.note(format!("durability is by file in this run: {why}"));
    }
    Ok(ctx.recorder.record(Fact::BatchPrepared(Box::new(batch)))?)
}

/// Sets the mark, if the rest of the upgrade may be lost: what booting needs is on disk, and so is the log.
pub(super) async fn begin(ctx: &mut StepContext<'_>) -> Result<bool, StepError> {
    if ctx.run().unsynced_since().is_some() {
        return Ok(true);
    }
    let came_first = ctx.run().last_record(&Step::UpgradeBase).map(|record| record.outcome);
    let Some(batch) = ctx.run().batch.clone().filter(BatchPlan::is_usable) else { return Ok(false) };
    if !batch.first.is_empty() && came_first != Some(Outcome::Succeeded) {
        return Ok(false);
    }
    if let Err(error) = ctx.host.batches.begin(&ctx.run().id, &batch).await {
        ctx.note(format!("durability is by file in this run: {error}"));
        return Ok(false);
    }
    let boot = ctx.run().boot.clone();
    ctx.recorder.record(Fact::ChangeIntended(Change::Unsynced { boot }))?;
    Ok(true)
}

/// Has all of it written, and takes the mark away; nothing where there is none.
pub(super) async fn end(ctx: &mut StepContext<'_>) -> Result<(), StepError> {
    let Some(boot) = ctx.run().unsynced_since().cloned() else { return Ok(()) };
    let batch = ctx.run().batch.clone().unwrap_or_default();
    ctx.host.batches.sync(&batch).await?;
    Ok(ctx.recorder.record(Fact::ChangeUndone(Change::Unsynced { boot }))?)
}

/// Lets go of the log at the end of a run that needs it no more.
pub(super) async fn forget(ctx: &StepContext<'_>) {
    if ctx.run().batch.is_none() || ctx.run().unsynced_since().is_some() {
        return;
    }
    if let Err(error) = ctx.host.batches.forget(&ctx.run().id).await {
        ctx.note(error.to_string());
    }
}
