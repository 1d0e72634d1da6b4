//! The MongoDB servers of the configuration.

use futures_util::future::try_join_all;
use tokio::sync::OnceCell;

use crate::config::{ServiceSettings, Settings};
use crate::host::{Host, HostResult};
use crate::model::{DatabaseAccess, DatabaseCondition, DatabaseFacts};

pub(super) struct Server {
    pub(super) service: ServiceSettings,
    pub(super) access: DatabaseAccess,
    /// Whether its unit runs.
    pub(super) is_up: bool,
    /// What answers in its place, by whomever it was started.
    pub(super) answer: HostResult<DatabaseFacts>,
    condition: OnceCell<HostResult<DatabaseCondition>>,
}

impl Server {
    /// How it stands: five checks look at that, and each question is a connection of its own.
    pub(super) async fn condition(&self, host: &Host) -> HostResult<&DatabaseCondition> {
        let condition = self.condition.get_or_init(|| host.insight.condition(&self.access)).await;
        condition.as_ref().map_err(Clone::clone)
    }
}

/// Asks systemd and the server about each.
pub(super) async fn ask(host: &Host, settings: &Settings) -> HostResult<Vec<Server>> {
    let databases = settings.services.iter().filter_map(|service| Some((service, service.database.as_ref()?)));
    let asked = databases.map(|(service, access)| async move {
        let is_up = host.units.state(&service.unit).await?.is_up();
        let answer = host.database.facts(access).await;
        let condition = OnceCell::new();
        Ok(Server { service: service.clone(), access: access.clone(), is_up, answer, condition })
    });
    try_join_all(asked).await
}

/// Those whose unit runs.
pub(super) fn running(servers: &[Server]) -> impl Iterator<Item = &Server> {
    servers.iter().filter(|server| server.is_up)
}

/// Those that answer, each with its facts: that the others do not is told once, by `database-reachable`.
pub(super) fn answering(servers: &[Server]) -> Vec<(&Server, &DatabaseFacts)> {
    running(servers).filter_map(|server| Some((server, server.answer.as_ref().ok()?))).collect()
}
