//! How a run stands or ended, in one sentence whose parts are known.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One sentence: `healthy: 3 packages upgraded, services away for 24 s, nothing found`. Written as its text.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Summary {
    /// The verdict, or how else it ended: `failed`. Empty where only the text is known.
    pub head: String,
    /// What it is about. Empty where the head says all of it.
    pub what: String,
    /// What else became of the run.
    pub more: Vec<String>,
}

impl Summary {
    pub(super) fn new(head: impl Into<String>, what: impl Into<String>) -> Self {
        Self { head: head.into(), what: what.into(), more: Vec::new() }
    }

    /// All but the head.
    pub fn rest(&self) -> String {
        let what = Some(&self.what).filter(|what| !what.is_empty());
        what.into_iter().chain(&self.more).map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    /// Without what else became of the run.
    pub fn first_part(&self) -> Self {
        Self { more: Vec::new(), ..self.clone() }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match (self.head.is_empty(), self.what.is_empty(), self.more.is_empty()) {
            (true, ..) | (_, true, true) => "",
            (_, true, false) => "; ",
            (_, false, _) => ": ",
        };
        write!(formatter, "{}{separator}{}", self.head, self.rest())
    }
}

/// Two are the same that read the same: one that was stored knows its text alone.
impl PartialEq for Summary {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl From<String> for Summary {
    fn from(text: String) -> Self {
        Self::new("", text)
    }
}

impl From<Summary> for String {
    fn from(summary: Summary) -> Self {
        summary.to_string()
    }
}
