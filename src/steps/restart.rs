//! Which restart a run asks for: the least that is allowed and pays what is owed.

use super::{RecordError, Recorder, StepContext, owed};
use crate::config::Settings;
use crate::host::Host;
use crate::model::{
    BootReason, Fact, KernelFacts, KernelsSeen, Restart, RestartChoice, RestartInputs, SoftHindrance, UpgradePlan,
    least_restart, next_kernel, next_kernel_after,
};

/// Right before it is asked for: what is owed is known by now.
pub(super) async fn choose(ctx: &StepContext<'_>) -> RestartChoice {
    let least = ctx.settings.reboot.least;
    if least.is_full() {
        return RestartChoice::default();
    }
    let tried = ctx.settings.tries_kernels();
    let run = ctx.run();
    let hindrance = match run.soft_reboots_of_boot {
        Some(_) => ctx.host.shutdown.hinders_soft_reboot().await,
        // By a higher count than this one it is known afterwards.
        None => Some(SoftHindrance::NotCounted),
    };
    let facts = ctx.host.kernels.facts().await.map_err(|error| error.to_string());
    let owed = facts.as_ref().map(|facts| owed::of_boot(facts, &run.owed, tried)).unwrap_or_default();
    let next = facts.as_ref().map(|facts| next_kernel(facts, tried)).unwrap_or_default();
    let seen = facts.as_ref().map(|facts| KernelsSeen { owed: &owed, running: &facts.running, next: &next });
    least_restart(&RestartInputs {
        least,
        seen: seen.map_err(String::as_str),
        upgrade: &run.upgrade.clone().unwrap_or_default(),
        tries_kernel: run.one_shot_boot().is_some(),
        builds_kernel: false,
        hindrance: hindrance.as_ref(),
    })
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
    let hindrance = host.shutdown.hinders_soft_reboot().await;
    let next = next_kernel_after(facts, upgrade, settings.tries_kernels());
    least_restart(&RestartInputs {
        least,
        seen: Ok(KernelsSeen { owed: due, running: &facts.running, next: &next }),
        upgrade,
        tries_kernel: false,
        builds_kernel,
        hindrance: hindrance.as_ref(),
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
