//! MongoDB: who it is, what it does, and what it leaves behind. Of other servers: what proves that they ended cleanly.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::HostResult;
use crate::model::{
    Canary, ClientConnection, DatabaseAccess, DatabaseCondition, DatabaseFacts, DatabaseStartEvidence,
    DatabaseStopEvidence, EndEvidence, MongodSymptoms, ProofSource, ReplicaSet, RunningOperation, UnitName,
    WantedProof,
};

/// How a MongoDB server shall go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownSpec {
    /// How long a member of a replica set tells its clients to go elsewhere before it closes: `timeoutSecs`.
    pub quiesce: SignedDuration,
    /// Go even where nobody takes over: for the last member of a set that goes down as a whole.
    pub force: bool,
    /// How long to wait for the answer.
    pub patience: SignedDuration,
}

/// A MongoDB server: who it is, and its orderly end.
#[async_trait]
pub trait Database: Send + Sync {
    /// Asks who it is; a server that answers is up.
    async fn facts(&self, access: &DatabaseAccess) -> HostResult<DatabaseFacts>;

    /// Whether anything takes connections there, which needs no login.
    async fn listens(&self, access: &DatabaseAccess) -> HostResult<bool>;

    /// Hands the primary's part to a secondary, which may take `catch_up` to have all writes.
    async fn step_down(&self, access: &DatabaseAccess, catch_up: SignedDuration) -> HostResult<()>;

    /// Asks for the end of one operation.
    async fn kill_operation(&self, access: &DatabaseAccess, id: i64) -> HostResult<()>;

    /// Ends the sessions of these users, written as `api@admin`, and with them what they have under way.
    async fn kill_sessions(&self, access: &DatabaseAccess, users: &[String]) -> HostResult<()>;

    /// Sends `shutdown`. The connection that the server drops is success; it is no proof.
    async fn shutdown(&self, access: &DatabaseAccess, shutdown: ShutdownSpec) -> HostResult<()>;
}

/// What a MongoDB server does, for whom, and how it stands. Reads only.
#[async_trait]
pub trait DatabaseInsight: Send + Sync {
    /// Client connections other than our own, idle ones too.
    async fn clients(&self, access: &DatabaseAccess) -> HostResult<Vec<ClientConnection>>;

    /// Operations of clients other than us, and index builds.
    async fn operations(&self, access: &DatabaseAccess) -> HostResult<Vec<RunningOperation>>;

    /// The replica set as this member sees it; none for a server that is in none.
    async fn replica_set(&self, access: &DatabaseAccess) -> HostResult<Option<ReplicaSet>>;

    async fn condition(&self, access: &DatabaseAccess) -> HostResult<DatabaseCondition>;

    /// How many documents of a collection have a time in `field` that is not before `since`.
    async fn count_since(
        &self,
        access: &DatabaseAccess,
        collection: &str,
        field: &str,
        since: Timestamp,
    ) -> HostResult<u64>;

    /// Counts and sums a collection, named as `shop.orders`.
    async fn canary(&self, access: &DatabaseAccess, collection: &str) -> HostResult<Canary>;
}

/// What a MongoDB server leaves in its files: told whether it runs or not.
#[async_trait]
pub trait DatabaseForensics: Send + Sync {
    /// What the stopped server left behind.
    async fn stop_evidence(&self, facts: &DatabaseFacts) -> DatabaseStopEvidence;

    /// What the started server says of the end before.
    async fn start_evidence(&self, facts: &DatabaseFacts) -> DatabaseStartEvidence;

    /// The facts of the server that runs as process `pid`, with the paths of its files as this host has them: in a
    /// container it sees others. None for a file that cannot be reached from here.
    async fn places(&self, facts: DatabaseFacts, pid: u32) -> DatabaseFacts;

    /// The clients with the age of their connections, as far as the log tells.
    async fn with_ages(
        &self,
        facts: &DatabaseFacts,
        clients: Vec<ClientConnection>,
        now: Timestamp,
    ) -> Vec<ClientConnection>;

    /// What is seen of the mongod that a unit starts, or fails to start. `NotFound` where it starts none.
    async fn symptoms(&self, unit: &UnitName) -> HostResult<MongodSymptoms>;
}

/// Other servers than MongoDB: what proves that they ended cleanly. Reads only, but for what a program of the user's does.
#[async_trait]
pub trait EndProofs: Send + Sync {
    /// Where the proof will be found, while the server still runs. An error says why it could not be taken.
    async fn find(&self, unit: &UnitName, wanted: &WantedProof) -> HostResult<ProofSource>;

    /// What the server left behind, now that it has ended. A program of the user's is ended after `patience`.
    async fn take(
        &self,
        wanted: &WantedProof,
        source: &ProofSource,
        patience: SignedDuration,
    ) -> HostResult<EndEvidence>;
}
