//! Hold one service, stop it, and prove that it is down.

use jiff::{SignedDuration, Timestamp};

use super::{StepContext, StepEnd, StepError, StepResult, companions, stop_mongodb};
use crate::config::ServiceSettings;
use crate::events::EventKind;
use crate::host::{HoldSpec, HostErrorKind};
use crate::model::{Change, Fact, JobResult, LoadState, ServiceKind, StopProof, UnitName, UnitState};

/// Added to the stop timeout of a held MongoDB unit: systemd's SIGKILL must come long after we gave up.
const KILL_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// What a unit left behind may be on its way out.
const LEFTOVERS_PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// Most services are down at once, so the pause between two looks grows with the time waited, between these bounds.
const LOOK_EVERY: (SignedDuration, SignedDuration) =
    (SignedDuration::from_millis(10), SignedDuration::from_millis(250));

/// The pause is this part of the time waited: what a stop seems to take is at most so much more than it took.
const LOOK_SHARE: i32 = 10;

pub(super) async fn perform(ctx: &mut StepContext<'_>, unit: &UnitName) -> StepResult {
    let settings = ctx.settings.service(unit).cloned();
    let settings = settings.ok_or_else(|| StepError::Failed(format!("{unit} is not in the run's settings")))?;
    let before = ctx.host.units.state(unit).await?;
    if before.load != LoadState::Loaded {
        return Err(StepError::Failed(format!("{unit} is {}, not loaded", before.load)));
    }

    // Both are recorded before either is made: a crash in between finds them, and undoing what was not done is harmless.
    ctx.recorder.record(Fact::ChangeIntended(Change::Held(unit.clone())))?;
    if !before.is_down() {
        ctx.recorder.record(Fact::ChangeIntended(Change::Stopped(unit.clone())))?;
    }
    let raised = match settings.kind {
        ServiceKind::Mongodb => Some(settings.stop_timeout + KILL_MARGIN),
        ServiceKind::Service => None,
    };
    ctx.host.units.hold(unit, HoldSpec { stop_timeout: raised }).await?;

    companions::take_down(ctx, &settings).await?;

    let began = ctx.host.clock.now();
    let mut proof = if before.is_down() {
        proof_of(unit, &before, false)
    } else {
        match settings.kind {
            ServiceKind::Service => stop_service(ctx, &settings, began).await?,
            // It has ended already, as in an attempt before this one; its unit remains until it is told to stop.
            ServiceKind::Mongodb if ctx.run().is_hollow(unit, &before) => {
                StopProof { was_running: false, ..stop_service(ctx, &settings, began).await? }
            }
            ServiceKind::Mongodb => stop_mongodb::stop(ctx, &settings, &before).await?,
        }
    };
    proof.took = ctx.host.clock.now().duration_since(began);
    let note = (!proof.was_running).then(|| "was not running".to_owned());
    let took = proof.took;
    ctx.recorder.record(Fact::ServiceStopped(Box::new(proof)))?;
    ctx.events.emit(EventKind::ServiceStopped { unit: unit.clone(), took });
    Ok(StepEnd::Succeeded(note))
}

async fn stop_service(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    began: Timestamp,
) -> Result<StopProof, StepError> {
    stop_unit(ctx, settings, began).await?;
    let state = wait_until_down(ctx, settings, began).await?;
    Ok(proof_of(&settings.unit, &state, true))
}

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
                "{} did not stop within {:#}: {state}",
                settings.unit, settings.stop_timeout
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
        ended_by_signal: false,
        replica_set: None,
        compatibility: None,
        canary: None,
    }
}
