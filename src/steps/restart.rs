//! Which restart a run asks for: the least that is allowed and pays what is owed.

use super::{RecordError, Recorder, StepContext, owed};
use crate::config::Settings;
use crate::host::Host;
use crate::model::{
    BootReason, Change, Fact, KernelFacts, KernelsSeen, KexecHindrance, Restart, RestartChoice, RestartInputs,
    SoftHindrance, UpgradePlan, least_restart, next_kernel, next_kernel_after,
};

/// Right before it is asked for: what is owed is known by now. For a reboot by kexec its kernel is loaded, and where that
/// fails, the choice is a full one.
pub(super) async fn choose(ctx: &mut StepContext<'_>) -> Result<RestartChoice, RecordError> {
    let least = ctx.settings.reboot.least;
    if least.is_full() {
        return Ok(RestartChoice::default());
    }
    let tried = ctx.settings.tries_kernels();
    let run = ctx.run();
    let no_soft = match run.soft_reboots_of_boot {
        Some(_) => ctx.host.shutdown.hinders_soft_reboot().await,
        // By a higher count than this one it is known afterwards.
        None => Some(SoftHindrance::NotCounted),
    };
    let facts = ctx.host.kernels.facts().await.map_err(|error| error.to_string());
    let owed = facts.as_ref().map(|facts| owed::of_boot(facts, &run.owed, tried)).unwrap_or_default();
    let next = facts.as_ref().map(|facts| next_kernel(facts, tried)).unwrap_or_default();
    let seen = facts.as_ref().map(|facts| KernelsSeen { owed: &owed, running: &facts.running, next: &next });
    let choice = least_restart(&RestartInputs {
        least,
        seen: seen.map_err(String::as_str),
        upgrade: &run.upgrade.clone().unwrap_or_default(),
        tries_kernel: run.one_shot_boot().is_some(),
        builds_kernel: false,
        no_soft: no_soft.as_ref(),
        no_kexec: ctx.host.kexec.hindrance().await.as_ref(),
    });
    let choice = if choice.restart == Restart::Kexec {
        ctx.recorder.record(Fact::ChangeIntended(Change::KernelLoaded))?;
        match ctx.host.kexec.load(&next.expected).await {
            Ok(()) => return Ok(choice),
            Err(error) => choice.without_kexec(KexecHindrance::NotLoaded(error.to_string())),
        }
    } else {
        choice
    };
    unload(ctx).await?;
    Ok(choice)
}

/// Where no reboot by kexec follows, or none has come: nobody else's reboot is to start what the run has loaded. A failure
/// is told, and the change stays on record.
pub(super) async fn unload(ctx: &mut StepContext<'_>) -> Result<(), RecordError> {
    if !ctx.run().has_loaded_kernel() {
        return Ok(());
    }
    match ctx.host.kexec.unload().await {
        Ok(()) => ctx.recorder.record(Fact::ChangeUndone(Change::KernelLoaded)),
        Err(error) => {
            ctx.note(error.to_string());
            Ok(())
        }
    }
}

/// Which one it will be, as far as that is known before the upgrade. `due` is what would owe it.
pub async fn expected_restart(
    host: &Host,
    settings: &Settings,
    facts: &KernelFacts,
    due: &[BootReason],
    upgrade: &UpgradePlan,
    builds_kernel: bool,
) -> RestartChoice {
    let least = settings.reboot.least;
    if least.is_full() {
        return RestartChoice::default();
    }
    let no_soft = host.shutdown.hinders_soft_reboot().await;
    let tried = settings.tries_kernels();
    let next = next_kernel_after(facts, upgrade, tried);
    least_restart(&RestartInputs {
        least,
        seen: Ok(KernelsSeen { owed: due, running: &facts.running, next: &next }),
        upgrade,
        tries_kernel: tried && next.managed_here && next.expected != facts.running,
        builds_kernel,
        no_soft: no_soft.as_ref(),
        no_kexec: host.kexec.hindrance().await.as_ref(),
    })
}

/// Before a soft reboot, which leaves `/run` as it is: what is held is to start behind it. Returns why that could not be
/// seen to: then the services are brought back behind it as after a run without a reboot.
///
/// # Errors
///
/// When it cannot be recorded.
pub async fn let_go(host: &Host, recorder: &mut dyn Recorder) -> Result<Option<String>, RecordError> {
    let run = recorder.run();
    if run.awaits() != Some(Restart::Soft) || run.holds_let_go {
        return Ok(None);
    }
    if let Err(error) = host.units.let_go(&run.held_units()).await {
        return Ok(Some(error.to_string()));
    }
    recorder.record(Fact::HoldsLetGo).map(|()| None)
}
