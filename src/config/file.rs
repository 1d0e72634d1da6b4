//! The file's shapes.

use serde::Deserialize;
use toml::Spanned;

use super::error::Problem;
use super::place::Position;
use super::settings::Settings;
use super::{hooks, keys, window};
use crate::model::UnitName;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) service: Vec<Service>,
    pub(super) window: Vec<window::Window>,
    pub(super) blackout: Vec<window::Blackout>,
    pub(super) limits: Limits,
    pub(super) upgrade: Upgrade,
    pub(super) kernel: Kernel,
    pub(super) reboot: Reboot,
    pub(super) verify: Verify,
    pub(super) preflight: Preflight,
    pub(super) report: Report,
    pub(super) announce: hooks::AnnounceTable,
    pub(super) silence: hooks::SilenceTable,
    pub(super) hook: Vec<hooks::HookTable>,
    pub(super) notify: Vec<Spanned<Notify>>,
}

/// `[[service]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Service {
    pub(super) unit: Spanned<String>,
    pub(super) kind: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) after: Vec<Spanned<String>>,
    pub(super) stop_timeout: Option<Spanned<String>>,
    pub(super) start_timeout: Option<Spanned<String>>,
    pub(super) drain_timeout: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) readiness: Readiness,
    pub(super) mongodb: Option<Spanned<Mongodb>>,
}

/// `[service.readiness]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Readiness {
    pub(super) probe: Option<Spanned<String>>,
    pub(super) address: Option<Spanned<String>>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) status: Option<Spanned<i64>>,
    pub(super) header: Option<Spanned<String>>,
    pub(super) body: Option<Spanned<String>>,
    pub(super) command: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) timeout: Option<Spanned<String>>,
}

/// `[service.mongodb]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Mongodb {
    pub(super) uri: Option<Spanned<String>>,
    pub(super) uri_file: Option<Spanned<String>>,
    pub(super) uri_credential: Option<Spanned<String>>,
    pub(super) operation_limit: Option<Spanned<String>>,
    pub(super) long_operations: Option<Spanned<String>>,
    pub(super) leftover_clients: Option<Spanned<String>>,
    pub(super) client_limit: Option<Spanned<i64>>,
    pub(super) max_lag: Option<Spanned<String>>,
    pub(super) canary: Option<Spanned<String>>,
}

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Limits {
    pub(super) cpu: Option<Spanned<String>>,
    pub(super) cpu_weight: Option<Spanned<i64>>,
    pub(super) io_weight: Option<Spanned<i64>>,
    pub(super) memory_high: Option<Spanned<String>>,
    pub(super) nice: Option<Spanned<i64>>,
}

/// `[upgrade]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Upgrade {
    pub(super) allow_removals: Vec<Spanned<String>>,
    pub(super) exclude: Vec<Spanned<String>>,
    pub(super) only_security: Option<bool>,
    pub(super) only_planned: Option<bool>,
    pub(super) ahead: Option<bool>,
    pub(super) order: Option<Spanned<String>>,
    pub(super) lock_timeout: Option<Spanned<String>>,
    pub(super) stall_timeout: Option<Spanned<String>>,
    pub(super) fetch_timeout: Option<Spanned<String>>,
}

/// `[kernel]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Kernel {
    pub(super) dkms: Option<bool>,
    pub(super) optional_modules: Vec<Spanned<String>>,
    pub(super) remove_old: Option<bool>,
    pub(super) build_timeout: Option<Spanned<String>>,
    pub(super) modules_timeout: Option<Spanned<String>>,
    pub(super) source: Option<Spanned<String>>,
    pub(super) config: Option<Spanned<String>>,
    pub(super) make: Vec<Spanned<String>>,
    pub(super) command: Option<Spanned<Vec<Spanned<String>>>>,
}

/// `[reboot]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Reboot {
    pub(super) when: Option<Spanned<String>>,
    pub(super) grace: Option<Spanned<String>>,
    pub(super) force_after: Option<Spanned<String>>,
    pub(super) restart_outdated: Option<bool>,
}

/// `[verify]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Verify {
    pub(super) settle: Option<Spanned<String>>,
    pub(super) boot_timeout: Option<Spanned<String>>,
    pub(super) on_failure: Option<Spanned<String>>,
}

/// `[preflight]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Preflight {
    pub(super) allow: Vec<Spanned<String>>,
    pub(super) min_free_mib: Option<Spanned<i64>>,
    pub(super) max_restarts: Option<Spanned<i64>>,
    pub(super) max_connections: Option<Spanned<i64>>,
    pub(super) trusted_origins: Vec<Spanned<String>>,
    pub(super) deployments: Vec<Spanned<String>>,
    pub(super) users_url: Option<Spanned<String>>,
    pub(super) users_collection: Option<Spanned<String>>,
    pub(super) users_field: Option<Spanned<String>>,
    pub(super) users_within: Option<Spanned<String>>,
    pub(super) users_limit: Option<Spanned<i64>>,
}

/// `[report]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Report {
    pub(super) keep: Option<Spanned<i64>>,
}

/// `[[notify]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Notify {
    pub(super) kind: Spanned<String>,
    pub(super) when: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) to: Vec<Spanned<String>>,
    pub(super) from: Option<Spanned<String>>,
    pub(super) server: Option<Spanned<String>>,
    pub(super) security: Option<Spanned<String>>,
    pub(super) user: Option<Spanned<String>>,
    pub(super) password_file: Option<Spanned<String>>,
    pub(super) password_credential: Option<Spanned<String>>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) url_file: Option<Spanned<String>>,
    pub(super) url_credential: Option<Spanned<String>>,
    pub(super) template: Option<Spanned<String>>,
    pub(super) file: Option<Spanned<String>>,
    pub(super) retry_for: Option<Spanned<String>>,
}

/// Where things are in the file that only the host can judge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Positions {
    pub(super) units: Vec<(UnitName, Position)>,
    pub(super) uri_files: Vec<(UnitName, Position)>,
    /// Files of `[[notify]]` that hold secrets, with the key that names each.
    pub(super) secret_files: Vec<(String, &'static keys::Key, Position)>,
}

impl Positions {
    /// Where the service's unit is named.
    pub fn unit(&self, unit: &UnitName) -> Option<Position> {
        find(&self.units, unit)
    }

    /// Where the service's `uri-file` is named.
    pub fn uri_file(&self, unit: &UnitName) -> Option<Position> {
        find(&self.uri_files, unit)
    }
}

fn find(places: &[(UnitName, Position)], unit: &UnitName) -> Option<Position> {
    places.iter().find(|(name, _)| name == unit).map(|(_, at)| *at)
}

/// Valid settings, and where they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The settings.
    pub settings: Settings,
    /// Where some of them are in the file.
    pub positions: Positions,
}

impl Located {
    /// The problem of a unit that only the host can judge, as in `this host has no such unit`.
    pub fn unit_problem(&self, unit: &UnitName, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        let at = self.positions.unit(unit);
        Problem { at, key: Some(keys::UNIT.path()), message: message.into(), hint: hint.into() }
    }
}
