//! Preflight: what must be known before the host is touched. Each check is a row of [`CATALOGUE`].

mod database;
mod host;
mod packages;
mod services;
mod space;

use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};

use crate::config::Settings;
use crate::host::{Host, HostError};
use crate::model::{CheckResult, Finding, RunOptions, Severity};

/// What a check may look at.
pub struct CheckInputs<'a> {
    /// The host.
    pub host: &'a Host,
    /// The settings.
    pub settings: &'a Settings,
    /// What the caller asked for.
    pub options: &'a RunOptions,
}

/// What a check returns: nothing where it is content.
pub type CheckAnswer = Result<Option<Finding>, HostError>;

/// One check.
pub struct Check {
    /// Stable, for `--allow` and for scripts.
    pub label: &'static str,
    /// The worst that it says.
    pub severity: Severity,
    /// One line for the documentation.
    pub about: &'static str,
    run: for<'a> fn(&'a CheckInputs<'a>) -> BoxFuture<'a, CheckAnswer>,
}

/// Long enough for a busy host, short enough to be called an answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// Every check, in the order in which it is told.
pub const CATALOGUE: &[Check] = &[
    packages::DPKG_CLEAN,
    services::UNIT_LOADED,
    services::UNIT_ENABLED,
    services::RESUME_ENABLED,
    services::RESTART_STORM,
    services::ORDER_DECLARED,
    services::UNITS_FAILED,
    database::DATABASE_REACHABLE,
    database::DATABASE_CLIENTS,
    space::DISK_SPACE,
    space::BOOT_SPACE,
    space::MEMORY_AVAILABLE,
    space::LOAD,
    host::SHUTDOWN_SCHEDULED,
    host::SHUTDOWN_INHIBITED,
    host::CPU_VULNERABLE,
];

/// The labels of all checks.
pub fn labels() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|check| check.label)
}

/// Runs all checks side by side. A check that cannot answer counts as its worst answer.
pub async fn run_all(inputs: &CheckInputs<'_>) -> Vec<CheckResult> {
    join_all(CATALOGUE.iter().map(|check| run_one(check, inputs))).await
}

async fn run_one(check: &Check, inputs: &CheckInputs<'_>) -> CheckResult {
    let answer = tokio::time::timeout(CHECK_TIMEOUT, (check.run)(inputs)).await;
    let unanswered = |why: String| {
        let finding = Finding::new(check.label, check.severity, format!("the check cannot answer: {why}"));
        Some(finding.hint("mend what keeps it from answering; unknown is not healthy"))
    };
    let finding = match answer {
        Ok(Ok(finding)) => finding,
        Ok(Err(error)) => unanswered(error.to_string()),
        Err(_) => unanswered(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
    };
    let is_allowed = inputs.settings.allowed_checks.iter().chain(&inputs.options.allowed_checks);
    let is_allowed = is_allowed.into_iter().any(|label| label == check.label);
    CheckResult { label: check.label.into(), finding: finding.map(|finding| lowered(finding, is_allowed)) }
}

fn lowered(mut finding: Finding, is_allowed: bool) -> Finding {
    if is_allowed && finding.severity == Severity::Blocker {
        finding.severity = Severity::Warning;
        finding.evidence.push("a blocker, allowed by the caller or the configuration".into());
    }
    finding
}

/// A row of the catalogue; the body is an async block over `$inputs`.
macro_rules! check {
    ($name:ident, $label:literal, $severity:ident, $about:literal, |$inputs:ident| $body:block) => {
        pub(super) const $name: Check = Check {
            label: $label,
            severity: Severity::$severity,
            about: $about,
            run: |$inputs| Box::pin(async move { $body }),
        };
    };
}
use check;
