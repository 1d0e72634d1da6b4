//! systemd and logind: units, work, limits, and the shutdown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::HostResult;
use crate::model::{
    BootTime, GroupUse, JobResult, PendingJob, Restart, RunId, SliceLimits, SoftHindrance, UnitName, UnitProcess,
    UnitRelations, UnitStart, UnitState, UnitSurvey, WorkLook, WorkProcess, WorkSpec,
};

/// A unit to hold, and what that does besides keeping it from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitHold {
    pub unit: UnitName,
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

    /// What starts it, by the files that systemd has read.
    async fn start_of(&self, unit: &UnitName) -> HostResult<UnitStart>;

    /// Starts the unit and waits for the job, at most `timeout`. `Unknown` when the job is still at it by then.
    async fn start(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult>;

    /// Restarts the unit, also one that systemd has given up on, and waits for the job as [`Self::start`] does.
    async fn restart(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult>;

    /// Stops the unit and waits for the job, at most `timeout`. `Unknown` when the job is still at it by then; the job
    /// goes on. Never kills.
    async fn stop(&self, unit: &UnitName, timeout: SignedDuration) -> HostResult<JobResult>;

    /// Keeps the units from starting by whatever way, until released or rebooted, with one reload of systemd at most: on a
    /// host with many units each takes a while. One that does not exist is held should it come. Idempotent.
    async fn hold(&self, holds: &[UnitHold]) -> HostResult<()>;

    /// Keeps everybody from stopping or restarting the unit by its name, as scripts of packages do, until it is held,
    /// released, or rebooted. A unit that is held stays so. Idempotent.
    async fn protect(&self, unit: &UnitName) -> HostResult<()>;

    /// Takes hold and protection away, with one reload of systemd at most. Idempotent.
    async fn release(&self, units: &[UnitName]) -> HostResult<()>;

    /// Before a soft reboot: these units are held until systemd reads its files anew, and not longer. What is left of the
    /// holds afterwards is taken away by [`Self::release`]. Idempotent.
    async fn let_go(&self, units: &[UnitName]) -> HostResult<()>;

    /// Microseconds from the boot until systemd last began with the host itself: after a soft reboot, when that began.
    async fn userspace_began(&self) -> HostResult<u64>;

    /// How long the boot that runs took until these services were active; none if that is not known yet.
    async fn boot_time(&self, services: &[UnitName]) -> HostResult<Option<BootTime>>;

    /// All units at this instant.
    async fn survey(&self) -> HostResult<UnitSurvey>;

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
    pub who: String,
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

#[async_trait]
pub trait Power: Send + Sync {
    /// Keeps the host from shutting down and sleeping until the guard is dropped.
    async fn inhibit(&self, why: &str) -> HostResult<Box<dyn InhibitorGuard>>;

    async fn inhibitors(&self) -> HostResult<Vec<Inhibitor>>;

    /// Type and time of a scheduled shutdown.
    async fn scheduled_shutdown(&self) -> HostResult<Option<(String, Timestamp)>>;

    /// Whether a shutdown that was asked for is on its way; logind may still give others a moment before systemd begins.
    async fn prepares_shutdown(&self) -> HostResult<bool>;

    /// Asks for an orderly restart. The caller must hold no block lock of its own: since systemd 257 it would stop root
    /// as well.
    async fn reboot(&self, restart: Restart) -> HostResult<()>;
}

/// A shutdown that is under way, or does not come to its end.
#[async_trait]
pub trait Shutdown: Send + Sync {
    /// All jobs that systemd has to do, those of the shutdown among them.
    async fn jobs(&self) -> HostResult<Vec<PendingJob>>;

    /// Whether systemd is on its way down, or has a shutdown to do.
    async fn is_under_way(&self) -> HostResult<bool>;

    /// Begins an orderly restart without logind, which is gone or forgets what it is asked. Idempotent.
    async fn begin(&self, restart: Restart) -> HostResult<()>;

    /// Takes a shutdown back: nothing more is stopped, and what belongs to a running host is started again, but for what
    /// is held. False where there is none to take back. Idempotent.
    async fn take_back(&self) -> HostResult<bool>;

    /// Reboots without waiting for services; what still runs is killed. In full, also where a kernel is loaded.
    async fn force(&self) -> HostResult<()>;

    /// How often all but the kernel was started anew since the boot; none if systemd does not count it (before 256).
    async fn soft_reboots(&self) -> HostResult<Option<u32>>;

    /// What keeps this host from a soft reboot; none if nothing does.
    async fn hinders_soft_reboot(&self) -> Option<SoftHindrance>;

    /// Lets somebody who outlives the shutdown look whether the host is still up after this time, and go on with the run
    /// then.
    async fn watch(&self, run: &RunId, after: SignedDuration) -> HostResult<()>;

    /// Nobody needs to look: no shutdown has come of the request. Idempotent.
    async fn unwatch(&self, run: &RunId) -> HostResult<()>;
}
