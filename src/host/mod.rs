//! The ports: what steps and checks may ask of the host, by intent. The adapters below implement them with zbus, the
//! MongoDB driver and child processes; nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::model::{
    BootId, BootSurvey, BuiltKernel, Canary, ChangedConffile, Checkout, ClientConnection, DatabaseAccess,
    DatabaseCondition, DatabaseFacts, DatabaseStartEvidence, DatabaseStopEvidence, DkmsModule, FetchedPlan, FileSystem,
    Footprint, FstabEntry, GroupUse, Inventory, JobResult, KernelFacts, KernelSource, ListeningSocket, LockHolder,
    MongodSymptoms, Mount, OldCode, OneShotBoot, Outdated, PackageState, Parcel, PendingJob, PortPeers, PowerSupply,
    Readiness, ReadinessProbe, ReplicaSet, Resources, RunId, RunningOperation, Session, SliceLimits, SourceState,
    TrialEnd, UnitName, UnitProcess, UnitRelations, UnitState, UnitSurvey, UpgradePlan, WorkLook, WorkProcess,
    WorkProgress, WorkSpec,
};

pub mod apt;
pub mod boot_clock;
pub mod boot_menu;
pub mod bus;
pub mod clock;
pub mod clock_state;
pub mod command;
pub mod foreign;
pub mod git;
pub mod grub;
#[cfg(test)]
pub(crate) mod hostile;
pub mod inventory;
pub mod journal;
pub mod kernel;
pub mod logind;
pub mod messenger;
pub mod mongodb;
pub mod people;
pub mod placed;
pub mod premises;
pub mod probe;
pub mod running_code;
pub mod secret;
pub mod sockets;
pub mod system;
pub mod systemd;
pub mod tls_words;
pub mod trusted;
pub mod way;

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

/// What a hold does besides keeping the unit from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HoldSpec {
    /// Raises `TimeoutStopSec=` of the unit to this while it is held, so that systemd does not SIGKILL a service that
    /// needs longer to stop. None leaves the unit's own.
    pub stop_timeout: Option<SignedDuration>,
}

/// Units that run services.
#[async_trait]
pub trait Units: Send + Sync {
    /// Everything about one unit. A unit that does not exist has the load state `not-found`.
    async fn state(&self, unit: &UnitName) -> HostResult<UnitState>;

    /// The processes in its control group, children of the main process too.
    async fn processes(&self, unit: &UnitName) -> HostResult<Vec<UnitProcess>>;

