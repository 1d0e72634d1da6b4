//! Shut a mongod down through its own command, as its role wants it, and prove that it ended cleanly.

use jiff::{SignedDuration, Timestamp};

use super::stop::{proof_of, remaining, stop_unit, wait_until_down};
use super::{StepContext, StepError, drain, replica_set, server_gone};
use crate::config::ServiceSettings;
use crate::host::{HostErrorKind, ShutdownSpec};
use crate::model::{DatabaseAccess, DatabaseStopEvidence, StopProof, UnitState};

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
    let facts = ctx.host.database.facts(access).await?;
    if let (Some(server), Some(main)) = (facts.pid, before.main_pid)
        && server != main
    {
        return Err(StepError::Failed(format!(
            "the server that answers is process {server}, but {unit} runs process {main}: \
             the connection string leads to another mongod"
        )));
    }
    let part = replica_set::until_dispensable(ctx, settings, access, &facts).await?;
    let draining = ctx.host.clock.now();
    let clients_left = drain::drain(ctx, settings, access, &facts).await?;
    let drained = ctx.host.clock.now().duration_since(draining);
    let condition = ctx.host.insight.condition(access).await.unwrap_or_default();
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
    let process = server_gone::own_process(ctx, settings, &facts).await;
    let ended_by_signal = order(ctx, settings, access, (began, quiesce, part.leaves_as_a_whole())).await?;
    server_gone::wait(ctx, settings, access, (&facts, process), began).await?;
    // Settles what Restart= may have queued, and ends a unit that stays active without its server.
    stop_unit(ctx, settings, began).await?;
    let state = wait_until_down(ctx, settings, began).await?;
    let shutdown = ctx.host.clock.now().duration_since(began);

    let evidence = ctx.host.forensics.stop_evidence(&facts).await;
    if let Some(why) = unclean(before, &state, &evidence) {
        return Err(StepError::Failed(format!("{unit} did not end cleanly: {why}")));
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

/// What speaks against a clean end.
fn unclean(before: &UnitState, after: &UnitState, evidence: &DatabaseStopEvidence) -> Option<String> {
    // Where systemd knew no main process, it has no status of one.
    let ended_well = after.exit_status == Some(0) || before.main_pid.is_none() && after.exit_status.is_none();
    if after.result.as_deref() != Some("success") || !ended_well {
        let result = after.result.as_deref().unwrap_or("unknown");
        let status = after.exit_status.map_or("unknown".into(), |status| status.to_string());
        return Some(format!("result {result}, exit status {status}"));
    }
    if after.restarts > before.restarts {
        return Some("systemd has started it again meanwhile".to_owned());
    }
    if let Some(bytes) = evidence.lock_file_bytes.filter(|bytes| *bytes > 0) {
        return Some(format!("its mongod.lock still holds {bytes} bytes"));
    }
    match (evidence.logged_exit_code, evidence.storage_closed) {
        (Some(code), _) if code != 0 => Some(format!("its log says exit code {code}")),
        (Some(_), Some(false)) => Some("its log does not say that the storage engine was closed (4795901)".to_owned()),
        _ => None,
    }
}
