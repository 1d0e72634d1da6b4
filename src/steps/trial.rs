//! A new kernel is tried before it is trusted: `[verify] on-failure = "previous-kernel"`.

use super::{StepContext, StepError};
use crate::config::OnFailure;
use crate::model::{Change, Fact, Finding, FindingKey, OneShotBoot, Severity, TrialEnd, Verdict};

/// Before the reboot: has the boot loader start the new kernel once, where it is another one than ran before.
pub(super) async fn begin(ctx: &mut StepContext<'_>) -> Result<(), StepError> {
    let run = ctx.run();
    if ctx.settings.verify.on_failure != OnFailure::PreviousKernel {
        return Ok(());
    }
    let expected = run.kernel.as_ref().filter(|kernel| kernel.managed_here);
    let before = run.baseline.as_ref().map(|baseline| baseline.kernel.running.clone());
    let (Some(kernel), Some(fallback)) = (expected.map(|kernel| kernel.expected.clone()), before) else {
        return Ok(());
    };
    if kernel == fallback {
        return Ok(());
    }
    let trial = match run.one_shot_boot() {
        Some(trial) => trial.clone(),
        None => {
            let trial = ctx.host.boot_loader.one_shot(&kernel, &fallback).await?;
            ctx.recorder.record(Fact::ChangeIntended(Change::OneShotBoot(trial.clone())))?;
            trial
        }
    };
    ctx.host.boot_loader.begin_trial(&trial).await?;
    ctx.note(format!("kernel {kernel} is tried once; {fallback} stays the default until the verification"));
    Ok(())
}

/// After a verdict: makes the kernel that passed the default, and leaves the other one to be so where it did not.
/// None if nothing is on trial, or where the trial goes on, into the kernel before.
pub(super) async fn judge(ctx: &StepContext<'_>, kernel: &str, verdict: Verdict) -> Option<Result<(), Finding>> {
    let trial = ctx.run().one_shot_boot()?;
    let end = match verdict {
        _ if kernel != trial.kernel => TrialEnd::Dropped,
        Verdict::Healthy | Verdict::Degraded => TrialEnd::Kept,
        Verdict::Failed => return None,
    };
    let ended = ctx.host.boot_loader.end_trial(trial, end).await;
    Some(ended.map_err(|error| not_ended(trial, end, &error.to_string())))
}

fn not_ended(trial: &OneShotBoot, end: TrialEnd, error: &str) -> Finding {
    let entry = if end == TrialEnd::Kept { &trial.kernel_entry } else { &trial.fallback_entry };
    let title = format!("the trial of kernel {} could not be ended", trial.kernel);
    let finding = Finding::new(FindingKey::KernelTrial, Severity::Warning, title).about("boot loader").evidence(error);
    finding.remedy("choose the entry that every boot takes", format!("grub-set-default '{entry}'"))
}

/// At the end of a run whose reboot did not come: what was the default is so again. After a boot the default stays the
/// kernel that is known to work.
pub(super) async fn take_back(ctx: &mut StepContext<'_>) -> Result<(), StepError> {
    let Some(trial) = ctx.run().one_shot_boot().cloned() else { return Ok(()) };
    let end = if ctx.run().rebooted.is_some() { TrialEnd::Dropped } else { TrialEnd::TakenBack };
    match ctx.host.boot_loader.end_trial(&trial, end).await {
        Ok(()) => ctx.recorder.record(Fact::ChangeUndone(Change::OneShotBoot(trial)))?,
        Err(error) => ctx.note(error.to_string()),
    }
    Ok(())
}
