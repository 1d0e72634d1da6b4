//! Shut a mongod down through its own command, and prove that it ended cleanly.

use jiff::{SignedDuration, Timestamp};

use super::stop::{proof_of, remaining, stop_unit, wait_until_down};
use super::{StepContext, StepError};
use crate::config::ServiceSettings;
use crate::host::HostErrorKind;
use crate::model::{ClientConnection, DatabaseAccess, StopProof};

const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(250);

pub(super) async fn stop(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    began: Timestamp,
) -> Result<StopProof, StepError> {
    let unit = &settings.unit;
    let Some(access) = &settings.database else {
        return Err(StepError::Failed(format!("{unit} has no connection string")));
    };
    let facts = ctx.host.database.facts(access).await?;
    let before = ctx.host.units.state(unit).await?;
    if let (Some(server), Some(main)) = (facts.pid, before.main_pid)
        && server != main
    {
        return Err(StepError::Failed(format!(
            "the server that answers is process {server}, but {unit} runs process {main}: \
             the connection string leads to another mongod"
        )));
    }
    let clients_left = drain(ctx, settings, access).await;
    if !clients_left.is_empty() {
        ctx.note(format!("{unit} still has {} client connections: {}", clients_left.len(), named(&clients_left)));
    }

    match ctx.host.database.shutdown(access, remaining(ctx, settings, began)).await {
        Ok(()) => {}
        // No answer is not a no: whether it went down is looked at next.
        Err(error) if error.kind == HostErrorKind::Unknown => ctx.note(format!("{error}; waiting for {unit} to end")),
        Err(error) => return Err(error.into()),
    }
    wait_until_down(ctx, settings, began).await?;
    // Settles what Restart= may have queued: the hold lets nothing start, and now nothing tries.
    stop_unit(ctx, settings, began).await?;
    let state = wait_until_down(ctx, settings, began).await?;

    let evidence = ctx.host.database.stop_evidence(&facts).await;
    let mut proof = proof_of(unit, &state, true);
    proof.clients_left = clients_left;
    proof.database = Some(facts);
    proof.database_evidence = Some(evidence.clone());
    let clean_unit = proof.result.as_deref() == Some("success") && proof.exit_status == Some(0);
    if !clean_unit {
        return Err(StepError::Failed(format!(
            "{unit} did not end cleanly: result {}, exit status {}",
            proof.result.as_deref().unwrap_or("unknown"),
            proof.exit_status.map_or("unknown".into(), |status| status.to_string())
        )));
    }
    if let Some(bytes) = evidence.lock_file_bytes.filter(|bytes| *bytes > 0) {
        return Err(StepError::Failed(format!("{unit} ended, but its mongod.lock still holds {bytes} bytes")));
    }
    if let Some(code) = evidence.logged_exit_code.filter(|code| *code != 0) {
        return Err(StepError::Failed(format!("{unit} ended, but its log says exit code {code}")));
    }
    Ok(proof)
}

/// Waits for the clients to leave: their services are down, so what stays is leaked, or somebody else's.
async fn drain(ctx: &StepContext<'_>, settings: &ServiceSettings, access: &DatabaseAccess) -> Vec<ClientConnection> {
    let began = ctx.host.clock.now();
    loop {
        match ctx.host.database.clients(access).await {
            Ok(clients) if clients.is_empty() => return clients,
            Ok(clients) if ctx.host.clock.now().duration_since(began) >= settings.drain_timeout => return clients,
            Ok(_) => {}
            Err(error) => {
                ctx.note(format!("cannot tell who is still connected: {error}"));
                return Vec::new();
            }
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}

fn named(clients: &[ClientConnection]) -> String {
    let mut names: Vec<String> = clients
        .iter()
        .map(|client| match client.app_name.as_str() {
            "" => client.client.clone(),
            app => format!("{app} ({})", client.client),
        })
        .collect();
    names.sort();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", names.join(", "))
}