    /// Starts the unit and waits for the job, at most `timeout`. `Unknown` when the job is still at it by then.
    async fn start(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult>;

    /// Restarts the unit, also one that systemd has given up on, and waits for the job as [`Self::start`] does.
    async fn restart(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult>;

    /// Stops the unit and waits for the job, at most `timeout`. `Unknown` when the job is still at it by then; the job
    /// goes on. Never kills.
    async fn stop(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult>;

    /// Keeps the unit from starting by whatever way, until released or rebooted. Idempotent.
    async fn hold(&self, unit: &UnitName, hold: HoldSpec) -> HostResult<()>;

    /// Holds several units, of which none runs a database, with one reload of systemd at most.
    async fn hold_all(&self, units: &[UnitName]) -> HostResult<()>;

    /// Keeps everybody from stopping or restarting the unit by its name, as scripts of packages do, until it is held,
    /// released, or rebooted. A unit that is held stays so. Idempotent.
    async fn protect(&self, unit: &UnitName) -> HostResult<()>;

    /// Takes hold and protection away. Idempotent.
    async fn release(&self, unit: &UnitName) -> HostResult<()>;

    /// Releases several units, with one reload of systemd at most. Idempotent.
    async fn release_all(&self, units: &[UnitName]) -> HostResult<()>;

    /// All units at this instant.
    async fn survey(&self) -> HostResult<UnitSurvey>;
}

/// Units as a whole: how they hang together, and what happens to them.
#[async_trait]
pub trait Relations: Send + Sync {
    /// The relations of these units, and of all that they need, want or are ordered after, near and far.
    async fn relations(&self, units: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>>;

    /// The relations of these units, and of all that a stop of them stops, or that starts them, near and far.
    async fn dependents(&self, units: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>>;

    /// From now on, listens to what happens to units.
    async fn listen(&self) -> HostResult<Box<dyn UnitChanges>>;
}

/// What happens to units.
#[async_trait]
pub trait UnitChanges: Send {
    /// Units that changed since the last call: at once where there are some, or as soon as there are, at most after
    /// `timeout`. A hint and no more: signals get lost, so that whoever needs to know looks besides.
    async fn next(&mut self, timeout: SignedDuration) -> BTreeSet<UnitName>;
}

/// What services say of themselves.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The last lines that the unit, and systemd about it, wrote since the boot; oldest first.
    async fn last_lines(&self, unit: &UnitName, count: usize) -> HostResult<Vec<String>>;
}

/// What a host has besides units, sockets and packages.
#[async_trait]
pub trait Inventories: Send + Sync {
    /// All of it at this instant. What cannot be read is unknown, each by itself.
    async fn inventory(&self) -> Inventory;
}

/// Transient units that do long work.
#[async_trait]
pub trait WorkUnits: Send + Sync {
    /// Starts the work; returns once its program runs.
    async fn start(&self, spec: &WorkSpec) -> HostResult<()>;

    /// Looks at it. Errors of the bus become [`WorkLook::Unknown`].
    async fn look(&self, unit: &UnitName) -> WorkLook;

    /// The processes that are at it.
    async fn at_work(&self, unit: &UnitName) -> HostResult<Vec<WorkProcess>>;

    /// Ends the unit, with all that it started, and forgets it. Only for what may be cut short: never for dpkg. Idempotent.
    async fn end(&self, unit: &UnitName) -> HostResult<()>;

    /// Forgets an ended unit, once its outcome is saved. Idempotent.
    async fn collect(&self, unit: &UnitName) -> HostResult<()>;

    /// Work units of the run that have ended, and that systemd still keeps.
    async fn ended(&self, run: &RunId) -> HostResult<Vec<UnitName>>;

    /// Takes services of ours that were killed while they carried this run off systemd's list of what failed; names them.
    async fn forget_killed(&self, run: &RunId) -> HostResult<Vec<UnitName>>;

    /// What was appended to a log or status file since `offset` bytes; a file that does not exist is empty. Ends after
    /// a whole line; returns the new offset.
    async fn read_since(&self, file: &Path, offset: u64) -> HostResult<(String, u64)>;

    /// Starts `program` with `args` as a service of its own which outlives the caller (the coordinator). The unit is
    /// forgotten when it ends.
    async fn start_service(&self, unit: &UnitName, description: &str, argv: &[String]) -> HostResult<()>;
}

/// The slice that all long work shares, and its limits.
#[async_trait]
pub trait Budget: Send + Sync {
    /// Its name.
    fn slice(&self) -> UnitName;

    /// The limits that systemd has for it.
    async fn limits(&self) -> HostResult<SliceLimits>;

    /// Sets its limits until the next boot, also while work runs.
    async fn set_limits(&self, limits: &SliceLimits) -> HostResult<()>;

    /// What the kernel enforces, and what was used; none while no work runs.
    async fn usage(&self) -> HostResult<Option<GroupUse>>;
}

/// A lock that keeps the host from shutting down; released on drop.
pub trait InhibitorGuard: Send + Sync {}

/// A lock held in logind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inhibitor {
    /// What it inhibits, as in `shutdown:sleep`.
    pub what: String,
    /// Who holds it.
    pub who: String,
    /// Why.
    pub why: String,
    /// `block` or `delay`.
    pub mode: String,
    /// Process that took it.
    pub pid: u32,
}

impl Inhibitor {
    /// Whether it stands in the way of a shutdown, rather than delaying one or inhibiting something else.
    pub fn blocks_shutdown(&self) -> bool {
        self.mode == "block" && self.what.split(':').any(|what| what == "shutdown")
    }
}

impl std::fmt::Display for Inhibitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {}): {}", self.who, self.pid, self.why)
    }
}

/// logind.
#[async_trait]
pub trait Power: Send + Sync {
    /// Keeps the host from shutting down and sleeping until the guard is dropped.
    async fn inhibit(&self, why: &str) -> HostResult<Box<dyn InhibitorGuard>>;

    /// Everybody's locks.
    async fn inhibitors(&self) -> HostResult<Vec<Inhibitor>>;

