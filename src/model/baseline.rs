//! The host before the run.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{KernelFacts, Readiness, UnitName, UnitState, UnitSurvey};

/// A socket somebody listens on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListeningSocket {
    /// `tcp`, `tcp6`.
    pub protocol: String,
    /// Address and port, as in `127.0.0.1:27017`.
    pub address: String,
    /// The program's name (`comm`); empty where no process was found.
    pub program: String,
    /// The unit whose control group holds the process; none where it is no unit's.
    pub unit: Option<UnitName>,
}

/// One configured service before the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceBaseline {
    /// The service.
    pub unit: UnitName,
    /// As systemd saw it.
    pub state: UnitState,
    /// As its probe saw it.
    pub readiness: Readiness,
}

/// What the host is compared with after the reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// When it was taken.
    pub taken: Timestamp,
    /// Since the boot.
    pub uptime: SignedDuration,
    /// All units.
    pub units: UnitSurvey,
    /// The configured services.
    pub services: Vec<ServiceBaseline>,
    /// Who listened where.
    pub sockets: Vec<ListeningSocket>,
    /// Mount points and their sources.
    pub mounts: BTreeMap<String, String>,
    /// Kernels and CPU vulnerabilities.
    pub kernel: KernelFacts,
    /// Installed packages and their versions.
    pub packages: BTreeMap<String, String>,
}

impl Baseline {
    /// Whether the service ran before the run; a service that did not need not run afterwards.
    pub fn service_ran(&self, unit: &UnitName) -> bool {
        self.services.iter().any(|service| &service.unit == unit && service.state.is_up())
    }
}
