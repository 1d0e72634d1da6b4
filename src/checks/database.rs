//! MongoDB.

use super::check;

/// More clients than this are worth a word: an application that leaks connections shows here first.
const CLIENTS_LIMIT: usize = 200;

check!(
    DATABASE_REACHABLE,
    Database,
    "database-reachable",
    Blocker,
    60,
    "every configured MongoDB answers",
    "A server that does not answer cannot be shut down cleanly.",
    |check, inputs| {
        for service in &inputs.settings.services {
            let Some(access) = &service.database else { continue };
            if !inputs.host.units.state(&service.unit).await?.is_up() {
                continue;
            }
            if let Err(error) = inputs.host.database.facts(access).await {
                let title = format!("{} cannot be asked, so it could not be shut down cleanly", service.unit);
                let finding = check.found(title).evidence(error.to_string());
                return Ok(Some(finding.hint("see that it runs and that [service.mongodb] leads to it")));
            }
        }
        Ok(None)
    }
);

check!(
    DATABASE_CLIENTS,
    Database,
    "database-clients",
    Warning,
    60,
    "no flood of connections to MongoDB",
    "Connections that leak are the first sign of an application that will not come back well.",
    |check, inputs| {
        for service in &inputs.settings.services {
            let Some(access) = &service.database else { continue };
            if !inputs.host.units.state(&service.unit).await?.is_up() {
                continue;
            }
            let clients = inputs.host.database.clients(access).await?;
            if clients.len() > CLIENTS_LIMIT {
                let title = format!("{} has {} client connections", service.unit, clients.len());
                let finding = check.found(title);
                return Ok(Some(finding.hint("see which application leaks connections")));
            }
        }
        Ok(None)
    }
);
