//! Long work in a transient unit of its own.

use std::path::PathBuf;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::UnitName;

/// A transient unit that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkSpec {
    /// Its name, derived from the run ID so that it is found again.
    pub unit: UnitName,
    /// `Description=`.
    pub description: String,
    /// Program (an absolute path) and arguments; [`WorkSpec::STATUS_FD`] within an argument stands for the number of
    /// the descriptor of `status`.
    pub argv: Vec<String>,
    /// `Environment=`.
    pub environment: Vec<(String, String)>,
    /// Whether that is all of its environment: what systemd's manager gives to every service stays out, but for proxies.
    /// For programs whose words are read by us; a program of the administrator is started as any service of the host is.
    pub is_pinned: bool,
    /// Whether it is kept from what no program of an administrator needs; see [`crate::host::systemd`].
    pub is_sandboxed: bool,
    /// `Nice=`; every other limit is the slice's.
    pub nice: i32,
    /// Output and errors are appended here.
    pub log: PathBuf,
    /// Machine-readable progress is appended here, through a descriptor.
    pub status: Option<PathBuf>,
    /// After this it is ended, with all that it started. Never for packaging work, which nobody may cut short.
    pub timeout: Option<SignedDuration>,
}

impl WorkSpec {
    /// Placeholder for the number of the status descriptor.
    pub const STATUS_FD: &'static str = "@STATUS_FD@";
}

/// How a work unit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOutcome {
    /// `Service.Result`.
    pub result: String,
    /// Exit status; none if the process was killed or could not be started.
    pub exit_status: Option<i32>,
    /// CPU time in microseconds; none if systemd did not count.
    pub cpu_usec: Option<u64>,
}

impl WorkOutcome {
    /// systemd says success, and the process exited with 0. Anything unknown is no success.
    pub fn succeeded(&self) -> bool {
        self.result == "success" && self.exit_status == Some(0)
    }
}
