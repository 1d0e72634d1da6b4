//! Monitoring is told to be quiet before services go down, and to speak again at the end of every run.

use jiff::SignedDuration;

use super::hook::{Call, call};
use super::{StepContext, StepEnd, StepError, StepResult};
use crate::model::{Change, Fact, HookPolicy, Outcome, Step};

/// After a boot the network may come late: the pauses before each try.
const PAUSES: [SignedDuration; 3] =
    [SignedDuration::ZERO, SignedDuration::from_secs(20), SignedDuration::from_secs(40)];
/// Where the settings do not tell.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(30);

/// Recorded before it is made: from then on its end is due, whatever becomes of the run.
pub(super) async fn begin(ctx: &mut StepContext<'_>) -> StepResult {
    let silence = ctx.settings.silence.clone();
    let silence = silence.ok_or_else(|| StepError::Failed("[silence] is not in the run's settings".into()))?;
    let ended = ctx.run().last_call(&Step::Silence).and_then(|call| call.end.clone());
    let ended = match ended {
        Some(ended) => ended,
        None => {
            ctx.recorder.record(Fact::ChangeIntended(Change::Silenced { end: silence.end }))?;
            call(ctx, &wanted("silence", "begin-silence", &silence.begin, (silence.timeout, silence.sandbox))).await?
        }
    };
    if ended.outcome == Outcome::Succeeded {
        return Ok(StepEnd::Succeeded(None));
    }
    let why = ended.why.unwrap_or_default();
    Ok(StepEnd::Succeeded(Some(format!("{why}; the run goes on, and alarms may be raised"))))
}

fn wanted<'a>(
    name: &'a str,
    point: &'a str,
    command: &'a [String],
    (timeout, sandbox): (SignedDuration, bool),
) -> Call<'a> {
    Call { name, point, command, timeout, policy: HookPolicy::Warn, sandbox }
}

/// Tried again where it fails: it may be called more than once, and must bear that.
pub(super) async fn end(ctx: &mut StepContext<'_>) -> StepResult {
    let change = ctx.run().changes.iter().find(|change| matches!(change, Change::Silenced { .. })).cloned();
    let Some(Change::Silenced { end: command }) = change else {
        return Ok(StepEnd::Skipped("monitoring is not silenced".into()));
    };
    let silence = ctx.settings.silence.as_ref();
    let limits = silence.map_or((TIMEOUT, false), |silence| (silence.timeout, silence.sandbox));
    let mut why = String::new();
    for pause in PAUSES {
        ctx.host.clock.sleep(pause).await;
        // A call that a crash left open is the one to be found again.
        let calls = ctx.run().hooks.iter().filter(|made| made.step == Step::EndSilence && made.end.is_some()).count();
        let name = format!("end-silence-{}", calls + 1);
        let ended = call(ctx, &wanted(&name, "end-silence", &command, limits)).await?;
        if ended.outcome == Outcome::Succeeded {
            ctx.recorder.record(Fact::ChangeUndone(Change::Silenced { end: command }))?;
            return Ok(StepEnd::Succeeded(None));
        }
        why = ended.why.unwrap_or_default();
    }
    Err(StepError::Failed(format!("monitoring is still silenced: {}: {why}", command.join(" "))))
}
