//! The point of no return: recorded first, then asked for.

use jiff::SignedDuration;

use super::stay::reason_to_stay;
use super::{StepContext, StepEnd, StepError, StepResult, held_down, package_locks, restart, trial};
use crate::events::EventKind;
use crate::host::{HostErrorKind, Inhibitor};
use crate::model::{Fact, RestartChoice, Step};

/// How often logind is asked whether it has noticed that our own lock is gone: for ten seconds.
const OWN_LOCK_LOOKS: u32 = 100;
/// The request comes a moment after the watch begins; looking too early would find the time not over.
const WATCH_MARGIN: SignedDuration = SignedDuration::from_secs(3);
const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(100);

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    if let Some(reason) = reason_to_stay(ctx) {
        package_locks::give_up(ctx).await?;
        return Ok(StepEnd::Skipped(reason.into()));
    }
    held_down::record_failed(ctx).await?;
    trial::begin(ctx).await?;
    let reasons = ctx.run().reboot_reasons.clone();
    let choice = restart::choose(ctx).await?;
    request(ctx, reasons, choice).await
}

/// Asks for a restart, once nobody objects; recorded first.
pub(super) async fn request(ctx: &mut StepContext<'_>, reasons: Vec<String>, choice: RestartChoice) -> StepResult {
    // Before systemd 257 root runs over other people's locks, their dpkg included: we look ourselves.
    let locks = shutdown_locks(ctx).await?;
    if !locks.is_empty() {
        let names: Vec<String> = locks.iter().map(Inhibitor::to_string).collect();
        return Err(StepError::Failed(format!("a shutdown is inhibited by {}", names.join("; "))));
    }

    // Once more, since hooks may have been called after the last look: they may work on packages, and so may anybody
    // while they do.
    let step = ctx.run().attempt.as_ref().map_or(Step::Reboot, |attempt| attempt.step.clone());
    package_locks::prove_clean(ctx, step).await?;

    if ctx.abort.is_requested() {
        return Err(StepError::Aborted);
    }
    // Started while services can be: a shutdown that hangs ends this coordinator, and nobody else would look after it.
    let patience = ctx.settings.reboot.force_after.unwrap_or(ctx.settings.reboot.grace);
    if let Err(error) = ctx.host.shutdown.watch(&ctx.run().id, patience + WATCH_MARGIN).await {
        ctx.note(format!("no unit watches whether the reboot comes to its end: {error}"));
    }
    ctx.recorder.record(Fact::RebootRequested { at: ctx.host.clock.now(), restart: choice.clone() })?;
    ctx.events.emit(EventKind::RebootRequested { reasons, restart: choice.clone() });
    if let Some(problem) = restart::let_go(ctx.host, ctx.recorder).await? {
        ctx.note(problem);
    }
    match ctx.host.power.reboot(choice.restart).await {
        // The bus may be gone before logind's answer is here: whether the host goes down, the next boot tells, or the
        // end of the grace period.
        Err(error) if error.kind == HostErrorKind::Unknown => ctx.note(error.to_string()),
        Err(refused) => {
            if let Err(error) = ctx.host.shutdown.unwatch(&ctx.run().id).await {
                ctx.note(error.to_string());
            }
            return Err(refused.into());
        }
        Ok(()) => {}
    }
    Ok(StepEnd::RebootRequested)
}

/// The locks that stand in the way. Our own was given up before this step, but logind only notices the closed
/// descriptor when it has nothing else to do, so a busy one may list it for a while.
async fn shutdown_locks(ctx: &StepContext<'_>) -> Result<Vec<Inhibitor>, StepError> {
    let mut looks = OWN_LOCK_LOOKS;
    loop {
        let mut locks = ctx.host.power.inhibitors().await?;
        locks.retain(Inhibitor::blocks_shutdown);
        looks -= 1;
        if looks == 0 || locks.iter().all(|lock| lock.pid != std::process::id()) {
            return Ok(locks);
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}
