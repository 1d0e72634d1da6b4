//! When a service counts as ready.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::DatabaseAccess;

/// The test that a service must pass to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "kebab-case")]
pub enum ReadinessProbe {
    /// The unit is active.
    Unit,
    /// A TCP connection is accepted.
    Tcp {
        /// `HOST:PORT`.
        address: String,
    },
    /// A GET answers with the status, and with more where that is wanted.
    Http {
        /// The whole URL.
        url: String,
        /// The wanted status.
        status: u16,
        /// A header that the answer must have, as in `X-Ready: yes`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        header: Option<String>,
        /// A text that the body must hold.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        body: Option<String>,
    },
    /// A program of the user's ends with status 0.
    Command {
        /// Its absolute path, and its arguments.
        argv: Vec<String>,
    },
    /// The server answers `ping`.
    Mongodb(DatabaseAccess),
}

/// What a probe said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// Ready; how long the probe took.
    Ready(SignedDuration),
    /// Not ready, and why.
    NotReady(String),
}