    /// Type and time of a scheduled shutdown.
    async fn scheduled_shutdown(&self) -> HostResult<Option<(String, Timestamp)>>;

    /// Whether a shutdown that was asked for is on its way; logind may still give others a moment before systemd begins.
    async fn prepares_shutdown(&self) -> HostResult<bool>;

    /// Asks for an orderly, full reboot. The caller must hold no block lock of its own: since systemd 257 it would
    /// stop root as well.
    async fn reboot(&self) -> HostResult<()>;
}

/// A shutdown that is under way, or does not come to its end.
#[async_trait]
pub trait Shutdown: Send + Sync {
    /// All jobs that systemd has to do, those of the shutdown among them.
    async fn jobs(&self) -> HostResult<Vec<PendingJob>>;

    /// Whether systemd is on its way down, or has a shutdown to do.
    async fn is_under_way(&self) -> HostResult<bool>;

    /// Begins an orderly reboot without logind, which is gone or forgets what it is asked. Idempotent.
    async fn begin(&self) -> HostResult<()>;

    /// Takes a shutdown back: nothing more is stopped, and what belongs to a running host is started again, but for what
    /// is held. False where there is none to take back. Idempotent.
    async fn take_back(&self) -> HostResult<bool>;

    /// Reboots without waiting for services; what still runs is killed.
    async fn force(&self) -> HostResult<()>;

    /// How often all but the kernel was started anew since the boot; none where systemd does not count it (before 256).
    async fn soft_reboots(&self) -> HostResult<Option<u32>>;

    /// Lets somebody who outlives the shutdown look whether the host is still up after this time, and go on with the run
    /// then.
    async fn watch(&self, run: &RunId, after: SignedDuration) -> HostResult<()>;

    /// Nobody needs to look: no shutdown has come of the request. Idempotent.
    async fn unwatch(&self, run: &RunId) -> HostResult<()>;
}

/// How a MongoDB server shall go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownSpec {
    /// How long a member of a replica set tells its clients to go elsewhere before it closes: `timeoutSecs`.
    pub quiesce: SignedDuration,
    /// Go even where nobody takes over: for the last member of a set that goes down as a whole.
    pub force: bool,
    /// How long to wait for the answer.
    pub patience: SignedDuration,
}

/// A MongoDB server: who it is, and its orderly end.
#[async_trait]
pub trait Database: Send + Sync {
    /// Asks who it is; a server that answers is up.
    async fn facts(&self, access: &DatabaseAccess) -> HostResult<DatabaseFacts>;

    /// Hands the primary's part to a secondary, which may take `catch_up` to have all writes.
    async fn step_down(&self, access: &DatabaseAccess, catch_up: SignedDuration) -> HostResult<()>;

    /// Asks for the end of one operation.
    async fn kill_operation(&self, access: &DatabaseAccess, id: i64) -> HostResult<()>;

    /// Ends the sessions of these users, written as `api@admin`, and with them what they have under way.
    async fn kill_sessions(&self, access: &DatabaseAccess, users: &[String]) -> HostResult<()>;

    /// Sends `shutdown`. The connection that the server drops is success; it is no proof.
    async fn shutdown(&self, access: &DatabaseAccess, shutdown: ShutdownSpec) -> HostResult<()>;
}

/// What a MongoDB server does, for whom, and how it stands. Reads only.
#[async_trait]
pub trait DatabaseInsight: Send + Sync {
    /// Client connections other than our own, idle ones too.
    async fn clients(&self, access: &DatabaseAccess) -> HostResult<Vec<ClientConnection>>;

    /// Operations of clients other than us, and index builds.
    async fn operations(&self, access: &DatabaseAccess) -> HostResult<Vec<RunningOperation>>;

    /// The replica set as this member sees it; none for a server that is in none.
    async fn replica_set(&self, access: &DatabaseAccess) -> HostResult<Option<ReplicaSet>>;

    /// How it stands.
    async fn condition(&self, access: &DatabaseAccess) -> HostResult<DatabaseCondition>;

    /// How many documents of a collection have a time in `field` that is not before `since`.
    async fn count_since(
        &self,
        access: &DatabaseAccess,
        collection: &str,
        field: &str,
        since: Timestamp,
    ) -> HostResult<u64>;

