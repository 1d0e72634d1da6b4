//! One pass over a host, from the plan to the report.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Attempt, AttemptRecord, Baseline, BatchPlan, BootId, Change, CheckResult, ClockAnchor, Estimate, ExpectedProof,
    HookPoint, HookRun, KernelPlan, LastLook, Notification, OneShotBoot, Outcome, Owed, Phase, RejectedKernel,
    RestartChoice, RunId, RunWindow, ServiceKind, Standstill, Step, StopProof, UnitName, UnitState, UpgradePlan,
    Verification, WindowMissed,
};

/// Who started the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// Somebody typed the command.
    Operator,
    /// A unit started it.
    Unattended,
}

/// What the caller asked for beyond the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    /// Who started the run.
    pub trigger: Trigger,
    /// Stop after the stage check.
    pub no_reboot: bool,
    /// Checks whose blockers count as warnings in this run.
    pub allowed_checks: Vec<String>,
    /// Begin outside the maintenance window, and pay no heed to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside_window: bool,
    /// Fetch and keep what a later run installs, and do no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fetch_only: bool,
}

impl RunOptions {
    /// Nothing beyond the configuration.
    pub fn new(trigger: Trigger) -> Self {
        Self { trigger, no_reboot: false, allowed_checks: Vec::new(), outside_window: false, fetch_only: false }
    }
}

/// A service of the run, in dependency order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedService {
    pub unit: UnitName,
    pub kind: ServiceKind,
    /// The services that must be ready before it.
    pub after: Vec<UnitName>,
}

/// A wish to end the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    pub by: String,
    pub at: Timestamp,
}

/// A wish that was uttered and is not yet part of the run: while a step is at work nobody records facts beside it. Of its
/// boot only: on the next one there is nothing left of what it wanted to end, and the signal may have been the shutdown's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortWish {
    #[serde(flatten)]
    pub abort: Abort,
    pub boot: BootId,
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    pub at: Timestamp,
    /// The exit code that the run is worth.
    pub exit_code: u8,
}

/// A service that Patchday is about to restart, once, since it did not come back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    pub unit: UnitName,
    pub at: Timestamp,
}

