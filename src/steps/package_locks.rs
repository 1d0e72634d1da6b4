//! The locks of apt and dpkg, from the end of our own work to the shutdown: somebody's apt that waits for them would begin
//! the moment ours ends, and its dpkg would be killed by the reboot.

use jiff::SignedDuration;

use super::stay::reason_to_stay;
use super::{RecordError, StepContext, StepError, ask_again, locks};
use crate::host::PackageWork;
use crate::model::{Change, Fact, LockHolder, PACKAGE_LOCKS, Step, UnitName, WorkLook};

const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(200);

/// How long somebody else's work is waited for while services are down. Whoever needs longer gets a host with its services
/// back, and the reboot stays owed.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// Takes all of them, and waits until they are ours.
///
/// # Errors
///
/// When somebody else keeps one for too long, or the run is to end.
pub(super) async fn take(ctx: &mut StepContext<'_>, step: Step) -> Result<(), StepError> {
    let unit = queue(ctx).await?;
    let mut wait = locks::Wait::at_most(ctx, step, PATIENCE.min(ctx.settings.upgrade.lock_timeout));
    loop {
        let holders = ctx.host.packages.lock_holders().await?;
        let (ours, others): (Vec<LockHolder>, Vec<LockHolder>) =
            holders.into_iter().partition(|holder| holder.unit.as_ref() == Some(&unit));
        if ours.len() >= PACKAGE_LOCKS.len() {
            return Ok(());
        }
        // Nobody else, and not yet ours: they are on their way. That too has its limit.
        if let Err(error) = wait.go_on(ctx, &others) {
            give_up(ctx).await?;
            return Err(error);
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}

/// Stands in line for them, without waiting.
async fn queue(ctx: &mut StepContext<'_>) -> Result<UnitName, StepError> {
    let unit = ctx.host.package_locks.unit(&ctx.run().id)?;
    if !is_taken(ctx) {
        ctx.recorder.record(Fact::ChangeIntended(Change::PackagesLocked))?;
    }
    ctx.host.package_locks.queue(&ctx.run().id).await?;
    Ok(unit)
}

/// Gives them up; nothing where they were not taken.
pub(super) async fn give_up(ctx: &mut StepContext<'_>) -> Result<(), RecordError> {
    if !is_taken(ctx) {
        return Ok(());
    }
    let run = ctx.run().id.clone();
    match ask_again(ctx, || ctx.host.package_locks.release(&run)).await {
        Ok(()) => ctx.recorder.record(Fact::ChangeUndone(Change::PackagesLocked)),
        Err(error) => {
            ctx.note(format!("{error}; the locks of apt and dpkg are kept for an hour at most"));
            Ok(())
        }
    }
}

fn is_taken(ctx: &StepContext<'_>) -> bool {
    ctx.run().changes.contains(&Change::PackagesLocked)
}

/// Stands in line behind our own last work on packages, while it has the locks: so there is no moment between its end and
/// ours in which they are free.
pub(super) async fn queue_behind(
    ctx: &mut StepContext<'_>,
    work: &PackageWork,
    unit: &UnitName,
) -> Result<(), StepError> {
    let is_upgrade = matches!(work, PackageWork::Upgrade { .. } | PackageWork::InstallFiles(_));
    let is_last = ctx.run().attempt.as_ref().is_some_and(|attempt| {
        let later = ctx.run().steps.iter().skip_while(|step| **step != attempt.step).skip(1);
        attempt.step.nature().may_lock_packages && !later.clone().any(|step| *step == Step::InstallKernel)
    });
    if !is_upgrade || !is_last || is_taken(ctx) || !ctx.may_reboot() {
        return Ok(());
    }
    let holders = ctx.host.packages.lock_holders().await.unwrap_or_default();
    let has_them = holders.iter().any(|holder| holder.lock == PACKAGE_LOCKS[0] && holder.unit.as_ref() == Some(unit));
    if has_them && ctx.host.work.look(unit).await == WorkLook::Running {
        queue(ctx).await?;
    }
    Ok(())
}

/// The last look before the request: nobody has worked on packages since, or has come to a good end.
pub(super) async fn prove_clean(ctx: &mut StepContext<'_>, step: Step) -> Result<(), StepError> {
    take(ctx, step).await?;
    refuse_unclean(ctx).await
}

pub(super) async fn refuse_unclean(ctx: &StepContext<'_>) -> Result<(), StepError> {
    let state = ctx.host.packages.state().await?;
    if state.is_clean() {
        return Ok(());
    }
    let interrupted = if state.interrupted { " (dpkg was interrupted)" } else { "" };
    Err(StepError::Failed(format!("dpkg is not clean: {}{interrupted}", state.broken.join(", "))))
}

/// Without a reboot they are nobody's to keep.
pub(super) async fn keep_for_reboot_only(ctx: &mut StepContext<'_>) -> Result<(), RecordError> {
    if reason_to_stay(ctx).is_some() { give_up(ctx).await } else { Ok(()) }
}
