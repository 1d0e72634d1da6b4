//! Timers of other patch tools: paused before services go down, started again when the run is over.

use jiff::SignedDuration;

use super::{StepContext, StepError, ask_again};
use crate::checks::RIVALS;
use crate::model::{ActiveState, Change, Fact, JobResult, LoadState, UnitName};

/// A timer has no process: systemd starts and stops it at once, or is busy itself.
const JOB_TIMEOUT: SignedDuration = SignedDuration::from_secs(30);

/// Pauses every timer that would start another patch tool in the middle of the run. What cannot be paused is told: it
/// costs a wait for apt's locks, and no more. A tool that is at work already is left alone.
pub(super) async fn pause(ctx: &mut StepContext<'_>) -> Result<(), StepError> {
    let timers = RIVALS.iter().filter_map(|(unit, _)| unit.ends_with(".timer").then(|| unit.parse().ok()).flatten());
    let mut paused: Vec<UnitName> = Vec::new();
    for timer in timers {
        let state = match ctx.host.units.state(&timer).await {
            Ok(state) => state,
            Err(error) => {
                ctx.note(format!("{timer} is not paused: {error}"));
                continue;
            }
        };
        if state.load != LoadState::Loaded || state.active != ActiveState::Active {
            continue;
        }
        ctx.recorder.record(Fact::ChangeIntended(Change::Paused(timer.clone())))?;
        match ctx.host.units.stop(&timer, JOB_TIMEOUT).await {
            Ok(JobResult::Done) => paused.push(timer),
            Ok(result) => ctx.note(format!("{timer} is not paused: systemd's stop job ended {result}")),
            Err(error) => ctx.note(format!("{timer} is not paused: {error}")),
        }
    }
    if !paused.is_empty() {
        let names: Vec<&str> = paused.iter().map(UnitName::as_str).collect();
        ctx.note(format!("paused until the run is over: {}", names.join(", ")));
    }
    Ok(())
}

/// Starts what the run paused, and nothing else. Returns what is still paused, and why; it stays on record.
pub(super) async fn go_on(ctx: &mut StepContext<'_>) -> Result<Vec<String>, StepError> {
    let is_paused = |change: &Change| if let Change::Paused(timer) = change { Some(timer.clone()) } else { None };
    let paused: Vec<UnitName> = ctx.run().changes.iter().filter_map(is_paused).collect();
    let mut problems = Vec::new();
    for timer in paused {
        let why = match ask_again(ctx, || ctx.host.units.start(&timer, JOB_TIMEOUT)).await {
            Ok(JobResult::Done) => {
                ctx.recorder.record(Fact::ChangeUndone(Change::Paused(timer)))?;
                continue;
            }
            Ok(result) => format!("systemd's start job ended {result}"),
            Err(error) => error.to_string(),
        };
        problems.push(format!("{timer} is still paused: {why}"));
    }
    Ok(problems)
}
