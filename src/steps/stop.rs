//! Hold one service, stop it, and prove that it is down.

use jiff::{SignedDuration, Timestamp};

use super::stop_unit::{proof_of, stop_unit, wait_until_down};
use super::{StepContext, StepEnd, StepError, StepResult, companions, end_proof, stop_mongodb};
use crate::config::ServiceSettings;
use crate::events::EventKind;
use crate::host::HoldSpec;
use crate::model::{Change, Fact, LoadState, ServiceKind, StopProof, UnitName};

/// Added to the stop timeout of a held database's unit: systemd's SIGKILL must come long after we gave up.
const KILL_MARGIN: SignedDuration = SignedDuration::from_hours(1);

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
        ServiceKind::Service if settings.stop_proof.is_none() => None,
        ServiceKind::Mongodb | ServiceKind::Service => Some(settings.stop_timeout + KILL_MARGIN),
    };
    ctx.host.units.hold(unit, HoldSpec { stop_timeout: raised }).await?;

    companions::take_down(ctx, &settings).await?;

    let expected = end_proof::expect(ctx, &settings, &before).await?;

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
    if let Some(expected) = &expected {
        let after = ctx.host.units.state(unit).await?;
        proof.end_evidence = end_proof::take(ctx, &settings, expected, (&before, &after)).await?;
    }
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