    /// Counts and sums a collection, named as `shop.orders`.
    async fn canary(&self, access: &DatabaseAccess, collection: &str) -> HostResult<Canary>;
}

/// What a MongoDB server leaves in its files: told whether it runs or not.
#[async_trait]
pub trait DatabaseForensics: Send + Sync {
    /// What the stopped server left behind.
    async fn stop_evidence(&self, facts: &DatabaseFacts) -> DatabaseStopEvidence;

    /// What the started server says of the end before.
    async fn start_evidence(&self, facts: &DatabaseFacts) -> DatabaseStartEvidence;

    /// The facts of the server that runs as process `pid`, with the paths of its files as this host has them: in a
    /// container it sees others. None for a file that cannot be reached from here.
    async fn places(&self, facts: DatabaseFacts, pid: u32) -> DatabaseFacts;

    /// The clients with the age of their connections, as far as the log tells.
    async fn with_ages(
        &self,
        facts: &DatabaseFacts,
        clients: Vec<ClientConnection>,
        now: Timestamp,
    ) -> Vec<ClientConnection>;

    /// What is seen of the mongod that a unit starts, or fails to start. `NotFound` where it starts none.
    async fn symptoms(&self, unit: &UnitName) -> HostResult<MongodSymptoms>;
}

/// Packaging work that runs in a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageWork {
    /// `apt-get update`; fails when any source fails.
    Refresh,
    /// Downloads what a dist-upgrade needs.
    Download,
    /// The dist-upgrade, from what is downloaded. `--no-remove` unless removals were allowed.
    Upgrade {
        /// The plan removes packages, and every one of them is allowed.
        removals_allowed: bool,
    },
    /// Installs these packages, written as `NAME=VERSION`, from what is downloaded, and leaves them marked as
    /// automatically installed: apt removes kernels that nobody asked for by itself when they are old.
    Install(Vec<String>),
    /// Installs packages that lie in these files, for good: nobody else asks for them.
    InstallFiles(Vec<PathBuf>),
    /// Removes these packages with all that is theirs.
    Purge(Vec<String>),
    /// `dpkg --configure -a`, keeping old conffiles.
    Configure,
    /// `apt-get --reinstall install` of these packages, which `--fix-broken` would only try to configure.
    Reinstall(Vec<String>),
    /// `apt-get --fix-broken install`.
    FixBroken,
}

/// apt and dpkg.
#[async_trait]
pub trait Packages: Send + Sync {
    /// What a dist-upgrade would do with the lists as they are now. Needs no lock and changes nothing.
    async fn simulate(&self) -> HostResult<UpgradePlan>;

    /// The same for the installation of these packages, written as `NAME=VERSION`.
    async fn simulate_install(&self, packages: &[String]) -> HostResult<UpgradePlan>;

    /// The same for the removal of these packages.
    async fn simulate_purge(&self, packages: &[String]) -> HostResult<UpgradePlan>;

    /// Files of a dist-upgrade that are not on the host, and would have to come from another one.
    async fn unfetched(&self) -> HostResult<Vec<String>>;

    /// Whether dpkg's database is consistent.
    async fn state(&self) -> HostResult<PackageState>;

    /// Who holds a lock of apt or dpkg now. Takes none itself.
    async fn lock_holders(&self) -> HostResult<Vec<LockHolder>>;

    /// Installed packages and their versions.
    async fn installed(&self) -> HostResult<BTreeMap<String, String>>;

    /// Program, arguments and environment of the work; everything else of the spec is the caller's.
    fn command(&self, work: &PackageWork) -> (Vec<String>, Vec<(String, String)>);

    /// Reads one line of the status descriptor of that work; none for a line that tells no progress. The work counts,
    /// since an upgrade that first fetches from a local repository counts to 100 % twice.
    fn progress(&self, work: &PackageWork, line: &str) -> Option<WorkProgress>;
}

/// The locks of apt and dpkg in our own hands: from the end of our own work to the shutdown nobody begins to work on packages,
/// which the reboot would cut off.
#[async_trait]
pub trait PackageLocks: Send + Sync {
    /// The unit that holds them for a run.
    fn unit(&self, run: &RunId) -> HostResult<UnitName>;

