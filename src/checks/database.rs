//! MongoDB.

use super::{Check, check};
use crate::model::{Finding, Severity};

/// More clients than this are worth a word: an application that leaks connections shows here first.
const CLIENTS_LIMIT: usize = 200;

check!(DATABASE_REACHABLE, "database-reachable", Blocker, "every configured MongoDB answers", |inputs| {
    for service in &inputs.settings.services {
        let Some(access) = &service.database else { continue };
        if !inputs.host.units.state(&service.unit).await?.is_up() {
            continue;
        }
        if let Err(error) = inputs.host.database.facts(access).await {
            let title = format!("{} cannot be asked, so it could not be shut down cleanly", service.unit);
            let finding = Finding::new("database-reachable", Severity::Blocker, title).evidence(error.to_string());
            return Ok(Some(finding.hint("see that it runs and that [service.mongodb] leads to it")));
        }
    }
    Ok(None)
});

check!(DATABASE_CLIENTS, "database-clients", Warning, "no flood of connections to MongoDB", |inputs| {
    for service in &inputs.settings.services {
        let Some(access) = &service.database else { continue };
        if !inputs.host.units.state(&service.unit).await?.is_up() {
            continue;
        }
        let clients = inputs.host.database.clients(access).await?;
        if clients.len() > CLIENTS_LIMIT {
            let title = format!("{} has {} client connections", service.unit, clients.len());
            let finding = Finding::new("database-clients", Severity::Warning, title);
            return Ok(Some(finding.hint("see which application leaks connections")));
        }
    }
    Ok(None)
});
