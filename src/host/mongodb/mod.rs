//! MongoDB, through its own driver: who it is, who uses it, and its clean end.

mod access;
mod closed;
mod command_line;
mod errors;
mod evidence;
mod files;
mod forensics;
mod insight;
mod lifecycle;
mod operations;
mod options;
mod outside;
mod places;
mod replica;
mod reply;
mod symptoms;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::mongodb::error::Error;
use ::mongodb::options::ServerAddress;
use ::mongodb::{Client, Database as AdminDatabase};

use super::{HostError, HostErrorKind, HostResult};
use crate::model::DatabaseAccess;

/// Patchday's own connections are known to the server by this, and a word that nobody else knows: a client that called
/// itself the same would be missed by whoever waits for the clients to leave.
fn app_name() -> String {
    // The kernel makes a new one for each reader. Without it we count as a client ourselves, which is told.
    let word = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    format!("patchday {}", word.trim())
}

/// For one question, from the first connection to the last answer. The driver has no limit of its own for a server
/// that accepts and then says nothing.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The MongoDB servers of this host. Every operation uses a connection of its own, straight to the one server: a
/// replica set's other members are never asked and never shut down.
#[derive(Debug, Clone)]
pub struct Mongo {
    root: PathBuf,
    secrets_owner: u32,
    credentials: Option<PathBuf>,
    app_name: String,
    /// Where a server was found to be: to read it anew may mean to ask a TPM.
    addresses: Arc<Mutex<Vec<(DatabaseAccess, ServerAddress)>>>,
}

impl Mongo {
    /// Reads files below `root`; `/` except in tests. Files with connection strings must belong to the user
    /// `secrets_owner`: 0 except in tests.
    pub fn new(root: PathBuf, secrets_owner: u32) -> Self {
        Self { root, secrets_owner, credentials: None, app_name: app_name(), addresses: Arc::default() }
    }

    /// Where systemd put the credentials of this service, if it did.
    #[must_use]
    pub fn with_credentials(self, credentials: Option<PathBuf>) -> Self {
        Self { credentials, ..self }
    }

    /// Where the server is.
    async fn address(&self, access: &DatabaseAccess) -> HostResult<ServerAddress> {
        let known = |all: &Vec<(DatabaseAccess, ServerAddress)>| {
            all.iter().find(|(known, _)| known == access).map(|(_, address)| address.clone())
        };
        if let Some(address) = known(&self.addresses.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(address);
        }
        let options = access::options(self, access).await?;
        let found = options.hosts.into_iter().next();
        let address = found.ok_or_else(|| HostError::failed("connect to MongoDB", "no server is named"))?;
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.push((access.clone(), address.clone()));
        Ok(address)
    }

    async fn connect(&self, access: &DatabaseAccess) -> HostResult<Client> {
        let options = access::options(self, access).await?;
        Client::with_options(options).map_err(|_| {
            HostError::failed("connect to MongoDB", "the connection string's options contradict each other")
        })
    }

    /// Asks within the time for one question, and closes the connections. `needs` is the privilege without which the
    /// server says no.
    async fn ask<T>(
        &self,
        what: &str,
        needs: &str,
        access: &DatabaseAccess,
        question: impl AsyncFnOnce(&AdminDatabase) -> Result<T, Error>,
    ) -> HostResult<T> {
        self.ask_within(QUESTION_TIMEOUT, what, needs, access, question).await
    }

    async fn ask_within<T>(
        &self,
        limit: Duration,
        what: &str,
        needs: &str,
        access: &DatabaseAccess,
        question: impl AsyncFnOnce(&AdminDatabase) -> Result<T, Error>,
    ) -> HostResult<T> {
        let client = self.connect(access).await?;
        let admin = client.database("admin");
        let limit =
            access.patience.and_then(|patience| Duration::try_from(patience).ok()).unwrap_or_default().max(limit);
        let answer = tokio::time::timeout(limit, question(&admin)).await;
        close(client).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.explain(what, needs, access, &error).await),
            Err(_) => {
                let why = format!("the server did not answer within {} s", limit.as_secs());
                Err(HostError::new(HostErrorKind::Unknown, what, why))
            }
        }
    }
}

impl Mongo {
    /// The driver's error in words of ours; where it says only that the server closed the connection, why it did.
    async fn explain(&self, what: &str, needs: &str, access: &DatabaseAccess, error: &Error) -> HostError {
        let told = errors::explain(what, needs, error);
        if !closed::says_no_more(&told.why) {
            return told;
        }
        let Ok(options) = access::options(self, access).await else { return told };
        let Some(address) = options.hosts.first() else { return told };
        let with_tls = matches!(options.tls, Some(::mongodb::options::Tls::Enabled(_)));
        let why = closed::explain(address, with_tls).await;
        HostError { why: format!("{why} ({})", told.why), ..told }
    }
}

/// Ends the connections now, so that they are not taken for clients later. A server that is gone has none.
async fn close(client: Client) {
    let _ended_or_not = tokio::time::timeout(Duration::from_secs(1), client.shutdown().immediate(true)).await;
}
