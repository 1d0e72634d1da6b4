//! The rows: every check that there is.

use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::inputs::CheckInputs;
use super::{
    begin, companions, database, database_process, deployments, host, kernel, packages, people, places, readiness,
    services, space,
};
use crate::host::HostError;
use crate::model::{Finding, FindingKey, Severity};

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// apt, dpkg and what they would do.
    Packages,
    /// Room on disks and in memory.
    Space,
    /// Kernels, their modules, and what boots them.
    Kernel,
    /// The configured units.
    Services,
    /// MongoDB.
    Database,
    /// Who uses the host now.
    People,
    /// Checkouts from which services run.
    Deployments,
    /// The host itself, and who else wants something from it.
    Host,
}

impl Topic {
    /// Every topic, in the order in which it is told.
    pub const ALL: [Self; 8] = [
        Self::Packages,
        Self::Space,
        Self::Kernel,
        Self::Services,
        Self::Database,
        Self::People,
        Self::Deployments,
        Self::Host,
    ];

    /// Its name, as in `patchday checks --topic NAME`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::Space => "space",
            Self::Kernel => "kernel",
            Self::Services => "services",
            Self::Database => "database",
            Self::People => "people",
            Self::Deployments => "deployments",
            Self::Host => "host",
        }
    }

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Packages => "Packages",
            Self::Space => "Space",
            Self::Kernel => "Kernel",
            Self::Services => "Services",
            Self::Database => "Database",
            Self::People => "People and traffic",
            Self::Deployments => "Deployments",
            Self::Host => "Host",
        }
    }
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|topic| topic.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|topic| topic.name()).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}

/// What a check returns: nothing where it is content.
pub type CheckAnswer = Result<Option<Finding>, HostError>;

/// One check.
pub struct Check {
    /// What it is about.
    pub topic: Topic,
    /// Stable, for `--allow` and for scripts.
    pub label: &'static str,
    /// The worst that it says.
    pub severity: Severity,
    /// How long it may take before it counts as one that cannot answer.
    pub deadline: Duration,
    /// Whether it is asked once more right before the first stop: what it looks at may change while packages are fetched,
    /// people are told and hooks are called.
    pub asked_again: bool,
    /// When it is content, in one line.
    pub about: &'static str,
    /// Why it matters, and what to do; for the documentation.
    pub doc: &'static str,
    pub(super) run: for<'a> fn(&'a Self, &'a CheckInputs<'a>) -> BoxFuture<'a, CheckAnswer>,
}

impl Check {
    /// The same check, asked once more right before the first stop.
    const fn again(self) -> Self {
        Self { asked_again: true, ..self }
    }

    /// The worst that this check says.
    pub(super) fn found(&self, title: impl Into<String>) -> Finding {
        Finding::new(FindingKey::labelled(self.label), self.severity, title)
    }
}

