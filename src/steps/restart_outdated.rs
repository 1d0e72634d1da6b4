//! Restart what runs replaced files, where that is safe: `[reboot] restart-outdated`.

use jiff::SignedDuration;

use super::{RecordError, StepContext};
use crate::model::{Fact, JobResult, Recovery};
use crate::verify::old_code;

/// How long one restart may take: systemd's own time to stop and to start, and a little.
const PATIENCE: SignedDuration = SignedDuration::from_secs(200);
/// How long all of them may take; what is left then is owed to a boot.
const ALL_PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// Restarts, once each and in order, what runs old code and can be restarted safely: for a run that does not reboot. Each is
/// recorded before it is made.
///
/// # Errors
///
/// When a restart cannot be recorded; it is not made then.
pub(super) async fn restart(ctx: &mut StepContext<'_>) -> Result<(), RecordError> {
    if !ctx.settings.reboot.restart_outdated {
        return Ok(());
    }
    let began = ctx.host.clock.now();
    let seen = match old_code::look(ctx.host, ctx.settings, &ctx.run().restarts).await {
        Ok(seen) => seen,
        Err(error) => {
            ctx.note(error.to_string());
            return Ok(());
        }
    };
    for unit in seen.restartable {
        if ctx.host.clock.now().duration_since(began) > ALL_PATIENCE {
            ctx.note(format!("{unit} runs replaced files; there was no time left to restart it"));
            continue;
        }
        ctx.recorder.record(Fact::RestartIntended(Recovery { unit: unit.clone(), at: ctx.host.clock.now() }))?;
        let told = match ctx.host.units.restart(&unit, PATIENCE).await {
            Ok(JobResult::Done) => format!("{unit} ran replaced files and was restarted"),
            Ok(result) => format!("{unit} ran replaced files; its restart ended {result}"),
            Err(error) => format!("{unit} ran replaced files: {error}"),
        };
        ctx.note(told);
    }
    Ok(())
}
