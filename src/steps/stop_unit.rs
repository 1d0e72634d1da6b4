//! Stop one unit by its job, and see that it is down.

use jiff::{SignedDuration, Timestamp};

use super::{StepContext, StepError};
use crate::config::ServiceSettings;
use crate::host::HostErrorKind;
use crate::model::spoken::exactly;
use crate::model::{JobResult, StopProof, UnitName, UnitState};

/// What a unit left behind may be on its way out.
const LEFTOVERS_PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// Most services are down at once, so the pause between two looks grows with the time waited, between these bounds.
const LOOK_EVERY: (SignedDuration, SignedDuration) =
    (SignedDuration::from_millis(10), SignedDuration::from_millis(250));

/// The pause is this part of the time waited: what a stop seems to take is at most so much more than it took.
const LOOK_SHARE: i32 = 10;

/// Orders the stop and waits for the job. A job that outlives the timeout is the caller's to judge.
pub(super) async fn stop_unit(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    began: Timestamp,
) -> Result<(), StepError> {
    let left = remaining(ctx, settings, began);
    match ctx.host.units.stop(&settings.unit, left).await {
        Ok(JobResult::Done) => Ok(()),
        Ok(result) => Err(StepError::Failed(format!("{}: systemd's stop job ended {result}", settings.unit))),
        // Whether the unit is down is looked at next; the job alone proves nothing.
        Err(error) if error.kind == HostErrorKind::Unknown => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Looks until the unit is down and has no process left, at most until its stop timeout is over. Processes that outlive
/// the unit itself are nobody's to stop (`KillMode=process` in systemd.kill(5)): they get [`LEFTOVERS_PATIENCE`].
pub(super) async fn wait_until_down(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    began: Timestamp,
) -> Result<UnitState, StepError> {
    let mut inactive_since = None;
    loop {
        let look = ctx.host.units.state(&settings.unit).await;
        if let Ok(state) = &look
            && state.is_down()
        {
            return Ok(state.clone());
        }
        let now = ctx.host.clock.now();
        if look.as_ref().is_ok_and(UnitState::is_inactive) {
            let since = *inactive_since.get_or_insert(now);
            if now.duration_since(since) >= LEFTOVERS_PATIENCE {
                return Err(StepError::Failed(leftovers(ctx, &settings.unit).await));
            }
        } else {
            inactive_since = None;
        }
        if remaining(ctx, settings, began).is_zero() {
            let state = match look {
                Ok(state) => format!("it is {} ({}), {} processes left", state.active, state.sub, state.processes),
                Err(error) => format!("its state is unknown: {error}"),
            };
            return Err(StepError::Failed(format!(
                "{} did not stop within {}: {state}",
                settings.unit,
                exactly(settings.stop_timeout)
            )));
        }
        let pause = now.duration_since(began) / LOOK_SHARE;
        ctx.host.clock.sleep(pause.clamp(LOOK_EVERY.0, LOOK_EVERY.1)).await;
    }
}

/// Names what the unit left behind, and how to end it.
async fn leftovers(ctx: &StepContext<'_>, unit: &UnitName) -> String {
    const NAMED: usize = 5;
    let processes = ctx.host.units.processes(unit).await.unwrap_or_default();
    let mut names: Vec<String> =
        processes.iter().take(NAMED).map(|process| format!("{} ({})", process.name, process.pid)).collect();
    if processes.len() > NAMED {
        names.push(format!("{} more", processes.len() - NAMED));
    }
    format!(
        "{unit} stopped, but left processes behind: {}; end them with `systemctl kill {unit}`, and see KillMode= of the \
         unit",
        names.join(", ")
    )
}

pub(super) fn remaining(ctx: &StepContext<'_>, settings: &ServiceSettings, began: Timestamp) -> SignedDuration {
    let waited = ctx.host.clock.now().duration_since(began);
    (settings.stop_timeout - waited).max(SignedDuration::ZERO)
}

pub(super) fn proof_of(unit: &UnitName, state: &UnitState, was_running: bool) -> StopProof {
    StopProof {
        unit: unit.clone(),
        was_running,
        result: state.result.clone(),
        exit_status: state.exit_status,
        restarts: state.restarts,
        processes_left: state.processes,
        took: SignedDuration::ZERO,
        drained: None,
        shutdown: None,
        clients_left: Vec::new(),
        database: None,
        database_evidence: None,
        end_evidence: None,
        ended_by_signal: false,
        replica_set: None,
        compatibility: None,
        canary: None,
    }
}