/// Every check, in the order in which it is told; those with `again()` are asked twice.
pub const CATALOGUE: &[Check] = &[
    packages::DPKG_CLEAN.again(),
    begin::DPKG_BEGINS.again(),
    begin::APT_HOOKS,
    packages::APT_LOCK,
    packages::REMOVALS,
    packages::DOWNGRADE,
    packages::MONGODB_JUMP,
    packages::THIRD_PARTY,
    packages::PACKAGES_HELD,
    packages::PACKAGES_PHASED,
    packages::CONFFILES,
    packages::SOURCES_REACHABLE,
    packages::LISTS_AGE,
    packages::FETCHED_PLAN,
    space::DISK_SPACE.again(),
    space::INODES.again(),
    space::BOOT_SPACE,
    places::PLACES_WRITABLE.again(),
    space::MEMORY_AVAILABLE,
    kernel::KERNEL_CURRENT,
    kernel::NEXT_KERNEL.again(),
    kernel::KERNEL_COMPLETE,
    kernel::INITRAMFS_TOOLS,
    kernel::BOOT_LOADER,
    kernel::ONE_SHOT_BOOT,
    kernel::KERNEL_SOURCE,
    kernel::KERNEL_HEADERS.again(),
    kernel::DKMS_MODULES,
    kernel::SECURE_BOOT,
    kernel::CPU_VULNERABLE,
    kernel::UPTIME,
    kernel::REBOOT_REQUIRED,
    services::UNIT_LOADED,
    services::UNIT_ENABLED,
    services::UNIT_RUNNING,
    readiness::READINESS,
    companions::UNIT_CONTROL.again(),
    companions::STOP_ALONG,
    companions::TIMERS_DUE,
    services::RESUME_ENABLED,
    services::DAEMON_RELOAD,
    services::RESTART_STORM,
    services::START_LIMIT,
    services::STOP_TIMEOUT,
    services::ORDER_DECLARED,
    services::UNITS_FAILED,
    database::DATABASE_REACHABLE.again(),
    database_process::DATABASE_PROCESS.again(),
    database::DATABASE_SHUTDOWN,
    database::DATABASE_RIGHTS,
    database::DATABASE_SET.again(),
    database::DATABASE_CLIENTS,
    database::DATABASE_OPERATIONS,
    database::DATABASE_LOCKED.again(),
    database::DATABASE_COMPATIBILITY,
    database::DATABASE_JOURNAL,
    database::DATABASE_FILES,
    people::USERS_LOGGED_IN,
    people::CONNECTIONS,
    people::USERS_ACTIVE,
    people::LOAD,
    deployments::DEPLOYMENT_CHANGES,
    deployments::DEPLOYMENT_STASHES,
    deployments::DEPLOYMENT_UNPUSHED,
    deployments::DEPLOYMENT_BEHIND,
    host::MOUNTS_DECLARED,
    host::FSTAB,
    host::CLOCK,
    host::SHUTDOWN_SCHEDULED.again(),
    begin::REBOOT_BEGINS.again(),
    host::SHUTDOWN_INHIBITED,
    host::PATCH_TOOLS,
    host::HOOKS_TRUSTED,
    host::BATTERY,
    host::VIRTUALIZATION,
    host::SYSTEMD_VERSION,
];

/// The labels of all checks.
pub fn labels() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|check| check.label)
}

/// A row of the catalogue: its name, topic, label, severity, deadline in seconds, when it is content, why it matters.
/// The body is an async block over the row itself and the inputs.
macro_rules! check {
    (
        $name:ident, $topic:ident, $label:literal, $severity:ident, $seconds:literal, $about:literal, $doc:literal,
        |$check:pat_param, $inputs:ident| $body:block $(,)?
    ) => {
        pub(super) const $name: $crate::checks::Check = $crate::checks::Check {
            topic: $crate::checks::Topic::$topic,
            label: $label,
            severity: $crate::model::Severity::$severity,
            deadline: std::time::Duration::from_secs($seconds),
            asked_again: false,
            about: $about,
            doc: $doc,
            run: |$check, $inputs| Box::pin(async move { $body }),
        };
    };
}
pub(super) use check;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_complete_and_every_label_its_own() {
        let mut labels: Vec<&str> = labels().collect();
        let count = labels.len();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), count, "a label names two checks");
        for check in CATALOGUE {
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(check.label.chars().all(is_plain), "{}", check.label);
            assert!(!check.about.ends_with('.') && !check.about.is_empty(), "{}", check.label);
            assert!(check.doc.ends_with('.'), "{}: {}", check.label, check.doc);
            assert!(check.deadline >= Duration::from_secs(5), "{}", check.label);
        }
        let order: Vec<usize> =
            CATALOGUE.iter().filter_map(|check| Topic::ALL.iter().position(|topic| *topic == check.topic)).collect();
        assert!(order.is_sorted(), "checks of one topic stand together, in the order of the topics");
    }

    #[test]
    fn topics_have_names_that_lead_back() {
        for topic in Topic::ALL {
            assert_eq!(topic.name().parse(), Ok(topic));
            assert_eq!(serde_json::to_value(topic).unwrap(), topic.name());
        }
        assert!("weather".parse::<Topic>().unwrap_err().contains("deployments"));
    }
}
