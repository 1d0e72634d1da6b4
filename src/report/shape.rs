//! The shape of a report: everything that a reader needs, in one value that depends on no other file.

use super::Summary;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::{
    BootId, Change, CheckResult, DatabaseReturn, EdgeReturn, ExpectedDifference, Finding, HookRun, Latency,
    Notification, Outcome, Owed, PackageChange, Restart, RunId, ServiceReturn, Step, StopProof, Trigger, UnitName,
    Verdict,
};

/// Version of the shape of [`Report`]; grows when a reader of the old shape would misunderstand the new one.
pub const REPORT_FORMAT: u32 = 1;

/// How a run stands or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Something is left to do.
    Open,
    /// There was nothing to upgrade, to build or to reboot for.
    NothingToDo,
    /// The host was judged; see the verdict.
    Judged,
    /// The run ended as it was asked to, without a judgement.
    Done,
    Failed,
    /// Somebody ended the run.
    Aborted,
}

/// Everything about one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this format.
    pub format: u32,
    pub run: RunId,
    /// Patchday's version that minted the run.
    pub patchday_version: String,
    pub host: String,
    /// Who started the run.
    pub trigger: Trigger,
    /// When this report was made.
    pub built: Timestamp,
    /// When the run was minted.
    pub began: Timestamp,
    /// When the run ended; null while it is open.
    pub ended: Option<Timestamp>,
    /// How the run stands or ended.
    pub ending: Ending,
    /// The whole in one sentence.
    pub summary: Summary,
    /// The verdict; null if the host was not judged.
    pub verdict: Option<Verdict>,
    /// The exit code of the run; null while it is open.
    pub exit_code: Option<u8>,
    /// The last durable fact, in words for people.
    pub phase: String,
    /// What failed; null if nothing did, or if the verdict says it.
    pub failure: Option<Failure>,
    /// Who ended the run, or asked for its end.
    pub aborted_by: Option<String>,
    /// Steps in the order of their beginning, then those that were not reached.
    pub steps: Vec<StepStory>,
    pub packages: PackageStory,
    pub services: Vec<ServiceStory>,
    /// The time without services, from the first stop until the last of them was ready again; null if no service was
    /// stopped, and nothing was estimated.
    #[serde(default)]
    pub away: Option<TimeAway>,
    /// Reboots, wanted or seen; null if there was none.
    pub reboot: Option<RebootStory>,
    /// What is installed and only in force after another boot than the last one of the run.
    #[serde(default)]
    pub owed: Vec<Owed>,
    /// The host has booted again since the run ended, so that nothing of it is owed any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebooted_since: bool,
    /// When the last healthy run ended, this one among them; null if none is known.
    #[serde(default)]
    pub last_healthy: Option<Timestamp>,
    pub kernel: KernelStory,
    /// CPU vulnerabilities that changed or that nothing mitigates.
    pub vulnerabilities: Vec<VulnerabilityStory>,
    /// What the verification found, first cause first.
    pub findings: Vec<Finding>,
    /// The order in which services became ready, as far as the configuration wants one.
    #[serde(default)]
    pub order: Vec<EdgeReturn>,
    /// Differences to the baseline that a boot, or the upgrade, makes, each with the rule that expects it.
    #[serde(default)]
    pub expected: Vec<ExpectedDifference>,
    /// Services that came back only because Patchday restarted them.
    #[serde(default)]
    pub recovered: Vec<UnitName>,
    /// How many preflight checks answered.
    pub checks_made: usize,
    /// Those that found something, the gravest first.
    pub checks: Vec<CheckResult>,
    /// What Patchday changed on the host and has not undone. A run that ended leaves nothing here.
    pub still_changed: Vec<Change>,
    /// Programs of the administrator that the run called, and how they ended.
    #[serde(default)]
    pub hooks: Vec<HookRun>,
    /// The messages of the run, and whether they arrived.
    #[serde(default)]
    pub notifications: Vec<Notification>,
    /// What happened, in order.
    pub timeline: Vec<Moment>,
    /// Whose clock the faces for people show; JSON is in UTC.
    #[serde(skip, default = "utc")]
    pub zone: TimeZone,
}

const fn utc() -> TimeZone {
    TimeZone::UTC
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub step: Step,
    /// What failed, on what and why.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepStory {
    pub step: Step,
    /// The same in a few words.
    pub title: String,
    /// When its first attempt began; none if it was not reached.
    pub began: Option<Timestamp>,
    /// How its last attempt ended; none if it has not.
    pub outcome: Option<Outcome>,
    /// Why, or what was found.
    pub note: Option<String>,
    /// Of all attempts that ended, together; none if the clock does not tell.
    pub took: Option<SignedDuration>,
    /// Attempts, an open one among them.
    pub attempts: u32,
}

/// What is known about the packages of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageCertainty {
    /// There was no plan.
    NotPlanned,
    /// Planned; the upgrade was not begun.
    Planned,
    /// The upgrade was begun and did not come to a recorded success: some, all or none may be in place.
    Unproven,
    Installed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageStory {
    /// What is known about the changes below.
    pub certainty: PackageCertainty,
    /// The plan, security first.
    pub changes: Vec<PackageLine>,
    /// Packages that apt keeps back.
    pub kept_back: Vec<String>,
    /// Packages whose update is deferred by phasing.
    #[serde(default)]
    pub phased: Vec<String>,
    /// Upgrades that `[upgrade]` leaves out, security first.
    #[serde(default)]
    pub left_out: Vec<PackageLine>,
    /// Why these are not known; none if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out_unknown: Option<String>,
}

