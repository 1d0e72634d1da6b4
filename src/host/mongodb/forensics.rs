//! What the server leaves in its files. They are its user's, and a disk may hang: what cannot be read in time is no
//! evidence.

use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Mongo, evidence, places, symptoms};
use crate::host::{DatabaseForensics, HostResult, foreign};
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
        let seen = foreign::in_time(foreign::PATIENCE, "read the files of MongoDB", move || read(&root, &facts)).await;
        seen.unwrap_or_else(|error| {
            tracing::warn!("{error}");
            T::default()
        })
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

    async fn places(&self, facts: DatabaseFacts, pid: u32) -> DatabaseFacts {
        let (db_path, log_path) = self.read(&facts, move |root, facts| places::on_host(root, facts, pid)).await;
        DatabaseFacts { db_path, log_path, ..facts }
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
        // Whose age is not known is connected all the same.
        let ageless = clients.clone();
        let seen = self.read(facts, move |root, facts| Some(evidence::with_ages(root, facts, clients, now))).await;
        seen.unwrap_or(ageless)
    }

    async fn symptoms(&self, unit: &UnitName) -> HostResult<MongodSymptoms> {
        symptoms::symptoms(&self.root, unit).await
    }
}
