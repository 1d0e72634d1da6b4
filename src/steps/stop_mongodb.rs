//! Shut a mongod down through its own command, as its role wants it, and prove that it ended cleanly.

use jiff::{SignedDuration, Timestamp};

use super::clean_end::{self, End};
use super::stop_unit::{proof_of, remaining, stop_unit, wait_until_down};
use super::{StepContext, StepError, drain, replica_set, server_gone};
use crate::checks::{server_of, trusts_unclear_process};
use crate::config::ServiceSettings;
use crate::host::{HostErrorKind, ShutdownSpec};
use crate::model::{DatabaseAccess, ServerProcess, StopProof, UnitState};

/// How long a member tells its clients to go elsewhere: MongoDB's own default. Without clients there is nobody to tell.
const QUIESCE: SignedDuration = SignedDuration::from_secs(15);
const QUIESCE_ALONE: SignedDuration = SignedDuration::from_secs(1);

pub(super) async fn stop(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    before: &UnitState,
) -> Result<StopProof, StepError> {
    let unit = &settings.unit;
    let Some(access) = &settings.database else {
        return Err(StepError::Failed(format!("{unit} has no connection string")));
    };
    // It may be silent for as long as its stop may take: it has work to end. What only adds to the report is not worth it.
    let (access, briefly) = (&access.patient(settings.stop_timeout), access);
    let facts = ctx.host.database.facts(access).await?;
    let (process, facts) = server_of(ctx.host, settings, facts).await?;
    match &process {
        ServerProcess::Another(why) => return Err(StepError::Failed(why.clone())),
        ServerProcess::Unclear(why) if !trusts_unclear_process(ctx.settings, &ctx.run().options) => {
            return Err(StepError::Failed(format!("cannot tell which process is the database: {why}")));
        }
        _ => {}
    }
    let part = replica_set::until_dispensable(ctx, settings, access, &facts).await?;
    let draining = ctx.host.clock.now();
    let clients_left = drain::drain(ctx, settings, access, &facts).await?;
    let drained = ctx.host.clock.now().duration_since(draining);
    let condition = ctx.host.insight.condition(briefly).await.unwrap_or_default();
    let canary = match &settings.mongodb.canary {
        // Now nobody writes any more: what it holds must be there after the boot.
        Some(collection) => Some(ctx.host.insight.canary(access, collection).await?),
        None => None,
    };
    if part.is_replaceable_primary() {
        replica_set::step_down(ctx, settings, access).await?;
    }

    let began = ctx.host.clock.now();
    let quiesce = if clients_left.is_empty() { QUIESCE_ALONE } else { QUIESCE };
    let ended_by_signal = order(ctx, settings, access, (began, quiesce, part.leaves_as_a_whole())).await?;
    // With patience, a server that is gone would be asked for as long as it may take to end.
    server_gone::wait(ctx, settings, briefly, (&facts, process.pid()), began).await?;
    // Settles what Restart= may have queued, and ends a unit that stays active without its server.
    stop_unit(ctx, settings, began).await?;
    let state = wait_until_down(ctx, settings, began).await?;
    let shutdown = ctx.host.clock.now().duration_since(began);

    let evidence = ctx.host.forensics.stop_evidence(&facts).await;
    match clean_end::judge(&End { process: &process, before, after: &state, evidence: &evidence }) {
        Ok(notes) => notes.into_iter().for_each(|note| ctx.note(format!("{unit}: {note}"))),
        Err(why) => return Err(StepError::Failed(format!("{unit} did not end cleanly: {why}"))),
    }
    let mut proof = proof_of(unit, &state, true);
    proof.drained = Some(drained);
    proof.shutdown = Some(shutdown);
    proof.clients_left = clients_left;
    proof.ended_by_signal = ended_by_signal;
    proof.replica_set = part.set;
    proof.compatibility = condition.compatibility;
    proof.canary = canary;
    proof.database = Some(facts);
    proof.database_evidence = Some(evidence);
    Ok(proof)
}

/// Tells the server to go down; where it says no, its unit sends SIGTERM, to which mongod does the same and never says
/// no. The hold has raised the unit's stop timeout: SIGKILL does not follow. Returns whether it came to that.
async fn order(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    access: &DatabaseAccess,
    (began, quiesce, force): (Timestamp, SignedDuration, bool),
) -> Result<bool, StepError> {
    let patience = remaining(ctx, settings, began);
    match ctx.host.database.shutdown(access, ShutdownSpec { quiesce, force, patience }).await {
        Ok(()) => Ok(false),
        // No answer is not a no: whether it went down is looked at next.
        Err(error) if error.kind == HostErrorKind::Unknown => {
            ctx.note(format!("{error}; waiting for {} to end", settings.unit));
            Ok(false)
        }
        Err(error) => {
            ctx.note(format!("{error}; {} is ended by SIGTERM instead", settings.unit));
            stop_unit(ctx, settings, began).await?;
            Ok(true)
        }
    }
}
