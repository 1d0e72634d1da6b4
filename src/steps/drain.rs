//! Let the clients of a database leave before it goes down. What stays is named, and treated as the configuration says;
//! no process is ever ended for it.

use jiff::{SignedDuration, Timestamp};

use super::{StepContext, StepError};
use crate::config::{LeftoverClients, LongOperations, ServiceSettings};
use crate::events::EventKind;
use crate::host::HostResult;
use crate::model::spoken::{exactly, running};
use crate::model::{ClientConnection, DatabaseAccess, DatabaseFacts, RunningOperation, summary_of_clients};

const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(250);

/// How long an operation may take to notice that it was told to end.
const KILLED_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// Who is there, and what is under way.
#[derive(Default)]
struct Look {
    clients: Vec<ClientConnection>,
    operations: Vec<RunningOperation>,
}

/// Waits for the clients to leave: their services are down, so what stays is leaked, or somebody else's. Returns who is
/// still connected.
pub(super) async fn drain(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    access: &DatabaseAccess,
    facts: &DatabaseFacts,
) -> Result<Vec<ClientConnection>, StepError> {
    let began = ctx.host.clock.now();
    let look = match until(ctx, settings, access, (began, settings.drain_timeout), |_| true).await {
        Ok(look) => look,
        Err(error) => {
            ctx.note(format!("cannot tell who is still connected: {error}"));
            return Ok(Vec::new());
        }
    };
    if look.clients.is_empty() && look.operations.is_empty() {
        return Ok(Vec::new());
    }
    let look = settle_operations(ctx, settings, access, look).await?;
    let clients = ctx.host.forensics.with_ages(facts, look.clients, ctx.host.clock.wall()).await;
    settle_clients(ctx, settings, access, clients).await
}

/// Looks until nobody is connected and none of the `wanted` operations is under way, or until the time is over.
async fn until(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    access: &DatabaseAccess,
    (began, limit): (Timestamp, SignedDuration),
    wanted: impl Fn(&RunningOperation) -> bool,
) -> HostResult<Look> {
    let mut told = String::new();
    loop {
        let clients = ctx.host.insight.clients(access).await?;
        let mut operations = ctx.host.insight.operations(access).await?;
        operations.retain(&wanted);
        let waited = ctx.host.clock.now().duration_since(began);
        if (clients.is_empty() && operations.is_empty()) || waited >= limit {
            return Ok(Look { clients, operations });
        }
        let message = format!(
            "{}: waiting for {} connections and {} operations, {} at most",
            settings.unit,
            clients.len(),
            operations.len(),
            running(limit - waited)
        );
        // Told when the numbers change, not with every second that passes.
        let numbers = format!("{} {}", clients.len(), operations.len());
        if numbers != told {
            if let Some(step) = ctx.run().attempt.as_ref().map(|attempt| attempt.step.clone()) {
                ctx.events.emit(EventKind::StepProgressed { step, fraction: None, remaining: None, message });
            }
            told = numbers;
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}

/// What to do about operations that are longer than the limit.
async fn settle_operations(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    access: &DatabaseAccess,
    mut look: Look,
) -> Result<Look, StepError> {
    let unit = &settings.unit;
    let is_long = |operation: &RunningOperation| operation.running >= settings.mongodb.operation_limit;
    let named = |look: &Look| {
        let long: Vec<String> = look.operations.iter().filter(|one| is_long(one)).map(ToString::to_string).collect();
        (!long.is_empty()).then(|| long.join("; "))
    };
    let Some(long) = named(&look) else { return Ok(look) };
    match settings.mongodb.long_operations {
        LongOperations::Abort => {
            return Err(StepError::Failed(format!("{unit} is still at work, and long-operations is abort: {long}")));
        }
        LongOperations::Wait => {
            ctx.note(format!(
                "{unit} is still at work, waiting for {} at most: {long}",
                exactly(settings.stop_timeout)
            ));
            let began = ctx.host.clock.now();
            while let Some(long) = named(&look) {
                if ctx.host.clock.now().duration_since(began) >= settings.stop_timeout {
                    let why = format!("{unit} is still at work after {}: {long}", exactly(settings.stop_timeout));
                    return Err(StepError::Failed(why));
                }
                ctx.host.clock.sleep(LOOK_EVERY).await;
                look = Look {
                    clients: ctx.host.insight.clients(access).await?,
                    operations: ctx.host.insight.operations(access).await?,
                };
            }
        }
        LongOperations::Kill => {
            ctx.note(format!("{unit} is still at work, ending it: {long}"));
            for operation in look.operations.iter().filter(|one| is_long(one) && !one.is_index_build) {
                if let Err(error) = ctx.host.database.kill_operation(access, operation.id).await {
                    ctx.note(error.to_string());
                }
            }
            // An index build is left to MongoDB: it keeps its progress, and goes on after the next start.
            let to_end = |one: &RunningOperation| is_long(one) && !one.is_index_build;
            let began = ctx.host.clock.now();
            while look.operations.iter().any(to_end) && ctx.host.clock.now().duration_since(began) < KILLED_WITHIN {
                ctx.host.clock.sleep(LOOK_EVERY).await;
                look.operations = ctx.host.insight.operations(access).await?;
            }
            look.clients = ctx.host.insight.clients(access).await?;
        }
    }
    Ok(look)
}

/// What to do about clients that are still connected.
async fn settle_clients(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    access: &DatabaseAccess,
    clients: Vec<ClientConnection>,
) -> Result<Vec<ClientConnection>, StepError> {
    if clients.is_empty() {
        return Ok(clients);
    }
    let unit = &settings.unit;
    let named = summary_of_clients(&clients).join("; ");
    match settings.mongodb.leftover_clients {
        LeftoverClients::Report => ctx.note(format!("{unit} still has {} connections: {named}", clients.len())),
        LeftoverClients::Abort => {
            return Err(StepError::Failed(format!(
                "{unit} still has {} connections, and leftover-clients is abort: {named}",
                clients.len()
            )));
        }
        LeftoverClients::Kill => {
            ctx.note(format!("{unit} still has {} connections, ending what they do: {named}", clients.len()));
            for operation in ctx.host.insight.operations(access).await?.iter().filter(|one| !one.is_index_build) {
                if let Err(error) = ctx.host.database.kill_operation(access, operation.id).await {
                    ctx.note(error.to_string());
                }
            }
            let mut users: Vec<String> = clients.iter().filter_map(|client| client.user.clone()).collect();
            users.sort();
            users.dedup();
            if let Err(error) = ctx.host.database.kill_sessions(access, &users).await {
                ctx.note(error.to_string());
            }
        }
    }
    Ok(clients)
}
