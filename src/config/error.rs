//! What is wrong with the configuration.

use std::fmt;
use std::path::{Path, PathBuf};

use super::place::Position;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; none if the whole file is meant.
    pub at: Option<Position>,
    /// The table and the key, as in `[service.readiness] probe`; none for errors of syntax and of the whole file.
    pub key: Option<String>,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Everything that is wrong with one file, in the order of the file.
///
/// ```text
/// /etc/patchday/patchday.toml:12:9: [service.readiness] probe: expected one of unit, tcp, http, mongodb, found "htpp"
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub path: PathBuf,
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn one(path: &Path, problem: Problem) -> Self {
        Self { path: path.to_owned(), problems: vec![problem] }
    }

    /// A problem of the whole file.
    pub(super) fn whole(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::one(path, Problem { at: None, key: None, message: message.into(), hint: hint.into() })
    }

    /// Problems in the order of the file.
    pub(super) fn sorted(path: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.at);
        Self { path: path.to_owned(), problems }
    }

    /// What to do about the first problem.
    pub fn hint(&self) -> &str {
        self.problems.first().map_or("", |problem| &problem.hint)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.path.display())?;
            if let Some(at) = problem.at {
                write!(f, "{at}:")?;
            }
            if let Some(key) = &problem.key {
                write!(f, " {key}:")?;
            }
            write!(f, " {}", problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
