//! Settings with their places in the files.

use super::error::Problem;
use super::keys::{self, Key};
use super::place::Place;
use super::settings::Settings;
use crate::model::UnitName;

/// Where things are in the files that only the host can judge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Positions {
    pub(super) units: Vec<(UnitName, Place)>,
    /// Files that hold secrets, with the key that names each.
    pub(super) secret_files: Vec<(String, &'static Key, Place)>,
}

impl Positions {
    /// Where the service's unit is named.
    pub fn unit(&self, unit: &UnitName) -> Option<&Place> {
        self.units.iter().find(|(name, _)| name == unit).map(|(_, place)| place)
    }
}

/// Valid settings, and where they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    pub settings: Settings,
    /// Where some of them are in the files.
    pub positions: Positions,
}

impl Located {
    /// The problem of a unit that only the host can judge, as in `this host has no such unit`.
    pub fn unit_problem(&self, unit: &UnitName, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        let place = self.positions.unit(unit).cloned().unwrap_or_default();
        Problem { place, key: Some(keys::UNIT.path()), message: message.into(), hint: hint.into() }
    }
}
