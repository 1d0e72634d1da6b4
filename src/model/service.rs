//! The services of a run, and the proof that they stopped cleanly.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Canary, ClientConnection, DatabaseFacts, DatabaseStopEvidence, EndEvidence, ReplicaSet, UnitName};

/// What a configured service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    Service,
    /// A mongod: shut down through its own command, and proven.
    Mongodb,
}

fn is_none_of_them(count: &u32) -> bool {
    *count == 0
}

/// The proof that a service is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopProof {
    pub unit: UnitName,
    /// False where it was down already.
    pub was_running: bool,
    /// `Service.Result` after the stop.
    pub result: Option<String>,
    /// Exit status of the main process.
    pub exit_status: Option<i32>,
    /// `NRestarts` after the stop: systemd must not have started it again.
    #[serde(skip_serializing_if = "is_none_of_them", default)]
    pub restarts: u32,
    /// Processes left: must be 0.
    pub processes_left: u32,
    /// From the order to stop until proven down.
    pub took: SignedDuration,
    /// How much of that went into waiting for clients and operations to end; none for other kinds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drained: Option<SignedDuration>,
    /// How much of that went by from the database's order to end until it was proven down; none for other kinds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shutdown: Option<SignedDuration>,
    /// Clients of the database when it was told to stop, other than Patchday; empty for other kinds.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub clients_left: Vec<ClientConnection>,
    /// The server before the stop; none for other kinds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub database: Option<DatabaseFacts>,
    /// What the server left behind; none for other kinds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub database_evidence: Option<DatabaseStopEvidence>,
    /// What another server left behind; none where nothing must prove its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end_evidence: Option<EndEvidence>,
    /// Whether the server refused its command and was ended by SIGTERM through its unit.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub ended_by_signal: bool,
    /// The replica set before the stop; none for a server that is in none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replica_set: Option<ReplicaSet>,
    /// `featureCompatibilityVersion` before the stop; none if the role may not ask.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compatibility: Option<String>,
    /// The canary collection when the clients had left; none if none is configured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub canary: Option<Canary>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReplicaMember;

    #[test]
    fn a_proof_survives_its_file() {
        let proof = StopProof {
            unit: "mongod.service".parse().unwrap(),
            was_running: true,
            result: Some("success".into()),
            exit_status: Some(0),
            restarts: 2,
            processes_left: 0,
            took: SignedDuration::from_secs(1),
            drained: Some(SignedDuration::from_millis(250)),
            shutdown: Some(SignedDuration::from_millis(70)),
            clients_left: vec![ClientConnection {
                client: "127.0.0.1:51234".into(),
                app_name: "api".into(),
                active: true,
                operation: Some("aggregate shop.orders".into()),
                running: Some(SignedDuration::from_secs(40)),
                age: Some(SignedDuration::from_secs(90)),
                user: Some("api@admin".into()),
            }],
            database: Some(DatabaseFacts {
                set_name: Some("rs0".into()),
                member: Some("db1:27017".into()),
                hidden: true,
                delay: Some(SignedDuration::from_hours(1)),
                ..DatabaseFacts::default()
            }),
            database_evidence: Some(DatabaseStopEvidence { storage_closed: Some(true), ..Default::default() }),
            end_evidence: Some(EndEvidence::Command {
                program: "/bin/proof".into(),
                exit_status: Some(0),
                said: Some("clean".into()),
            }),
            ended_by_signal: true,
            replica_set: Some(ReplicaSet {
                name: "rs0".into(),
                majority: 1,
                members: vec![ReplicaMember { is_self: true, votes: 1, ..ReplicaMember::default() }],
            }),
            compatibility: Some("6.0".into()),
            canary: Some(Canary { collection: "a.b".into(), documents: 3, checksum: Some("00".into()) }),
        };
        let text = serde_json::to_string(&proof).unwrap();
        assert_eq!(serde_json::from_str::<StopProof>(&text).unwrap(), proof);
    }
}
