//! MongoDB, through its own driver: who it is, who uses it, and its clean end.

mod access;
mod evidence;
mod reply;

use std::path::PathBuf;
use std::time::Duration;

use ::mongodb::bson::{Document, doc};
use ::mongodb::error::{Error, ErrorKind};
use ::mongodb::{Client, Database as AdminDatabase};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::SignedDuration;

use super::{Database, HostError, HostErrorKind, HostResult};
use crate::model::{ClientConnection, DatabaseAccess, DatabaseFacts, DatabaseStartEvidence, DatabaseStopEvidence};

/// Under this name Patchday's own connections are known to the server.
const APP_NAME: &str = "patchday";

/// For one question, from the first connection to the last answer. The driver has no limit of its own for a server
/// that accepts and then says nothing.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What a shutdown may take beyond the time that the server was given.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(30);

/// Command errors by their numbers in the server's source.
const UNAUTHORIZED: i32 = 13;
const COMMAND_NOT_FOUND: i32 = 59;
const SHUTDOWN_IN_PROGRESS: i32 = 91;
const INTERRUPTED_AT_SHUTDOWN: i32 = 11600;

/// What the server demands for each question, and a role that has it.
const NOTHING: &str = "no privilege";
const CLIENTS_NEED: &str = "the action inprog on the cluster, as in the role clusterMonitor";
const SHUTDOWN_NEEDS: &str = "the action shutdown on the cluster, as in the role hostManager";

/// The MongoDB servers of this host. Every operation uses a connection of its own, straight to the one server: a
/// replica set's other members are never asked and never shut down.
#[derive(Debug, Clone)]
pub struct Mongo {
    root: PathBuf,
    secrets_owner: u32,
}

impl Mongo {
    /// Reads files below `root`; `/` except in tests. Files with connection strings must belong to the user
    /// `secrets_owner`: 0 except in tests.
    pub fn new(root: PathBuf, secrets_owner: u32) -> Self {
        Self { root, secrets_owner }
    }

    async fn connect(&self, access: &DatabaseAccess) -> HostResult<Client> {
        let options = access::options(&self.root, self.secrets_owner, access).await?;
        Client::with_options(options).map_err(|_| {
            HostError::failed("connect to MongoDB", "the connection string's options contradict each other")
        })
    }

    /// Asks within the time for one question, and closes the connections.
    async fn ask<T>(
        &self,
        what: &str,
        needs: &str,
        access: &DatabaseAccess,
        question: impl AsyncFnOnce(&AdminDatabase) -> Result<T, Error>,
    ) -> HostResult<T> {
        let client = self.connect(access).await?;
        let admin = client.database("admin");
        let answer = tokio::time::timeout(QUESTION_TIMEOUT, question(&admin)).await;
        close(client).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(explain(what, needs, &error)),
            Err(_) => Err(HostError::new(
                HostErrorKind::Unknown,
                what,
                format!("the server did not answer within {} s", QUESTION_TIMEOUT.as_secs()),
            )),
        }
    }
}

#[async_trait]
impl Database for Mongo {
    /// Needs no role; what a role may not ask is none.
    async fn facts(&self, access: &DatabaseAccess) -> HostResult<DatabaseFacts> {
        self.ask("ask MongoDB who it is", NOTHING, access, async |admin: &AdminDatabase| {
            let hello = match admin.run_command(doc! { "hello": 1 }).await {
                Err(error) if code(&error) == Some(COMMAND_NOT_FOUND) => {
                    admin.run_command(doc! { "isMaster": 1 }).await?
                }
                answer => answer?,
            };
            // The sections that are costly to gather are left out.
            let status =
                doc! { "serverStatus": 1, "metrics": 0, "tcmalloc": 0, "wiredTiger": 0, "locks": 0, "repl": 0 };
            let status = if_allowed(admin.run_command(status).await)?;
            let options = if_allowed(admin.run_command(doc! { "getCmdLineOpts": 1 }).await)?;
            let build = if_allowed(admin.run_command(doc! { "buildInfo": 1 }).await)?;
            Ok(reply::facts(&hello, build.as_ref(), status.as_ref(), options.as_ref()))
        })
        .await
    }

    /// Needs the action `inprog` on the cluster.
    async fn clients(&self, access: &DatabaseAccess) -> HostResult<Vec<ClientConnection>> {
        let operations: Vec<Document> = self
            .ask("list the clients of MongoDB", CLIENTS_NEED, access, async |admin: &AdminDatabase| {
                let stage = doc! { "$currentOp": { "allUsers": true, "idleConnections": true, "idleSessions": false } };
                admin.aggregate([stage]).await?.try_collect().await
            })
            .await?;
        Ok(reply::clients(&operations, APP_NAME))
    }