impl PackageStory {
    /// What `[upgrade]` leaves out, and is, or is not, for security.
    pub fn left_out(&self, security: bool) -> Vec<&str> {
        let left = self.left_out.iter().filter(|line| line.security == security);
        left.map(|line| line.change.name.as_str()).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageLine {
    #[serde(flatten)]
    pub change: PackageChange,
    /// Whether it comes from a security archive.
    pub security: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStory {
    pub unit: UnitName,
    /// The services that must be ready before it.
    pub after: Vec<UnitName>,
    /// Whether it ran before the run; none if nobody looked.
    pub ran_before: Option<bool>,
    /// How fast it answered before the run; none if its probe asks nobody but systemd, and where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency_before: Option<Latency>,
    /// The proof of its stop; none if none was recorded.
    pub stopped: Option<StopProof>,
    /// How it came back after the reboot; none if nobody judged.
    pub returned: Option<ServiceReturn>,
    /// How the database of this service came back; none for other services, and where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub database: Option<DatabaseReturn>,
    /// Its place in the order in which the services became ready, from 1.
    pub ready_position: Option<u32>,
    /// How long it was away; none if it was not stopped.
    pub downtime: Option<Downtime>,
}

/// The time without services, as it was foreseen and as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeAway {
    /// What the estimate said, which was recorded before the first stop.
    pub estimated: Option<SignedDuration>,
    /// What it was; none if the services were not all seen ready again.
    pub measured: Option<SignedDuration>,
    /// A service that was stopped was not back when the run ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub still_down: bool,
}

/// How long a service was away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downtime {
    /// When Patchday began to stop it.
    pub from: Timestamp,
    /// When it was next seen ready; none if that was not recorded.
    pub until: Option<Timestamp>,
    /// The measure; none if an end is missing, or where the clock was set back in between.
    pub took: Option<SignedDuration>,
    /// Whether it is proven to have been down; otherwise the measure is only the most that it can have been.
    pub proven: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebootStory {
    /// Why one was wanted.
    pub reasons: Vec<String>,
    /// When it was asked for.
    pub requested: Option<Timestamp>,
    /// Which restart was asked for; null if none was, or by an older version.
    #[serde(default)]
    pub restart: Option<Restart>,
    /// Why it is more than `[reboot] least` allows; empty if it is not.
    #[serde(default)]
    pub restart_because: Vec<String>,
    /// Which one was made; null if none was, or by an older version.
    #[serde(default)]
    pub restarted: Option<Restart>,
    /// When another boot was first noticed, or the soft reboot that was asked for.
    pub noticed: Option<Timestamp>,
    /// From the request until Patchday ran again on the new boot.
    pub back_after: Option<SignedDuration>,
    /// Reboots that Patchday asked for.
    pub asked: u32,
    /// Boots that nobody asked for.
    pub unplanned: u32,
    /// How often all but the kernel was started anew, and Patchday had not asked for it.
    pub soft: u32,
    /// The boot on which the run began.
    pub first_boot: BootId,
    /// The last boot of the run.
    pub last_boot: BootId,
}

/// Kernels, as `uname -r` says them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KernelStory {
    pub before: Option<String>,
    /// What had to run after the reboot.
    pub expected: Option<String>,
    pub after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VulnerabilityStory {
    /// As in `spectre_v2`.
    pub name: String,
    /// The kernel's word before the run.
    pub before: Option<String>,
    /// The kernel's word after it; none if nobody looked.
    pub after: Option<String>,
    /// Whether the last word is that nothing mitigates it.
    pub unmitigated: bool,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub at: Timestamp,
    pub text: String,
}

/// A report in one line, for the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSummary {
    pub run: RunId,
    pub host: String,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    pub ending: Ending,
    pub verdict: Option<Verdict>,
    pub exit_code: Option<u8>,
    /// The longest measured downtime of a service.
    pub longest_downtime: Option<SignedDuration>,
    pub summary: Summary,
}

impl Report {
    /// The same, by the clocks of another zone.
    #[must_use]
    pub fn in_zone(self, zone: TimeZone) -> Self {
        Self { zone, ..self }
    }

    /// From the beginning to the end of the run, or to the making of the report while the run is open.
    pub fn took(&self) -> Option<SignedDuration> {
        super::words::between(self.began, self.ended.unwrap_or(self.built))
    }

    /// The service that was measured to be away the longest.
    pub fn longest_downtime(&self) -> Option<(&UnitName, SignedDuration)> {
        self.services
            .iter()
            .filter_map(|service| Some((&service.unit, service.downtime.as_ref()?.took?)))
            .max_by_key(|(_, took)| *took)
    }

    /// Whether something is installed that only a boot brings into force.
    pub fn asks_for_boot(&self) -> bool {
        self.owed.iter().any(|owed| owed.reason.asks_for_reboot())
    }

    /// The report in one line.
    pub fn summarised(&self) -> ReportSummary {
        ReportSummary {
            run: self.run.clone(),
            host: self.host.clone(),
            began: self.began,
            ended: self.ended,
            ending: self.ending,
            verdict: self.verdict,
            exit_code: self.exit_code,
            longest_downtime: self.longest_downtime().map(|(_, took)| took),
            summary: self.summary.clone(),
        }
    }
}
