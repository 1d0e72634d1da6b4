//! What checks and comparisons say: always with evidence and a remedy.

use serde::{Deserialize, Serialize};

use super::{FindingKey, Subject, UnitName};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Info,
    /// Worth mending; the run goes on.
    Warning,
    /// The run must not go on, or the host did not come back.
    Blocker,
}

/// What to do about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    pub hint: String,
    /// As a command to run, where one is enough.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<String>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of finding it is.
    pub key: FindingKey,
    pub title: String,
    pub severity: Severity,
    /// Figures and names that prove it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<String>,
    /// The last lines that it left in the journal, where it is a unit.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub journal: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<Remedy>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<Subject>,
    /// The subject of the finding that explains this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub because_of: Option<Subject>,
}

impl Finding {
    /// A finding without evidence or remedy yet.
    pub fn new(key: FindingKey, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            key,
            title: title.into(),
            severity,
            evidence: Vec::new(),
            journal: Vec::new(),
            remedy: None,
            subject: None,
            because_of: None,
        }
    }

    /// Says what it is about.
    #[must_use]
    pub fn about(mut self, subject: impl Into<Subject>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Whether it is about this unit.
    pub fn is_about(&self, unit: &UnitName) -> bool {
        matches!(&self.subject, Some(Subject::Unit(subject)) if subject == unit)
    }

    /// Adds a line of evidence.
    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// Adds lines of evidence.
    #[must_use]
    pub fn lines(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.evidence.extend(lines.into_iter().map(Into::into));
        self
    }

    /// Adds the way out, in words.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.remedy = Some(Remedy { hint: hint.into(), command: None });
        self
    }

    /// Adds the way out, in words and as a command.
    #[must_use]
    pub fn remedy(mut self, hint: impl Into<String>, command: impl Into<String>) -> Self {
        self.remedy = Some(Remedy { hint: hint.into(), command: Some(command.into()) });
        self
    }
}

/// What one preflight check said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check's stable label.
    pub label: String,
    /// Nothing where the check is content.
    pub finding: Option<Finding>,
}