    /// Needs the action `shutdown` on the cluster. Asks for an answer first, so that a server which cannot be reached
    /// is not taken for one that dropped the connection because it obeyed.
    async fn shutdown(&self, access: &DatabaseAccess, timeout: SignedDuration) -> HostResult<()> {
        let what = "shut MongoDB down";
        let client = self.connect(access).await?;
        let admin = client.database("admin");
        let seconds = timeout.as_secs().clamp(0, i64::from(i32::MAX));
        let limit = Duration::from_secs(seconds.unsigned_abs()) + SHUTDOWN_MARGIN;
        // The command's name must be the first key.
        let order = async {
            admin.run_command(doc! { "ping": 1 }).await.map_err(|error| explain(what, SHUTDOWN_NEEDS, &error))?;
            match admin.run_command(doc! { "shutdown": 1, "timeoutSecs": seconds }).await {
                Ok(_) => Ok(()),
                Err(error) if is_dropped_connection(&error) || is_ending_already(&error) => Ok(()),
                Err(error) => Err(explain(what, SHUTDOWN_NEEDS, &error)),
            }
        };
        let outcome = tokio::time::timeout(limit, order).await;
        close(client).await;
        outcome.unwrap_or_else(|_| {
            Err(HostError::new(HostErrorKind::Unknown, what, format!("no answer within {} s", limit.as_secs())))
        })
    }

    async fn stop_evidence(&self, facts: &DatabaseFacts) -> DatabaseStopEvidence {
        let (root, facts) = (self.root.clone(), facts.clone());
        tokio::task::spawn_blocking(move || evidence::of_stop(&root, &facts)).await.unwrap_or_default()
    }

    async fn start_evidence(&self, facts: &DatabaseFacts) -> DatabaseStartEvidence {
        let (root, facts) = (self.root.clone(), facts.clone());
        tokio::task::spawn_blocking(move || evidence::of_start(&root, &facts)).await.unwrap_or_default()
    }
}

/// Ends the connections now, so that they are not taken for clients later. A server that is gone has none.
async fn close(client: Client) {
    let _ended_or_not = tokio::time::timeout(Duration::from_secs(1), client.shutdown().immediate(true)).await;
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// What the role may not ask is none; every other error stays one.
fn if_allowed(answer: Result<Document, Error>) -> Result<Option<Document>, Error> {
    match answer {
        Err(error) if code(&error) == Some(UNAUTHORIZED) => Ok(None),
        answer => answer.map(Some),
    }
}

/// The server answers `shutdown` by closing the connection.
fn is_dropped_connection(error: &Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match &*error.kind {
        ErrorKind::Io(error) => {
            matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
        }
        ErrorKind::ConnectionPoolCleared { .. } => true,
        _ => false,
    }
}

/// Somebody told it before us, maybe we ourselves before we were interrupted.
fn is_ending_already(error: &Error) -> bool {
    code(error).is_some_and(|code| [SHUTDOWN_IN_PROGRESS, INTERRUPTED_AT_SHUTDOWN].contains(&code))
}

/// The driver's error in words of ours. Only texts of the server and of the network are repeated: no connection string
/// and no credential is in them. `needs` is the privilege without which the server says no.
fn explain(what: &str, needs: &str, error: &Error) -> HostError {
    let (kind, why) = match &*error.kind {
        ErrorKind::Command(command) if command.code == UNAUTHORIZED => {
            // Behind the brace the server repeats the whole command.
            let said = command.message.split(" {").next().unwrap_or(&command.message);
            (HostErrorKind::Refused, format!("{said} (code {UNAUTHORIZED}): its user needs {needs}"))
        }
        ErrorKind::Command(command) => {
            (HostErrorKind::Refused, format!("{} (code {}, {})", command.message, command.code, command.code_name))
        }
        ErrorKind::Authentication { message, .. } => (HostErrorKind::Refused, message.clone()),
        ErrorKind::ServerSelection { message, .. } => {
            (HostErrorKind::Unknown, format!("no server can be reached: {}", why_not_reached(message)))
        }
        ErrorKind::Io(error) => (HostErrorKind::Unknown, error.to_string()),
        ErrorKind::ConnectionPoolCleared { .. } => (HostErrorKind::Unknown, "the connection was lost".to_owned()),
        ErrorKind::IncompatibleServer { message, .. } | ErrorKind::InvalidTlsConfig { message, .. } => {
            (HostErrorKind::Failed, message.clone())
        }
        _ => (HostErrorKind::Failed, "the server's answer was not understood".to_owned()),
    };
    HostError::new(kind, what, why)
}

/// The driver describes its whole view of the server; what the network said is in the middle of it, if it said
/// anything.
fn why_not_reached(message: &str) -> &str {
    let Some((_, error)) = message.split_once(" Error: ") else { return "it does not answer" };
    let error = error.split(", labels:").next().unwrap_or(error);
    error.trim_start_matches("Kind: ").trim_start_matches("I/O error: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_networks_word_is_taken_from_the_drivers_view() {
        for (message, expected) in [
            (
                "Server selection timeout: No available servers. Topology: { Type: Single, Servers: [ { Address: \
                 127.0.0.1:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: \
                 {\"RetryableError\"}, source: None, server response: None }, ] }",
                "Connection refused (os error 111)",
            ),
            (
                "Server selection timeout: No available servers. Topology: { Type: Single, Servers: [ { Address: \
                 127.0.0.1:1, Type: Unknown }, ] }",
                "it does not answer",
            ),
        ] {
            assert_eq!(why_not_reached(message), expected);
        }
    }
}
