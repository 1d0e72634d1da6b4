//! The services of a run, and the proof that they stopped cleanly.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::UnitName;

/// What a configured service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// Stopped through systemd.
    Service,
    /// A mongod: shut down through its own command, and proven.
    Mongodb,
}

/// A client connection as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientConnection {
    /// Address and port of the client, as in `127.0.0.1:51234`; empty over a Unix socket.
    pub client: String,
    /// `appName` of the client; empty where it gave none.
    pub app_name: String,
    /// Whether an operation is running on it.
    pub active: bool,
}

/// What a running server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// As in `6.0.5`.
    pub version: String,
    /// The server's process; compared with the unit's main process. None where the role may not ask.
    pub pid: Option<u32>,
    /// `standalone`, `primary`, `secondary`, `arbiter`, `router` (mongos), or `other`: a member of a replica set that
    /// serves nobody yet.
    pub role: String,
    /// `storage.dbPath`; none where the role may not ask.
    pub db_path: Option<String>,
    /// `systemLog.path`; none where the log does not go to a file, or the role may not ask.
    pub log_path: Option<String>,
}

/// What a stopped server left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatabaseStopEvidence {
    /// Size of `mongod.lock` in bytes: 0 after a clean end. None where it cannot be read.
    pub lock_file_bytes: Option<u64>,
    /// `exitCode` of the last log record 23138 ("Shutting down"). None where the log has none since the last start.
    pub logged_exit_code: Option<i64>,
}

/// What a started server says of the end before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatabaseStartEvidence {
    /// Whether the log since the last start holds 22271 or 22302 (unclean shutdown, recovery). None: not readable.
    pub unclean_shutdown_seen: Option<bool>,
}

/// The proof that a service is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopProof {
    /// The service.
    pub unit: UnitName,
    /// False where it was down already.
    pub was_running: bool,
    /// `Service.Result` after the stop.
    pub result: Option<String>,
    /// Exit status of the main process.
    pub exit_status: Option<i32>,
    /// Processes left: must be 0.
    pub processes_left: u32,
    /// From the order to stop until proven down.
    pub took: SignedDuration,
    /// Clients of the database when it was told to stop, other than Patchday; empty for other kinds.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub clients_left: Vec<ClientConnection>,
    /// The server before the stop; none for other kinds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub database: Option<DatabaseFacts>,
    /// What the server left behind; none for other kinds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub database_evidence: Option<DatabaseStopEvidence>,
}
