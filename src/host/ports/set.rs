//! The ports of one host, together.

use std::sync::Arc;

use super::{
    Batches, BootLoader, Budget, Database, DatabaseForensics, DatabaseInsight, Deployments, EndProofs, Journal,
    Kernels, Kexec, Messenger, PackageLocks, PackageSurvey, Packages, People, Power, Prober, RunningCode, Shutdown,
    System, Units, Witness, WorkUnits,
};
use crate::host::clock::RunClock;

/// All ports of one host. Shared, since the prober asks systemd and the database through their ports.
pub struct Host {
    /// Units that run services.
    pub units: Arc<dyn Units>,
    /// What services say of themselves.
    pub journal: Arc<dyn Journal>,
    /// Transient units that do long work.
    pub work: Arc<dyn WorkUnits>,
    /// The limits of all work.
    pub budget: Arc<dyn Budget>,
    pub power: Arc<dyn Power>,
    /// A shutdown that is under way.
    pub shutdown: Arc<dyn Shutdown>,
    /// MongoDB: who it is, and its end.
    pub database: Arc<dyn Database>,
    /// MongoDB: what it does, and how it stands.
    pub insight: Arc<dyn DatabaseInsight>,
    /// MongoDB: what it leaves in its files.
    pub forensics: Arc<dyn DatabaseForensics>,
    /// Other servers: what proves their clean end.
    pub end_proofs: Arc<dyn EndProofs>,
    pub packages: Arc<dyn Packages>,
    /// The locks of apt and dpkg.
    pub package_locks: Arc<dyn PackageLocks>,
    /// What of apt and dpkg is worth knowing before.
    pub package_survey: Arc<dyn PackageSurvey>,
    /// Packages that are installed without a sync for each file.
    pub batches: Arc<dyn Batches>,
    /// What runs, against what is installed.
    pub running_code: Arc<dyn RunningCode>,
    pub kernels: Arc<dyn Kernels>,
    pub boot_loader: Arc<dyn BootLoader>,
    /// A boot without the boot loader.
    pub kexec: Arc<dyn Kexec>,
    pub system: Arc<dyn System>,
    /// Who uses the host.
    pub people: Arc<dyn People>,
    /// Checkouts from which services run.
    pub deployments: Arc<dyn Deployments>,
    pub prober: Arc<dyn Prober>,
    /// Who saw the services of this boot become ready.
    pub witness: Arc<dyn Witness>,
    /// The way to people.
    pub messenger: Arc<dyn Messenger>,
    /// The time of the run, and waiting.
    pub clock: RunClock,
}
