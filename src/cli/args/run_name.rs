//! How a person names a run.

use std::str::FromStr;

/// The word for the newest run.
const LAST: &str = "last";

/// `last`, a run's ID, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct RunName(String);

impl RunName {
    pub(in crate::cli) fn as_str(&self) -> &str {
        &self.0
    }

    pub(in crate::cli) fn is_last(&self) -> bool {
        self.0 == LAST
    }
}

impl FromStr for RunName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // No word that means something else must pass for the beginning of an ID, which is a date.
        let is_beginning = text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_digit() || "abcdeftz-".contains(c));
        if is_beginning || text == LAST {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("expected {LAST}, or a run's ID or its beginning, as in 20261123t2310"))
    }
}
