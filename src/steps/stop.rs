//! Hold services, stop them, and prove that each is down.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::stop_unit::{proof_of, stop_unit, wait_until_down};
use super::{StepContext, StepEnd, StepError, StepResult, companions, end_proof, stop_mongodb};
use crate::config::ServiceSettings;
use crate::events::EventKind;
use crate::host::UnitHold;
use crate::model::{Change, ExpectedProof, Fact, LoadState, ServiceKind, StopProof, UnitName, UnitState, Wave};

/// Added to the stop timeout of a held database's unit: systemd's SIGKILL must come long after we gave up.
const KILL_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// A service that is about to be stopped.
struct Stopping {
    settings: ServiceSettings,
    before: UnitState,
    /// Where its proof will be; none if none is wanted.
    expected: Option<ExpectedProof>,
}

pub(super) async fn perform(ctx: &mut StepContext<'_>, wave: &Wave) -> StepResult {
    let mut stopping = Vec::new();
    for unit in wave.units() {
        let settings = ctx.settings.service(unit).cloned();
        let settings = settings.ok_or_else(|| StepError::Failed(format!("{unit} is not in the run's settings")))?;
        let before = ctx.host.units.state(unit).await?;
        if before.load != LoadState::Loaded {
            return Err(StepError::Failed(format!("{unit} is {}, not loaded", before.load)));
        }
        stopping.push(Stopping { settings, before, expected: None });
    }

    // Both are recorded before either is made: a crash in between finds them, and undoing what was not done is harmless.
    for one in &stopping {
        ctx.recorder.record(Fact::ChangeIntended(Change::Held(one.settings.unit.clone())))?;
        if !one.before.is_down() {
            ctx.recorder.record(Fact::ChangeIntended(Change::Stopped(one.settings.unit.clone())))?;
        }
    }
    let holds: Vec<UnitHold> = stopping.iter().map(|one| hold(&one.settings)).collect();
    ctx.host.units.hold(&holds).await?;

    for one in &mut stopping {
        companions::take_down(ctx, &one.settings).await?;
        one.expected = end_proof::expect(ctx, &one.settings, &one.before).await?;
    }

    let ended = join_all(stopping.iter().map(|one| stop(ctx, one))).await;
    let mut idle = Vec::new();
    let mut failed: Option<StepError> = None;
    for (one, ended) in stopping.iter().zip(ended) {
        let unit = &one.settings.unit;
        match ended {
            Ok(proof) => {
                if !proof.was_running {
                    idle.push(unit);
                }
                let took = proof.took;
                ctx.recorder.record(Fact::ServiceStopped(Box::new(proof)))?;
                ctx.events.emit(EventKind::ServiceStopped { unit: unit.clone(), took });
            }
            Err(error) => failed = Some(failed.map_or(error.clone(), |first| first.and(error))),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    Ok(StepEnd::Succeeded(told_of_idle(&idle, wave)))
}

/// What the step says of services that were down already.
fn told_of_idle(idle: &[&UnitName], wave: &Wave) -> Option<String> {
    match idle {
        [] => None,
        idle if idle.len() == wave.units().len() => Some("was not running".into()),
        idle => Some(format!("not running: {}", idle.iter().map(|unit| unit.as_str()).collect::<Vec<_>>().join(", "))),
    }
}

fn hold(service: &ServiceSettings) -> UnitHold {
    let stop_timeout = match service.kind {
        ServiceKind::Service if service.stop_proof.is_none() => None,
        ServiceKind::Mongodb | ServiceKind::Service => Some(service.stop_timeout + KILL_MARGIN),
    };
    UnitHold { unit: service.unit.clone(), stop_timeout }
}

/// Stops one that is held, and proves that it is down.
async fn stop(ctx: &StepContext<'_>, stopping: &Stopping) -> Result<StopProof, StepError> {
    let Stopping { settings, before, expected } = stopping;
    let unit = &settings.unit;
    let began = ctx.host.clock.now();
    let mut proof = if before.is_down() {
        proof_of(unit, before, false)
    } else {
        match settings.kind {
            ServiceKind::Service => stop_service(ctx, settings, began).await?,
            // It has ended already, as in an attempt before this one; its unit remains until it is told to stop.
            ServiceKind::Mongodb if ctx.run().is_hollow(unit, before) => {
                StopProof { was_running: false, ..stop_service(ctx, settings, began).await? }
            }
            ServiceKind::Mongodb => stop_mongodb::stop(ctx, settings, before).await?,
        }
    };
    if let Some(expected) = expected {
        let after = ctx.host.units.state(unit).await?;
        proof.end_evidence = end_proof::take(ctx, settings, expected, (before, &after)).await?;
    }
    proof.took = ctx.host.clock.now().duration_since(began);
    Ok(proof)
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
