//! What of an upgrade comes while the services run, and what waits for their stop.

use serde::{Deserialize, Serialize};

/// A package that waits for the stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingPackage {
    pub package: String,
    /// Why it is not upgraded under the services, as in `mongod.service has /usr/lib/libssl.so.3 in memory`.
    pub why: String,
}

/// What of a plan comes ahead; each of its changes is in one of the two lists.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AheadChoice {
    /// Names of the changes that come while the services run, in the order of the plan.
    pub ahead: Vec<String>,
    /// What waits for their stop, in the order of the plan.
    pub waits: Vec<WaitingPackage>,
    /// Why all waits but new kernels; none where each package was judged by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_waits: Option<String>,
}

impl AheadChoice {
    /// Whether a change of that name comes ahead.
    pub fn is_ahead(&self, package: &str) -> bool {
        self.ahead.iter().any(|name| name == package)
    }

    /// Names of what waits.
    pub fn waiting(&self) -> Vec<String> {
        self.waits.iter().map(|one| one.package.clone()).collect()
    }

    /// Has these wait as well.
    pub fn hold_back(&mut self, waiting: Vec<WaitingPackage>) {
        self.ahead.retain(|name| waiting.iter().all(|one| &one.package != name));
        self.waits.extend(waiting);
    }
}
