//! A marked sentence, and what stands below it. Every face and every view shows a finding as one.

use super::Mark;
use crate::model::{Finding, Remedy, Severity};

/// A marked sentence, what proves it, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// How good it is.
    pub mark: Mark,
    pub text: String,
    /// The key of a finding.
    pub label: Option<String>,
    /// Lines that prove it.
    pub evidence: Vec<String>,
    /// The last lines of the journal of a first cause.
    pub journal: Vec<String>,
    pub remedy: Option<Remedy>,
    /// Whether another finding explains it.
    pub follows: bool,
}

impl Item {
    pub(super) fn new(mark: Mark, text: impl Into<String>) -> Self {
        let (evidence, journal) = (Vec::new(), Vec::new());
        Self { mark, text: text.into(), label: None, evidence, journal, remedy: None, follows: false }
    }
}

impl From<&Finding> for Item {
    fn from(finding: &Finding) -> Self {
        Self {
            mark: finding.severity.into(),
            text: finding.title.clone(),
            label: Some(finding.key.to_string()),
            evidence: finding.evidence.clone(),
            journal: finding.journal.clone(),
            remedy: finding.remedy.clone(),
            follows: finding.because_of.is_some(),
        }
    }
}

impl From<Severity> for Mark {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Blocker => Self::Failed,
            Severity::Warning => Self::Warning,
            Severity::Info => Self::Note,
        }
    }
}
