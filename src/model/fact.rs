//! The inputs of the state machine.

use jiff::Timestamp;

use super::{
    AheadChoice, Baseline, BatchPlan, BootId, Change, CheckResult, ClockAnchor, ExpectedProof, HookEnd, HookRun,
    KernelPlan, LastLook, Notification, Outcome, Owed, Recovery, RestartChoice, Standstill, Step, StopProof, UnitName,
    UpgradePlan, Verification, WindowMissed,
};

/// Something that happened, or that is about to be tried. Applied, then saved, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The intent: saved before the step touches anything.
    StepBegan {
        step: Step,
        /// The boot on which it began.
        boot: BootId,
        at: Timestamp,
    },
    StepEnded {
        step: Step,
        outcome: Outcome,
        /// Why it failed or was skipped, or what it found.
        note: Option<String>,
        at: Timestamp,
    },
    /// The run cannot go on.
    GivenUp {
        step: Step,
        reason: String,
        at: Timestamp,
    },
    /// The rest of the run does not fit into its window.
    WindowMissed(WindowMissed),
    /// The preflight checks answered.
    ChecksAnswered(Vec<CheckResult>),
    UpgradePlanned(UpgradePlan),
    /// What of the plan comes while the services run, and what waits for their stop.
    AheadChosen(AheadChoice),
    /// How much of it may be installed without a sync for each file, and with what it is installed again.
    BatchPrepared(Box<BatchPlan>),
    /// Nothing to upgrade, to build or to reboot for.
    NothingFound {
        at: Timestamp,
    },
    /// The host before the run.
    BaselineTaken(Box<Baseline>),
    /// A change of the host is about to be made.
    ChangeIntended(Change),
    /// A change of the host is undone.
    ChangeUndone(Change),
    /// A server is about to be stopped, and leaves its proof of a clean end here.
    ProofExpected(Box<ExpectedProof>),
    /// A service is proven down.
    ServiceStopped(Box<StopProof>),
    /// The work of the open attempt stands still, and is left to itself.
    StoodStill(Standstill),
    /// Why a reboot is wanted.
    RebootWanted(Vec<String>),
    /// What the boot that runs owes, all of it.
    BootOwes(Vec<Owed>),
    /// What must run after it.
    KernelExpected(KernelPlan),
    /// The point of no return.
    RebootRequested {
        at: Timestamp,
        restart: RestartChoice,
    },
    /// Nothing is held any more once systemd reads its files anew, as it does in a soft reboot.
    HoldsLetGo,
    /// The reboot did not come, and is about to be forced.
    RebootForced {
        at: Timestamp,
    },
    BootChanged {
        boot: BootId,
        /// The kernel before has started it, without firmware and boot loader.
        by_kexec: bool,
        /// When it was noticed.
        at: Timestamp,
    },
    /// All but the kernel was started anew.
    SoftRebooted {
        /// How often that happened on this boot.
        count: u32,
        /// When it was noticed.
        at: Timestamp,
    },
    /// The coordinator went on with an open run.
    Resumed {
        boot: BootId,
        /// How often all but the kernel was started anew on it.
        soft_reboots: Option<u32>,
        /// By the resume service, not by hand.
        automatic: bool,
        at: Timestamp,
    },
    /// How the run's times go on.
    ClockAnchored(ClockAnchor),
    /// A service that did not come back is about to be restarted.
    RecoveryIntended(Recovery),
    /// A service that runs replaced files is about to be restarted.
    RestartIntended(Recovery),
    /// The host was judged.
    Judged(Box<Verification>),
    /// The services of a run that is not verified were looked at once more.
    LookedLast(LastLook),
    /// Units that failed since the baseline, before the reboot that makes systemd forget it.
    FailedMeanwhile(Vec<UnitName>),
    /// A program of the administrator is about to be called.
    HookBegan(HookRun),
    /// It ended, or its end is lost.
    HookEnded(HookEnd),
    /// A message was sent, or was not.
    Notified(Notification),
    /// Somebody wants the run to end.
    AbortRequested {
        by: String,
        at: Timestamp,
    },
    /// A run that was over is opened again, to undo what it left on the host.
    Reopened {
        /// On which boot; another one has undone all of it.
        boot: BootId,
    },
    /// Nothing is left to do.
    Closed {
        /// The exit code that the run is worth.
        exit_code: u8,
        at: Timestamp,
    },
}

impl Fact {
    /// A short name for errors and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StepBegan { .. } => "step began",
            Self::StepEnded { .. } => "step ended",
            Self::GivenUp { .. } => "given up",
            Self::WindowMissed(_) => "window missed",
            Self::ChecksAnswered(_) => "checks answered",
            Self::BatchPrepared(_) => "batch prepared",
            Self::UpgradePlanned(_) => "upgrade planned",
            Self::AheadChosen(_) => "ahead chosen",
            Self::NothingFound { .. } => "nothing found",
            Self::BaselineTaken(_) => "baseline taken",
            Self::ChangeIntended(_) => "change intended",
            Self::ChangeUndone(_) => "change undone",
            Self::ProofExpected(_) => "proof expected",
            Self::ServiceStopped(_) => "service stopped",
            Self::StoodStill(_) => "stood still",
            Self::ClockAnchored(_) => "clock anchored",
            Self::RebootWanted(_) => "reboot wanted",
            Self::BootOwes(_) => "boot owes",
            Self::KernelExpected(_) => "kernel expected",
            Self::RebootRequested { .. } => "reboot requested",
            Self::HoldsLetGo => "holds let go",
            Self::RebootForced { .. } => "reboot forced",
            Self::BootChanged { .. } => "boot changed",
            Self::SoftRebooted { .. } => "soft-rebooted",
            Self::Resumed { .. } => "resumed",
            Self::RecoveryIntended(_) => "recovery intended",
            Self::RestartIntended(_) => "restart intended",
            Self::Judged(_) => "judged",
            Self::LookedLast(_) => "looked last",
            Self::FailedMeanwhile(_) => "failed meanwhile",
            Self::HookBegan(_) => "hook began",
            Self::HookEnded(_) => "hook ended",
            Self::Notified(_) => "notified",
            Self::AbortRequested { .. } => "abort requested",
            Self::Reopened { .. } => "reopened",
            Self::Closed { .. } => "closed",
        }
    }
}