/// Everything that is durable about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub id: RunId,
    /// Patchday's version that minted it.
    pub patchday_version: String,
    pub host: String,
    /// When it was minted.
    pub planned: Timestamp,
    /// What the caller asked for.
    pub options: RunOptions,
    /// The steps to take, in this order.
    pub steps: Vec<Step>,
    /// The services, dependencies first.
    pub services: Vec<PlannedService>,
    /// The maintenance window; none if none is configured, or where the caller does not want to know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<RunWindow>,
    /// Where the run no longer fitted into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_missed: Option<WindowMissed>,
    /// How long it will take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// The boot on which the run began.
    pub first_boot: BootId,
    /// The boot that is running as far as is known.
    pub boot: BootId,
    /// How the run's times go on, on `clock.boot`; none before an older version is gone on with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clock: Option<ClockAnchor>,
    /// The last durable fact.
    pub phase: Phase,
    /// The intent, if one is open.
    pub attempt: Option<Attempt>,
    /// Attempts that ended, oldest first.
    pub history: Vec<AttemptRecord>,
    /// What Patchday changed on the host and has not undone, oldest first.
    pub changes: Vec<Change>,
    pub reboots: u32,
    /// Boots seen that nobody asked for.
    pub unplanned_reboots: u32,
    /// How often all but the kernel was started anew while the run was open, and nobody had asked for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub soft_reboots: u32,
    /// How often that happened on `boot`, as far as it is known; none if systemd does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_reboots_of_boot: Option<u32>,
    /// The boot on which the resume service last went on with this run: once a boot is enough.
    pub resumed_on: Option<BootId>,
    pub checks: Vec<CheckResult>,
    pub upgrade: Option<UpgradePlan>,
    /// What of it is installed without a sync for each file; none where each file is synced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchPlan>,
    /// The host before the run.
    pub baseline: Option<Baseline>,
    /// Where servers that are stopped leave the proofs of their clean end: saved before each stop.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub expected_proofs: Vec<ExpectedProof>,
    /// Proofs of the stops.
    pub stops: Vec<StopProof>,
    /// Why a reboot is wanted; empty where none is.
    pub reboot_reasons: Vec<String>,
    /// What the boot that runs owes: what is installed and not in force. A run begins with what the run before it has
    /// left on the same boot, so that the newest run has all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Owed>,
    /// When the last run before this one ended that was healthy; none if none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_healthy: Option<Timestamp>,
    /// When the reboot was asked for.
    pub reboot_requested: Option<Timestamp>,
    /// Which restart was asked for, and why not less.
    #[serde(default, skip_serializing_if = "RestartChoice::is_plain")]
    pub restart: RestartChoice,
    /// Set before a soft reboot: what is held starts again once systemd reads its files anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds_let_go: bool,
    /// When it was forced, since it did not come.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reboot_forced: Option<Timestamp>,
    /// When another boot was first noticed, or the soft reboot that was asked for.
    pub rebooted: Option<Timestamp>,
    /// It was the latter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub softly: bool,
    /// It was a boot whose kernel the one before has started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_kexec: bool,
    /// What must run after the reboot.
    pub kernel: Option<KernelPlan>,
    pub verification: Option<Verification>,
    /// The kernel that did not pass, once the reboot back from it was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rejected_kernel: Option<RejectedKernel>,
    /// Restarts after the boot: saved before each is made, so that none is made twice.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub recoveries: Vec<Recovery>,
    /// Restarts of services that ran replaced files, in a run that did not reboot: saved before each is made.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub restarts: Vec<Recovery>,
    /// Calls of the administrator's programs, oldest first: each saved before it is made.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub hooks: Vec<HookRun>,
    /// What became of the messages to those who wait.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notifications: Vec<Notification>,
    /// Work that was left to itself since it stood still, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub standstills: Vec<Standstill>,
    /// Set when the run was gone on with before anything was touched: how many attempts had ended by then. What was asked
    /// before is asked again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub asked_again_from: Option<usize>,
    /// Services that were brought back since the run was begun, or last opened again.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub restored: Vec<UnitName>,
    /// How the services were seen last, where no verification says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_look: Option<LastLook>,
    /// Units that failed between the baseline and the reboot, which makes systemd forget it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failed_meanwhile: Vec<UnitName>,
    /// The wish to end the run.
    pub abort: Option<Abort>,
    pub closed: Option<Closing>,
    /// Set when what had ended was opened again: the run, to undo what it had left on the host; or its verdict, since the
    /// host rebooted before the run was closed. How many attempts had ended by then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reopened: Option<usize>,
}

impl Run {
    /// A run of which nothing has happened yet.
    pub fn plan(
        id: RunId,
        host: String,
        planned: Timestamp,
        boot: BootId,
        options: RunOptions,
        steps: Vec<Step>,
        services: Vec<PlannedService>,
    ) -> Self {
        Self {
            id,
            patchday_version: env!("CARGO_PKG_VERSION").to_owned(),
            host,
            planned,
            options,
            steps,
            services,
            window: None,
            window_missed: None,
            estimate: None,
            first_boot: boot.clone(),
            boot,
            clock: None,
            phase: Phase::Planned,
            attempt: None,
            history: Vec::new(),
            changes: Vec::new(),
            reboots: 0,
            unplanned_reboots: 0,
            soft_reboots: 0,
            soft_reboots_of_boot: None,
            resumed_on: None,
            checks: Vec::new(),
            upgrade: None,
            batch: None,
            baseline: None,
            expected_proofs: Vec::new(),
            stops: Vec::new(),
            reboot_reasons: Vec::new(),
            owed: Vec::new(),
            last_healthy: None,
            reboot_requested: None,
            restart: RestartChoice::default(),
            holds_let_go: false,
            reboot_forced: None,
            rebooted: None,
            softly: false,
            by_kexec: false,
            kernel: None,
            verification: None,
            rejected_kernel: None,
            recoveries: Vec::new(),
            restarts: Vec::new(),
            hooks: Vec::new(),
            notifications: Vec::new(),
            standstills: Vec::new(),
            asked_again_from: None,
            restored: Vec::new(),
            last_look: None,
            failed_meanwhile: Vec::new(),
            abort: None,
            closed: None,
            reopened: None,
        }
    }

    /// Active, and nothing of it runs, as far as the baseline tells what should.
    pub fn is_hollow(&self, unit: &UnitName, now: &UnitState) -> bool {
        self.baseline.as_ref().map_or_else(|| now.is_hollow(), |baseline| baseline.is_hollow(unit, now))
    }

