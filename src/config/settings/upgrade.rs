//! How packages are upgraded.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::super::keys;
use crate::model::PackageSelection;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpgradeSettings {
    /// Packages that the upgrade may remove.
    pub allow_removals: Vec<String>,
    /// Which updates are taken.
    #[serde(default)]
    pub selection: PackageSelection,
    /// Whether just what was fetched beforehand is installed.
    #[serde(default)]
    pub only_planned: bool,
    /// What is installed while the services still run.
    #[serde(default)]
    pub ahead: Ahead,
    /// Packages that services use without showing it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead_related: Vec<String>,
    /// When services are stopped.
    #[serde(default)]
    pub order: StopOrder,
    /// When what dpkg writes is on disk.
    #[serde(default)]
    pub durability: Durability,
    /// How long apt waits for a lock that somebody else holds.
    pub lock_timeout: SignedDuration,
    /// How long packaging work may stand still while services are down.
    #[serde(default = "default_stall_timeout")]
    pub stall_timeout: SignedDuration,
    /// How long the package lists may take to come, and the packages.
    #[serde(default = "default_fetch_timeout")]
    pub fetch_timeout: SignedDuration,
}

impl UpgradeSettings {
    /// Whether packages come ahead that no service uses. Where all of it comes before the stop anyway, nothing is ahead.
    pub fn chooses_ahead(&self) -> bool {
        self.ahead == Ahead::Unrelated && self.order == StopOrder::StopFirst
    }
}

/// Before it could be set.
fn default_fetch_timeout() -> SignedDuration {
    keys::FETCH_TIMEOUT.default_duration()
}

/// Before it could be set.
fn default_stall_timeout() -> SignedDuration {
    keys::STALL_TIMEOUT.default_duration()
}

/// When services are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopOrder {
    /// Before packages are upgraded.
    #[default]
    StopFirst,
    /// When all else is done, right before the reboot.
    LateStop,
}

/// When what dpkg writes is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Each file before its package counts as unpacked.
    #[default]
    File,
    /// All files of packages that booting does not need at the end of the upgrade. What a power cut spoils is installed again.
    Batch,
}

/// What is installed while the services still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "WrittenAhead", into = "WrittenAhead")]
pub enum Ahead {
    #[default]
    Nothing,
    /// A new kernel, which comes beside the one that runs.
    Kernel,
    /// The same, and packages that no service uses.
    Unrelated,
}

/// A run of an older version has `true` or `false`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenAhead {
    Switch(bool),
    Word(AheadWord),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AheadWord {
    Kernel,
    Unrelated,
}

impl From<WrittenAhead> for Ahead {
    fn from(written: WrittenAhead) -> Self {
        match written {
            WrittenAhead::Switch(false) => Self::Nothing,
            WrittenAhead::Switch(true) | WrittenAhead::Word(AheadWord::Kernel) => Self::Kernel,
            WrittenAhead::Word(AheadWord::Unrelated) => Self::Unrelated,
        }
    }
}

impl From<Ahead> for WrittenAhead {
    fn from(ahead: Ahead) -> Self {
        match ahead {
            Ahead::Nothing => Self::Switch(false),
            Ahead::Kernel => Self::Word(AheadWord::Kernel),
            Ahead::Unrelated => Self::Word(AheadWord::Unrelated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_ahead_is_read_from_saved_runs_old_and_new() {
        for (saved, ahead, written) in [
            ("true", Ahead::Kernel, "\"kernel\""),
            ("false", Ahead::Nothing, "false"),
            ("\"kernel\"", Ahead::Kernel, "\"kernel\""),
            ("\"unrelated\"", Ahead::Unrelated, "\"unrelated\""),
        ] {
            assert_eq!(serde_json::from_str::<Ahead>(saved).unwrap(), ahead, "{saved}");
            assert_eq!(serde_json::to_string(&ahead).unwrap(), written);
        }
        assert!(serde_json::from_str::<Ahead>("\"all\"").is_err());
    }
}
