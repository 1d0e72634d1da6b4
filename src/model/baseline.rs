//! The host before the run.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{DkmsModule, Inventory, KernelFacts, Latency, Readiness, UnitName, UnitState, UnitSurvey};

/// A socket somebody listens on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListeningSocket {
    /// `tcp`, `tcp6`, `udp`, `udp6`.
    pub protocol: String,
    /// Address and port, as in `127.0.0.1:27017`.
    pub address: String,
    /// The program's name (`comm`); empty where no process was found.
    pub program: String,
    /// The unit whose control group holds the process; none if it is no unit's.
    pub unit: Option<UnitName>,
}

/// One configured service before the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceBaseline {
    pub unit: UnitName,
    /// As systemd saw it.
    pub state: UnitState,
    /// As its probe saw it.
    pub readiness: Readiness,
    /// How fast it answered; none if its probe asks nobody but systemd.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency: Option<Latency>,
}

/// What the host is compared with after the reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// When it was taken.
    pub taken: Timestamp,
    pub uptime: SignedDuration,
    pub units: UnitSurvey,
    pub services: Vec<ServiceBaseline>,
    pub sockets: Vec<ListeningSocket>,
    /// Mount points and their sources.
    pub mounts: BTreeMap<String, String>,
    /// Kernels and CPU vulnerabilities.
    pub kernel: KernelFacts,
    /// Installed packages and their versions.
    pub packages: BTreeMap<String, String>,
    /// Modules of DKMS; none if an older version took the baseline.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dkms: Option<Vec<DkmsModule>>,
    /// Everything else; none if an older version took the baseline.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inventory: Option<Box<Inventory>>,
}

impl Baseline {
    /// How a configured service was before the run.
    pub fn state_of(&self, unit: &UnitName) -> Option<&UnitState> {
        self.services.iter().find(|service| &service.unit == unit).map(|service| &service.state)
    }

    /// Active, and nothing of it runs, though its kind wants that, or something did before the run.
    pub fn is_hollow(&self, unit: &UnitName, now: &UnitState) -> bool {
        self.state_of(unit).map_or_else(|| now.is_hollow(), |before| now.is_hollow_after(before))
    }

    /// Why the service's probe did not succeed before the run, in its words; none if it did, and where the service did
    /// not run.
    pub fn why_not_ready(&self, unit: &UnitName) -> Option<String> {
        let service = self.services.iter().find(|service| &service.unit == unit && service.state.is_up())?;
        service.readiness.problem()
    }

    /// Whether the service ran before the run; a service that did not need not run afterwards.
    pub fn service_ran(&self, unit: &UnitName) -> bool {
        self.services.iter().any(|service| &service.unit == unit && service.state.is_up() && !service.state.is_hollow())
    }
}
