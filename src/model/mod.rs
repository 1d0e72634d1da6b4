//! Data only: what Patchday knows, wants and has seen. No I/O, no clock, no D-Bus.

mod ahead_choice;
mod attempt;
mod baseline;
mod batch;
mod boot_needs;
mod boot_room;
mod boot_source;
mod boot_time;
mod change;
mod clock;
mod companion;
mod credentials;
mod database;
mod database_access;
mod deployment;
mod end_proof;
mod ending;
mod estimate;
mod fact;
mod fetched_plan;
mod finding;
mod finding_key;
mod graph;
mod hindrance;
mod hold;
mod hook;
mod hook_run;
mod host_pace;
mod ids;
mod inventory;
mod kernel;
mod kernel_source;
mod last_look;
mod latency;
mod least_restart;
mod limits;
mod modules;
mod names;
mod nature;
mod next_kernel;
mod notify;
mod observation;
mod one_shot_boot;
mod outdated;
mod owed;
mod packages;
mod packaging_work;
mod people;
mod phase;
mod premises;
mod probe;
mod progress;
mod related;
mod related_list;
mod resources;
mod restart;
mod room;
mod run;
mod run_restart;
mod run_time;
mod run_window;
mod selection;
mod server_process;
mod service;
mod sighting;
pub mod spoken;
mod standstill;
mod step;
mod subject;
mod symptoms;
mod unit;
mod unsynced;
mod verification;
mod version;
mod wave;
mod work;
mod work_log;

pub use ahead_choice::{AheadChoice, WaitingPackage};
pub use attempt::{Attempt, AttemptRecord, Outcome};
pub use baseline::{Baseline, ListeningSocket, ServiceBaseline};
pub use batch::{BatchArchive, BatchPlan};
pub use boot_needs::{BootNeeds, KnownPackage};
pub use boot_room::TightBoot;
pub use boot_source::{BootSource, LoaderDefault, LoaderEntry};
pub use boot_time::{BootMoments, BootTime};
pub use change::Change;
pub use clock::{ClockAnchor, in_utc, time_on_next_boot};
pub use companion::{Companion, companions, is_handed_over, is_trigger, taken_along};
pub use credentials::{redacted, server_of, split_authority, with_redacted_urls, without_credentials};
pub use database::{
    Canary, ClientConnection, DatabaseCondition, DatabaseFacts, DatabaseReturn, DatabaseStartEvidence,
    DatabaseStopEvidence, ReplicaMember, ReplicaSet, RunningOperation, summary_of_clients,
};
pub use database_access::DatabaseAccess;
pub use deployment::Checkout;
pub use end_proof::{EndEvidence, ExpectedProof, InnodbEnd, LogMark, LogPlace, ProofSource, RedisEnd, WantedProof};
pub use estimate::{Basis, Estimate, PackagingPace, Saving, StepEstimate};
pub use fact::Fact;
pub use fetched_plan::FetchedPlan;
pub use finding::{CheckResult, Finding, Remedy, Severity};
pub use finding_key::FindingKey;
pub use graph::DependencyGraph;
pub use hindrance::{KexecHindrance, SoftHindrance};
pub use hold::{Hold, HoldEntry};
pub use hook::{Hook, HookId, HookPoint, HookPolicy};
pub use hook_run::{HookEnd, HookRun};
pub use host_pace::HostPace;
pub use ids::{BootId, InvalidId, RunId, UnitName};
pub use inventory::{Address, Inventory, Modules, Reading, Route, Sysctl};
pub use kernel::{
    BootEntries, BootSurvey, DkmsModule, DkmsState, InstalledKernel, KernelFacts, KernelPlan, Vulnerability,
};
pub use kernel_source::{BuiltKernel, KernelSource};
pub use last_look::LastLook;
pub use latency::Latency;
pub use least_restart::{KernelsSeen, RestartChoice, RestartInputs, WhyMore, least_restart};
pub use limits::{CpuCap, GroupUse, Limits, SliceLimits, make_jobs, quota_of, share_of};
pub use modules::{missing_modules, modules_of};
pub use names::{matches, nearest};
pub use nature::{Inhibits, Nature, Work};
pub use next_kernel::{
    KernelChange, compare_builds, images, kernel_change, newest_of_flavour, next_kernel, next_kernel_after,
    next_kernel_problems, short_version,
};
pub use notify::{
    Channel, MailLogin, MailRoute, MailSecurity, Notification, NotifyWhen, Occasion, Parcel, UrlSource, Way,
    WebhookTemplate,
};
pub use observation::{Observation, WorkLook};
pub use one_shot_boot::{OneShotBoot, RejectedKernel, TrialEnd};
pub use outdated::{OldCode, Outdated};
pub use owed::{BootReason, Owed, after_a_look, reasons_in_words};
pub use packages::{
    ChangedConffile, LockHolder, PACKAGE_LOCKS, PackageAction, PackageChange, PackageSize, PackageState, SourceState,
    UpgradePlan, without_architecture,
};
pub use packaging_work::PackagingWork;
pub use people::{PortPeers, Session};
pub use phase::Phase;
pub use premises::{FstabEntry, Mount, PowerSupply, lasting_mounts};
pub use probe::{Readiness, ReadinessProbe};
pub use progress::{Course, PackageStage, Stage, WorkNews, WorkProgress};
pub use related::{
    InstalledPackage, RelatedInputs, ServiceUse, UnitStart, UsedFiles, beyond_apt, choose_ahead, only_new_kernels,
};
pub use related_list::{INTERPRETERS, Interpreter, OPENED_LATE, STARTS_ANYTHING, WHOLE_HOST};
pub use resources::Resources;
pub use restart::Restart;
pub use room::{FileSystem, Footprint, Need, Share, room_needed};
pub use run::{Abort, AbortWish, Closing, PlannedService, Recovery, Run, RunOptions, Trigger};
pub use run_window::{RunWindow, WindowMissed};
pub use selection::{Archive, PackageSelection, names_package};
pub use server_process::ServerProcess;
pub use service::{ServiceKind, StopProof};
pub use sighting::Sighting;
pub use standstill::{KeptDown, PackageScript, Standstill, Waiting, WorkProcess};
pub use step::Step;
pub use subject::{Subject, unit_of_mount};
pub use symptoms::{FileRole, FileState, LogRecord, MongodSymptoms};
pub use unit::{
    ActiveState, JobResult, LoadState, PendingJob, RestartRule, UnitProcess, UnitRelations, UnitState, UnitSurvey,
    is_container,
};
pub use verification::{EdgeReturn, ExpectedDifference, OrderKept, OrderUnknown, ServiceReturn, Verdict, Verification};
pub use version::{compare_releases, compare_versions, kernel_flavour};
pub use wave::{Wave, start_waves, stop_waves};
pub use work::{WorkOutcome, WorkSpec};
pub use work_log::{build_logs, error_summary, is_lock_conflict};
