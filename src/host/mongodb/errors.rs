//! The driver's errors in words of ours.

use ::mongodb::bson::Document;
use ::mongodb::error::{Error, ErrorKind};

use crate::host::tls_words::{self, Naming};
use crate::host::{HostError, HostErrorKind};

/// Where the connection string names certificates.
const NAMING: Naming = Naming {
    trust: "tlsCAFile=FILE in the connection string",
    client: "tlsCertificateKeyFile=FILE in the connection string",
};

/// Command errors by their numbers in the server's source.
pub(super) const UNAUTHORIZED: i32 = 13;
pub(super) const COMMAND_NOT_FOUND: i32 = 59;
pub(super) const NO_REPLICATION: i32 = 76;
/// It has a configuration, and is in none of its entries.
pub(super) const NOT_IN_ITS_SET: i32 = 93;
pub(super) const SET_NOT_INITIALIZED: i32 = 94;
const SHUTDOWN_IN_PROGRESS: i32 = 91;
const INTERRUPTED_AT_SHUTDOWN: i32 = 11600;

pub(super) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

/// What the role may not ask is none; every other error stays one.
pub(super) fn if_allowed(answer: Result<Document, Error>) -> Result<Option<Document>, Error> {
    match answer {
        Err(error) if code(&error) == Some(UNAUTHORIZED) => Ok(None),
        answer => answer.map(Some),
    }
}

/// The server answers `shutdown` by closing the connection.
pub(super) fn is_dropped_connection(error: &Error) -> bool {
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
pub(super) fn is_ending_already(error: &Error) -> bool {
    code(error).is_some_and(|code| [SHUTDOWN_IN_PROGRESS, INTERRUPTED_AT_SHUTDOWN].contains(&code))
}

/// Primaries that step down may close the connections that stand in their way.
pub(super) fn is_stepping_down(error: &Error) -> bool {
    const INTERRUPTED_BY_STATE_CHANGE: i32 = 11602;
    code(error) == Some(INTERRUPTED_BY_STATE_CHANGE)
}

/// The driver's error in words of ours. Only texts of the server and of the network are repeated: no connection string
/// and no credential is in them. `needs` is the privilege without which the server says no.
pub(super) fn explain(what: &str, needs: &str, error: &Error) -> HostError {
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
            let said = why_not_reached(message);
            let why = tls_words::explain(said, NAMING).unwrap_or_else(|| said.to_owned());
            (HostErrorKind::Unknown, format!("no server can be reached: {why}"))
        }
        ErrorKind::Io(error) => {
            let said = error.to_string();
            (HostErrorKind::Unknown, tls_words::explain(&said, NAMING).unwrap_or(said))
        }
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
