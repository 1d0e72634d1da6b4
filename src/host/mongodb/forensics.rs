//! What the server leaves in its files, read on a thread of its own: a disk may hang.

use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Mongo, evidence, symptoms};
use crate::host::{DatabaseForensics, HostResult};
use crate::model::{
    ClientConnection, DatabaseFacts, DatabaseStartEvidence, DatabaseStopEvidence, MongodSymptoms, UnitName,
};

impl Mongo {
    async fn read<T: Default + Send + 'static>(
        &self,
        facts: &DatabaseFacts,
        read: impl FnOnce(&Path, &DatabaseFacts) -> T + Send + 'static,
    ) -> T {
        let (root, facts) = (self.root.clone(), facts.clone());
        tokio::task::spawn_blocking(move || read(&root, &facts)).await.unwrap_or_default()
    }
}

#[async_trait]
impl DatabaseForensics for Mongo {
    async fn stop_evidence(&self, facts: &DatabaseFacts) -> DatabaseStopEvidence {
        self.read(facts, evidence::of_stop).await
    }

    async fn start_evidence(&self, facts: &DatabaseFacts) -> DatabaseStartEvidence {
        self.read(facts, evidence::of_start).await
    }

    async fn with_ages(
        &self,
        facts: &DatabaseFacts,
        clients: Vec<ClientConnection>,
        now: Timestamp,
    ) -> Vec<ClientConnection> {
        if clients.is_empty() {
            return clients;
        }
        self.read(facts, move |root, facts| evidence::with_ages(root, facts, clients, now)).await
    }

    async fn symptoms(&self, unit: &UnitName) -> HostResult<MongodSymptoms> {
        symptoms::symptoms(&self.root, unit).await
    }
}