    /// Queues for all of them, behind whoever has them now. They are kept until they are released or the host is down,
    /// whatever becomes of the caller, but for an hour at most. Idempotent.
    async fn queue(&self, run: &RunId) -> HostResult<()>;

    /// Gives them up, and the place in the queue. Idempotent.
    async fn release(&self, run: &RunId) -> HostResult<()>;
}

/// What is fetched on one day and installed on another: packages, and the lists that they are in. Neither a newer refresh of
/// the host's own lists nor a cleared cache touches them.
#[async_trait]
pub trait FetchedPlans: Send + Sync {
    /// Forgets the plan before, and makes a place for what comes. From now on nothing counts as fetched.
    async fn begin(&self) -> HostResult<()>;

    /// Keeps the plan, all of whose packages are there; packages of earlier plans go. On return it survives a power cut.
    async fn keep(&self, plan: &FetchedPlan) -> HostResult<()>;

    /// The plan that is kept; none where nothing was fetched to its end.
    async fn kept(&self) -> HostResult<Option<FetchedPlan>>;
}

/// What of apt and dpkg is worth knowing before the work begins, and after it. All of it only looks.
#[async_trait]
pub trait PackageSurvey: Send + Sync {
    /// Every source of apt, each asked for its index.
    async fn sources(&self) -> HostResult<Vec<SourceState>>;

    /// When the package lists were refreshed last; none for never.
    async fn lists_refreshed(&self) -> HostResult<Option<Timestamp>>;

    /// Configuration files of these packages that were changed on this host.
    async fn changed_conffiles(&self, packages: &[String]) -> HostResult<Vec<ChangedConffile>>;

    /// Packages that somebody put on hold.
    async fn held(&self) -> HostResult<Vec<String>>;

    /// Why dpkg would not begin to work, in its own words; empty where it would.
    async fn refusals(&self) -> HostResult<Vec<String>>;

    /// Commands that apt calls before dpkg, and whose failure ends its work.
    async fn hooks_before_dpkg(&self) -> HostResult<Vec<String>>;

    /// What these packages have on which file systems now; nothing of those that are not installed.
    async fn footprints(&self, packages: &[String]) -> HostResult<BTreeMap<String, Footprint>>;

    /// What still runs with files that were replaced; none where nobody can tell, since needrestart is not installed.
    async fn outdated(&self) -> HostResult<Option<Outdated>>;
}

/// What runs, against what is installed.
#[async_trait]
pub trait RunningCode: Send + Sync {
    /// Everybody who runs files of packages that were replaced. `Unknown` where not all could be looked at.
    async fn old_code(&self) -> HostResult<Vec<OldCode>>;
}

/// Kernels.
#[async_trait]
pub trait Kernels: Send + Sync {
    /// What runs, what is installed, what is unmitigated.
    async fn facts(&self) -> HostResult<KernelFacts>;

    /// DKMS modules; empty where dkms is not installed.
    async fn dkms(&self) -> HostResult<Vec<DkmsModule>>;

    /// What the next boot needs besides a kernel.
    async fn boot_survey(&self) -> HostResult<BootSurvey>;

    /// Modules that DKMS would not build for this kernel, named as in `zfs/2.1.11`, with what of their `dkms.conf` says so.
    async fn excluded(&self, release: &str) -> HostResult<BTreeMap<String, String>>;

    /// Program, arguments and environment that build these modules, each named as in `zfs/2.1.11`, for one kernel.
    fn dkms_command(&self, release: &str, modules: &[String]) -> (Vec<String>, Vec<(String, String)>);
}

/// Kernels that are built on this host.
#[async_trait]
pub trait KernelBuilds: Send + Sync {
    /// What a build would fail for: files that are not there or not root's own, tools that are not installed.
    async fn lacking(&self, source: &KernelSource) -> HostResult<Vec<String>>;

    /// Whether a build would make a kernel that is not installed; true as well where only a build would tell.
    async fn is_due(&self, source: &KernelSource) -> bool;

    /// Program, arguments and environment of the build, which runs so many jobs side by side. It ends well, and builds
    /// nothing, where the kernel is installed.
    fn command(&self, source: &KernelSource, jobs: u32) -> (Vec<String>, Vec<(String, String)>);

    /// Reads one line of the status descriptor of a build.
    fn progress(&self, line: &str) -> Option<WorkProgress>;

