//! The MongoDB servers of the configuration.

use super::CheckInputs;
use crate::config::ServiceSettings;
use crate::host::HostError;
use crate::model::{DatabaseAccess, DatabaseFacts, UnitName};

/// One that answers.
pub(super) struct Server<'a> {
    pub(super) service: &'a ServiceSettings,
    pub(super) access: &'a DatabaseAccess,
    pub(super) facts: DatabaseFacts,
}

/// Servers that run, each with its answer.
pub(super) async fn running<'a>(
    inputs: &CheckInputs<'a>,
) -> Result<Vec<(&'a ServiceSettings, &'a DatabaseAccess, Result<DatabaseFacts, HostError>)>, HostError> {
    let mut running = Vec::new();
    for service in &inputs.settings.services {
        let Some(access) = &service.database else { continue };
        if inputs.host.units.state(&service.unit).await?.is_up() {
            running.push((service, access, inputs.host.database.facts(access).await));
        }
    }
    Ok(running)
}

/// Servers that answer: that the others do not is told once, by `database-reachable`.
pub(super) async fn answering<'a>(inputs: &CheckInputs<'a>) -> Result<Vec<Server<'a>>, HostError> {
    let answered = running(inputs).await?.into_iter();
    Ok(answered.filter_map(|(service, access, facts)| Some(Server { service, access, facts: facts.ok()? })).collect())
}

/// Units that are down while a server answers in their place, and its process in words.
pub(super) async fn without_their_unit<'a>(inputs: &CheckInputs<'a>) -> Result<Vec<(&'a UnitName, String)>, HostError> {
    let mut found = Vec::new();
    for service in &inputs.settings.services {
        let Some(access) = &service.database else { continue };
        if inputs.host.units.state(&service.unit).await?.is_up() {
            continue;
        }
        if let Ok(facts) = inputs.host.database.facts(access).await {
            let process = facts.pid.map_or(String::new(), |pid| format!("; process {pid} answers"));
            found.push((&service.unit, process));
        }
    }
    Ok(found)
}
