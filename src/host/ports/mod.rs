//! What steps and checks may ask of the host, by intent, and how it answers.

mod database;
mod kernel;
mod machine;
mod packages;
mod people;
mod systemd;

use std::sync::Arc;

use crate::host::clock::RunClock;

pub use database::{Database, DatabaseForensics, DatabaseInsight, ShutdownSpec};
pub use kernel::{BootLoader, KernelBuilds, Kernels};
pub use machine::{Clock, Inventories, Premises, System};
pub use packages::{FetchedPlans, PackageLocks, PackageSurvey, PackageWork, Packages, RunningCode};
pub use people::{Deployments, Messenger, People, Prober};
pub use systemd::{
    Budget, HoldSpec, Inhibitor, InhibitorGuard, Journal, Power, Relations, Shutdown, UnitChanges, Units, WorkUnits,
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

/// What ports return.
pub type HostResult<T> = Result<T, HostError>;

/// All ports of one host. Shared, since the prober asks systemd and the database through their ports.
pub struct Host {
    /// Units that run services.
    pub units: Arc<dyn Units>,
    /// Units as a whole.
    pub relations: Arc<dyn Relations>,
    /// What services say of themselves.
    pub journal: Arc<dyn Journal>,
    /// Everything else that a host has.
    pub inventories: Arc<dyn Inventories>,
    /// Transient units that do long work.
    pub work: Arc<dyn WorkUnits>,
    /// The limits of all work.
    pub budget: Arc<dyn Budget>,
    /// logind.
    pub power: Arc<dyn Power>,
    /// A shutdown that is under way.
    pub shutdown: Arc<dyn Shutdown>,
    /// MongoDB: who it is, and its end.
    pub database: Arc<dyn Database>,
    /// MongoDB: what it does, and how it stands.
    pub insight: Arc<dyn DatabaseInsight>,
    /// MongoDB: what it leaves in its files.
    pub forensics: Arc<dyn DatabaseForensics>,
    /// apt and dpkg.
    pub packages: Arc<dyn Packages>,
    /// The locks of apt and dpkg.
    pub package_locks: Arc<dyn PackageLocks>,
    /// What was fetched beforehand.
    pub fetched_plans: Arc<dyn FetchedPlans>,
    /// What of apt and dpkg is worth knowing before.
    pub package_survey: Arc<dyn PackageSurvey>,
    /// What runs, against what is installed.
    pub running_code: Arc<dyn RunningCode>,
    /// Kernels.
    pub kernels: Arc<dyn Kernels>,
    /// Kernels that are built here.
    pub kernel_builds: Arc<dyn KernelBuilds>,
    /// The boot loader.
    pub boot_loader: Arc<dyn BootLoader>,
    /// The host itself.
    pub system: Arc<dyn System>,
    /// What the host stands on.
    pub premises: Arc<dyn Premises>,
    /// Who uses the host.
    pub people: Arc<dyn People>,
    /// Checkouts from which services run.
    pub deployments: Arc<dyn Deployments>,
    /// Readiness of services.
    pub prober: Arc<dyn Prober>,
    /// The way to people.
    pub messenger: Arc<dyn Messenger>,
    /// The time of the run, and waiting.
    pub clock: RunClock,
}
