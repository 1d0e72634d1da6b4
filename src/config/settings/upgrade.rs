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
    /// Whether a new kernel is installed while the services still run.
    #[serde(default)]
    pub ahead: bool,
    /// When services are stopped.
    #[serde(default)]
    pub order: StopOrder,
    /// How long apt waits for a lock that somebody else holds.
    pub lock_timeout: SignedDuration,
    /// How long packaging work may stand still while services are down.
    #[serde(default = "default_stall_timeout")]
    pub stall_timeout: SignedDuration,
    /// How long the package lists may take to come, and the packages.
    #[serde(default = "default_fetch_timeout")]
    pub fetch_timeout: SignedDuration,
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