    /// What the last build left.
    async fn built(&self, source: &KernelSource) -> HostResult<BuiltKernel>;
}

/// The boot loader.
#[async_trait]
pub trait BootLoader: Send + Sync {
    /// How it would start one kernel once, and another one after that. Changes nothing; an error says why it cannot.
    async fn one_shot(&self, kernel: &str, fallback: &str) -> HostResult<OneShotBoot>;

    /// Has it do so. Idempotent.
    async fn begin_trial(&self, boot: &OneShotBoot) -> HostResult<()>;

    /// Ends the trial, whether or not the boot came. Idempotent.
    async fn end_trial(&self, boot: &OneShotBoot, end: TrialEnd) -> HostResult<()>;
}

/// The host itself.
#[async_trait]
pub trait System: Send + Sync {
    /// The boot that is running; none where the kernel's answer is no boot ID.
    async fn boot(&self) -> Option<BootId>;

    /// Since the boot.
    async fn uptime(&self) -> HostResult<SignedDuration>;

    /// Free bytes of the file systems that hold the given paths; paths that do not exist are left out.
    async fn free_space(&self, paths: &[&str]) -> HostResult<BTreeMap<String, u64>>;

    /// CPUs, memory and load.
    async fn resources(&self) -> HostResult<Resources>;

    /// Mount points and their sources, without those of the kernel (`proc`, `sysfs`, cgroups …) and below `/run`.
    async fn mounts(&self) -> HostResult<BTreeMap<String, String>>;

    /// Who listens where over TCP.
    async fn listening_sockets(&self) -> HostResult<Vec<ListeningSocket>>;
}

/// What the host stands on.
#[async_trait]
pub trait Premises: Send + Sync {
    /// The file systems that hold the given paths, each once; paths that do not exist are left out.
    async fn file_systems(&self, paths: &[&str]) -> HostResult<Vec<FileSystem>>;

    /// Everything that is mounted.
    async fn mounts(&self) -> HostResult<Vec<Mount>>;

    /// The lines of `/etc/fstab`; none where there is no such file.
    async fn fstab(&self) -> HostResult<Vec<FstabEntry>>;

    /// Mains and batteries; none where the host has none that it could tell of.
    async fn power_supplies(&self) -> HostResult<Vec<PowerSupply>>;

    /// Why root must not run this command: somebody else could replace a part of it; none where nobody can.
    async fn distrust(&self, command: &[String]) -> HostResult<Option<String>>;

    /// Whether the kernel's clock is kept right by somebody.
    async fn clock_synchronized(&self) -> HostResult<bool>;
}

/// Who uses the host.
#[async_trait]
pub trait People: Send + Sync {
    /// Sessions of people.
    async fn sessions(&self) -> HostResult<Vec<Session>>;

    /// Connections that stand to these TCP ports of this host, by where they come from.
    async fn peers(&self, ports: &[u16]) -> HostResult<Vec<PortPeers>>;
}

/// Checkouts from which services run.
#[async_trait]
pub trait Deployments: Send + Sync {
    /// What is only here, in the checkout at `path`. Asks no other host, writes nothing, and runs nothing of the checkout
    /// as anybody but its owner.
    async fn look(&self, path: &str) -> HostResult<Checkout>;
}

/// Readiness of services.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Tests once, and gives up after `timeout`. Never an error: what cannot be told is not ready.
    async fn probe(&self, unit: &UnitName, probe: &ReadinessProbe, timeout: SignedDuration) -> Readiness;

    /// The number that a page of an application answers with: alone, or the only number of an object in JSON.
    async fn count(&self, url: &str) -> HostResult<u64>;
}

/// The way to people.
#[async_trait]
pub trait Messenger: Send + Sync {
    /// Sends once, and gives up after seconds. `Unknown` where a later try may succeed. No error repeats a secret.
    async fn send(&self, parcel: &Parcel) -> HostResult<()>;
}

/// The clock, and waiting.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall's time: for people and calendars. Anybody may set it at any moment.
    fn wall(&self) -> Timestamp;

    /// The kernel's clock: nobody sets it, and it counts while the machine is suspended.
    fn since_boot(&self) -> SignedDuration;

    /// Waits.
    async fn sleep(&self, duration: SignedDuration);
}

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
    pub clock: clock::RunClock,
}
