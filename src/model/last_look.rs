//! How a run that was not verified left its services, as they were seen last.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Finding, UnitName};

/// The last look at a run's services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLook {
    pub at: Timestamp,
    /// Services that were looked at, and serve.
    pub serving: Vec<UnitName>,
    /// Services that had ended since they were seen ready, and were started once more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub started_again: Vec<UnitName>,
    /// What is not as it was before the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}
