//! The last durable fact of a run.

use serde::{Deserialize, Serialize};

use super::Step;

/// What is known for certain to have happened; the attempt beside it is only an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The steps are chosen; nothing has been looked at.
    Planned,
    PreflightPassed,
    /// Every package of the upgrade is on the host.
    PackagesFetched,
    /// So it is, and the run was to do no more.
    OnlyFetched,
    /// There is nothing to upgrade, to build or to reboot for.
    NothingToDo,
    /// What ran before is recorded.
    BaselineTaken,
    /// The services of the run are down, and held.
    ServicesStopped,
    PackagesUpgraded,
    /// The next kernel has what it needs.
    KernelBuilt,
    /// The host may reboot.
    Staged,
    /// The point of no return: a reboot has been asked for.
    RebootRequested,
    /// Another boot is running.
    Rebooted,
    /// The host is judged.
    Verified,
    /// A step failed; what follows only brings the host to safety.
    Failed {
        step: Step,
        /// What failed, on what and why.
        reason: String,
    },
    /// Somebody asked for the run to end.
    Aborted {
        /// Who, as far as is known.
        by: String,
    },
}

impl Phase {
    /// Whether no planned step follows.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::OnlyFetched | Self::NothingToDo | Self::Verified | Self::Failed { .. } | Self::Aborted { .. }
        )
    }

    /// A short name for people and for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::PreflightPassed => "preflight passed",
            Self::PackagesFetched => "packages fetched",
            Self::OnlyFetched => "only fetched",
            Self::NothingToDo => "nothing to do",
            Self::BaselineTaken => "baseline taken",
            Self::ServicesStopped => "services stopped",
            Self::PackagesUpgraded => "packages upgraded",
            Self::KernelBuilt => "kernel built",
            Self::Staged => "staged",
            Self::RebootRequested => "reboot requested",
            Self::Rebooted => "rebooted",
            Self::Verified => "verified",
            Self::Failed { .. } => "failed",
            Self::Aborted { .. } => "aborted",
        }
    }
}
