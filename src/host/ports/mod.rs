//! What steps and checks may ask of the host, by intent, and how it answers.

mod batches;
mod database;
mod kernel;
mod machine;
mod packages;
mod people;
mod set;
mod systemd;

pub use batches::{Batches, Spoiled};
pub use database::{Database, DatabaseForensics, DatabaseInsight, EndProofs, ShutdownSpec};
pub use kernel::{BootLoader, Kernels, Kexec};
pub use machine::{Clock, System};
pub use packages::{CommandLine, PackageLocks, PackageSurvey, PackageWork, Packages, RunningCode};
pub use people::{Deployments, Messenger, People, Prober, Witness};
pub use set::Host;
pub use systemd::{
    Budget, Inhibitor, InhibitorGuard, Journal, Power, Shutdown, UnitChanges, UnitHold, Units, WorkUnits,
};

/// Why the host did not do, or did not say, what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct HostError {
    /// What was tried, and on what.
    pub what: String,
    /// Why it failed, in the host's own words where it has any.
    pub why: String,
    /// What kind of failure it is.
    pub kind: HostErrorKind,
}

/// The kinds of failure that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostErrorKind {
    /// Nobody answered, or not in time: the truth is unknown.
    Unknown,
    /// The thing asked about does not exist.
    NotFound,
    /// The host said no.
    Refused,
    /// It was tried, and failed.
    Failed,
}

impl HostError {
    /// An error of the given kind.
    pub fn new(kind: HostErrorKind, what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string(), kind }
    }

    /// Whether TLS or a certificate is what is wrong, and not a login.
    pub fn is_about_tls(&self) -> bool {
        self.why.contains("TLS") || self.why.contains("certificate")
    }

    /// It was tried, and failed.
    pub fn failed(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::new(HostErrorKind::Failed, what, why)
    }
}

pub type HostResult<T> = Result<T, HostError>;
