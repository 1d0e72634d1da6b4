//! What the views are told: past tense, serializable, versioned.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::{BootId, CheckResult, Outcome, RestartChoice, RunId, Step, UnitName, Verdict};

/// Version of the shape of [`Event`]; grows when a reader of the old shape would misunderstand the new one.
pub const EVENT_VERSION: u32 = 1;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// [`EVENT_VERSION`] of the writer.
    pub v: u32,
    pub run: RunId,
    pub at: Timestamp,
    #[serde(flatten)]
    pub kind: EventKind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    RunStarted {
        host: String,
        /// The steps to come.
        steps: Vec<Step>,
    },
    /// A coordinator went on with the run.
    RunResumed {
        boot: BootId,
        /// The last durable fact.
        phase: String,
        /// What it decided to do first.
        decision: String,
    },
    StepStarted {
        step: Step,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// A coordinator found the step's work unit still running, and follows it.
    StepAttached { step: Step },
    /// A step came forward; never backwards within an attempt.
    StepProgressed {
        step: Step,
        /// 0 to 1; none if only the message is known.
        fraction: Option<f64>,
        /// How long it will still take; none if that is not worth telling.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remaining: Option<SignedDuration>,
        /// What is being done.
        message: String,
    },
    /// What the work took from the host in the last seconds.
    WorkMeasured {
        /// CPU time used, as a share of the whole machine; none if nobody counts.
        cpu_percent: Option<u32>,
        /// The cap in force, as a share of the whole machine; none if none is enforced.
        limit_percent: Option<u32>,
        /// For how long the cap has held work back so far, over all CPUs; none if nobody counts.
        throttled: Option<SignedDuration>,
        /// Load over one minute.
        load: f64,
        /// Bytes that a new program could use.
        memory_available: u64,
        memory_total: u64,
    },
    StepEnded {
        step: Step,
        outcome: Outcome,
        /// Why, or what was found.
        note: Option<String>,
        /// How long it took.
        took: SignedDuration,
    },
    /// A preflight check answered with a finding.
    CheckFound { check: CheckResult },
    /// The upgrade is known.
    UpgradePlanned {
        /// Packages to upgrade or install.
        changes: usize,
        /// Of these, from a security archive.
        security: usize,
        removals: usize,
    },
    /// A service is proven down.
    ServiceStopped {
        unit: UnitName,
        /// How long it took.
        took: SignedDuration,
    },
    /// A service was seen ready.
    ServiceReady {
        unit: UnitName,
        /// Since it was started, or since the boot.
        after: SignedDuration,
    },
    /// A program of the administrator ended.
    HookEnded {
        /// The step that called it.
        step: Step,
        program: String,
        /// How; `interrupted` where nobody knows.
        outcome: Outcome,
        /// Why it did not succeed.
        why: Option<String>,
        /// The last lines that it wrote.
        lines: Vec<String>,
    },
    /// Something worth a line.
    Noted { message: String },
    /// The host was asked to reboot.
    RebootRequested {
        reasons: Vec<String>,
        /// Soft or full, and why not less than was allowed.
        #[serde(default, skip_serializing_if = "RestartChoice::is_plain")]
        restart: RestartChoice,
    },
    /// The soft reboot that was asked for: the kernel and the boot are the same.
    SoftRebooted {
        /// From the request until it was noticed.
        down: SignedDuration,
    },
    BootChanged {
        boot: BootId,
        /// From the request, or the last sign of life, until it was noticed.
        down: SignedDuration,
        /// Whether the run asked for it.
        planned: bool,
    },
    /// Somebody wants the run to end.
    AbortRequested { by: String },
    /// The host is judged.
    VerdictReached {
        verdict: Verdict,
        /// One line for each finding, first cause first.
        findings: Vec<String>,
    },
    /// Nothing is left to do.
    RunEnded {
        /// The exit code that the run is worth.
        exit_code: u8,
        /// The last durable fact.
        phase: String,
    },
}

/// Where steps tell what happened. Never fails: a view that is gone must not change a run.
pub trait EventSink: Send + Sync {
    fn emit(&self, kind: EventKind);
}
