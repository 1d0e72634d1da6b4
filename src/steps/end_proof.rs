//! Prove that a server other than MongoDB has ended cleanly: where its proof will be is found and recorded before the stop,
//! and the proof is taken when its unit is down.

use super::{StepContext, StepError};
use crate::checks::goes_without_proof;
use crate::config::ServiceSettings;
use crate::model::{EndEvidence, ExpectedProof, Fact, UnitState};

/// Where the proof will be; none if none is wanted, or where the service was down before anybody stopped it.
pub(super) async fn expect(
    ctx: &mut StepContext<'_>,
    settings: &ServiceSettings,
    before: &UnitState,
) -> Result<Option<ExpectedProof>, StepError> {
    let Some(wanted) = &settings.stop_proof else { return Ok(None) };
    let unit = &settings.unit;
    // Told to end already, as by an attempt before this one, it may show less by now.
    let known = ctx.run().expected_proof(unit);
    if let Some(known) = known.filter(|known| before.is_down() || known.invocation == before.invocation) {
        return Ok(Some(known.clone()));
    }
    if before.is_down() {
        return Ok(None);
    }
    match ctx.host.end_proofs.find(unit, wanted).await {
        Ok(source) => {
            let expected = ExpectedProof { unit: unit.clone(), invocation: before.invocation.clone(), source };
            ctx.recorder.record(Fact::ProofExpected(Box::new(expected.clone())))?;
            Ok(Some(expected))
        }
        Err(error) if goes_without_proof(ctx.settings, &ctx.run().options) => {
            ctx.note(format!("{unit}: nothing will prove that it ended cleanly: {error}"));
            Ok(None)
        }
        Err(error) => Err(StepError::Failed(format!("nothing would prove that {unit} ended cleanly: {error}"))),
    }
}

/// Takes the proof of a service that is down.
pub(super) async fn take(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    expected: &ExpectedProof,
    (before, after): (&UnitState, &UnitState),
) -> Result<Option<EndEvidence>, StepError> {
    let Some(wanted) = &settings.stop_proof else { return Ok(None) };
    let unit = &settings.unit;
    if after.restarts > before.restarts {
        return Err(StepError::Failed(format!("{unit} did not end cleanly: systemd has started it again meanwhile")));
    }
    let taken = ctx.host.end_proofs.take(wanted, &expected.source, settings.stop_timeout).await;
    let evidence =
        taken.map_err(|error| StepError::Failed(format!("nothing proves that {unit} ended cleanly: {error}")))?;
    if let Some(why) = evidence.objection() {
        return Err(StepError::Failed(format!("{unit} did not end cleanly: {why}")));
    }
    if let Some(reservation) = evidence.reservation() {
        ctx.note(format!("{unit}: {reservation}"));
    }
    let result = after.result.as_deref().unwrap_or("unknown");
    if result != "success" {
        ctx.note(format!("{unit}: it ended cleanly, and the unit has failed (result {result})"));
    }
    Ok(Some(evidence))
}