    /// Whether something is left to do.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Attempts that ended since the run was begun, or last opened again.
    pub fn since_opened(&self) -> &[AttemptRecord] {
        self.history.get(self.reopened.unwrap_or_default()..).unwrap_or_default()
    }

    /// Whether the run is over, and something that it changed is still so.
    pub fn left_something(&self) -> bool {
        !self.is_open() && !self.changes.is_empty()
    }

    /// The last recorded end of a step.
    pub fn last_record(&self, step: &Step) -> Option<&AttemptRecord> {
        self.history.iter().rev().find(|record| &record.attempt.step == step)
    }

    /// Whether the step came to its end: it succeeded, or there was nothing for it to do.
    pub fn has_finished(&self, step: &Step) -> bool {
        self.last_record(step).is_some_and(|record| matches!(record.outcome, Outcome::Succeeded | Outcome::Skipped))
    }

    /// Attempts of a step that ended, whatever their outcome.
    pub fn attempts_of(&self, step: &Step) -> u32 {
        self.history.iter().map(|record| u32::from(&record.attempt.step == step)).sum()
    }

    /// Nothing of what a run stops or upgrades has been touched.
    pub fn is_before_the_first_stop(&self) -> bool {
        !self.has_begun_a_stop() && !self.has_touched_packages()
    }

    /// A step that stops a service has ended, whatever its outcome.
    pub fn has_stopped_something(&self) -> bool {
        self.history.iter().any(|record| record.attempt.step.is_stop())
    }

    /// The same, or one is at work.
    pub fn has_begun_a_stop(&self) -> bool {
        self.has_stopped_something() || self.attempt.as_ref().is_some_and(|attempt| attempt.step.is_stop())
    }

    /// What the step found holds no longer: somebody went on with the run since.
    pub fn is_to_be_asked_again(&self, step: &Step) -> bool {
        let Some(from) = self.asked_again_from.filter(|_| matches!(step, Step::Preflight | Step::Fetch)) else {
            return false;
        };
        let since = self.history.get(from..).unwrap_or_default().iter();
        let mut ended = since.filter(|record| record.outcome != Outcome::Interrupted);
        self.is_before_the_first_stop() && !ended.any(|record| &record.attempt.step == step)
    }

    pub fn expected_proof(&self, unit: &UnitName) -> Option<&ExpectedProof> {
        self.expected_proofs.iter().find(|expected| &expected.unit == unit)
    }

    /// The last call that a step made of a program of the administrator.
    pub fn last_call(&self, step: &Step) -> Option<&HookRun> {
        self.hooks.iter().rev().find(|call| &call.step == step)
    }

    /// The kernel that the boot loader starts once, and what it starts else.
    pub fn one_shot_boot(&self) -> Option<&OneShotBoot> {
        self.changes.iter().find_map(|change| match change {
            Change::OneShotBoot(boot) => Some(boot),
            _ => None,
        })
    }

    /// The standstill in which an attempt ended.
    pub fn standstill_of(&self, attempt: &Attempt) -> Option<&Standstill> {
        self.standstills.iter().find(|one| one.step == attempt.step && one.attempt == attempt.number)
    }

    /// Services are kept from being stopped, and are to be let go.
    pub fn protects_services(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::Protected(_)))
    }

    /// Monitoring was told to be quiet, and nobody told it to speak again.
    pub fn leaves_monitoring_silent(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::Silenced { .. }))
    }

    /// A hook after the verification had to succeed, and did not: the host is not as it should be.
    pub fn is_marred_by_a_hook(&self) -> bool {
        let is_late = |call: &HookRun| call.step.hook_point() == Some(HookPoint::AfterVerify);
        self.hooks.iter().any(|call| is_late(call) && call.is_fatal())
    }

    /// Whether packages may have been touched.
    pub fn has_touched_packages(&self) -> bool {
        let works = |step: &Step| step.works_on_packages();
        let worked = |record: &AttemptRecord| works(&record.attempt.step) && record.outcome != Outcome::Skipped;
        self.history.iter().any(worked) || self.attempt.as_ref().is_some_and(|attempt| works(&attempt.step))
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde wants
fn is_zero(number: &u32) -> bool {
    *number == 0
}
