//! The point of no return: recorded first, then asked for.

use super::{StepContext, StepEnd, StepError, StepResult};
use crate::config::RebootWhen;
use crate::events::EventKind;
use crate::host::HostErrorKind;
use crate::model::Fact;

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let reasons = ctx.run().reboot_reasons.clone();
    if reasons.is_empty() {
        return Ok(StepEnd::Skipped("no reboot is needed".into()));
    }
    if ctx.run().options.no_reboot {
        return Ok(StepEnd::Skipped("--no-reboot was asked for; a reboot is still needed".into()));
    }
    if ctx.settings.reboot.when == RebootWhen::Never {
        return Ok(StepEnd::Skipped("[reboot] when = \"never\"; a reboot is still needed".into()));
    }

    // Before systemd 257 root runs over other people's locks, their dpkg included: we look ourselves.
    let inhibitors = ctx.host.power.inhibitors().await?;
    let foreign: Vec<_> = inhibitors
        .iter()
        .filter(|inhibitor| inhibitor.mode == "block" && inhibitor.what.split(':').any(|what| what == "shutdown"))
        .map(|inhibitor| format!("{} (process {}): {}", inhibitor.who, inhibitor.pid, inhibitor.why))
        .collect();
    if !foreign.is_empty() {
        return Err(StepError::Failed(format!("a shutdown is inhibited by {}", foreign.join("; "))));
    }

    ctx.recorder.record(Fact::RebootRequested { at: ctx.host.clock.now() })?;
    ctx.events.emit(EventKind::RebootRequested { reasons });
    match ctx.host.power.reboot().await {
        // The bus may be gone before logind's answer is here: whether the host goes down, the next boot tells, or the
        // end of the grace period.
        Err(error) if error.kind == HostErrorKind::Unknown => ctx.note(error.to_string()),
        asked => asked?,
    }
    Ok(StepEnd::RebootRequested)
}
