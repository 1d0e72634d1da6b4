//! Errors that reach the person at the keyboard: their kind decides the exit code, and one printer prints them.

use crate::config::ConfigError;
use crate::exit_code;
use crate::host::HostError;
use crate::store::StoreError;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A fault in Patchday or an unexpected answer of the host.
    Unexpected,
    /// The command line or the configuration is wrong.
    Usage,
    /// Another run is at work.
    Locked,
    /// The run cannot do this now, or can no longer do it.
    Refused,
    /// The state cannot be read.
    State,
}

/// A command that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    /// What failed, on what and why. More than one line where several things are wrong.
    pub message: String,
    /// What to do about it: a command to run, or a few words.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint yet.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code that it is worth.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            FailureKind::Unexpected => exit_code::UNEXPECTED,
            FailureKind::Usage => exit_code::USAGE,
            FailureKind::Locked => exit_code::LOCKED,
            FailureKind::Refused => exit_code::BLOCKED,
            FailureKind::State => exit_code::STATE,
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(FailureKind::Usage, error.to_string()).hint(error.hint())
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::new(FailureKind::Unexpected, error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (kind, hint) = match &error {
            StoreError::Gone { pointer, .. } => {
                let hint = format!("see that every service is up, then rm {}", pointer.display());
                return Self::new(FailureKind::State, error.to_string()).hint(hint);
            }
            StoreError::Foreign { remedy, .. } => {
                return Self::new(FailureKind::State, error.to_string()).hint(remedy.clone());
            }
            StoreError::Locked(_) => (FailureKind::Locked, "patchday attach"),
            StoreError::RunIsOpen(_) => (FailureKind::Locked, "patchday resume"),
            StoreError::NoSuchRun(_) => (FailureKind::Usage, "patchday history"),
            StoreError::Newer { .. } => (FailureKind::State, "install the newer Patchday again, it can finish the run"),
            StoreError::Unreadable { .. } => {
                (FailureKind::State, "see what the file holds; moving its run directory away lets new runs begin")
            }
            StoreError::Io { path, source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                let message = format!("what Patchday records is for root alone: {}: permission denied", path.display());
                return Self::new(FailureKind::State, message).hint("run it as root");
            }
            StoreError::Io { path, source, .. } if is_full(source) => {
                let place = path.parent().unwrap_or(path).display();
                let message = format!("there is no room left: {error}");
                return Self::new(FailureKind::State, message).hint(format!("df -h {place}; df -i {place}"));
            }
            StoreError::Io { .. } => {
                (FailureKind::State, "see that the state directory is mounted, writable and has room")
            }
        };
        Self::new(kind, error.to_string()).hint(hint)
    }
}
