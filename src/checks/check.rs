//! What a check is.

use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::inputs::CheckInputs;
use crate::host::HostError;
use crate::model::{Finding, FindingKey, Severity};

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// apt, dpkg and what they would do.
    Packages,
    /// Room on disks and in memory.
    Space,
    /// Kernels, their modules, and what boots them.
    Kernel,
    Services,
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
    pub(super) const fn again(self) -> Self {
        Self { asked_again: true, ..self }
    }

    /// The worst that this check says.
    pub(super) fn found(&self, title: impl Into<String>) -> Finding {
        Finding::new(FindingKey::labelled(self.label), self.severity, title)
    }
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
