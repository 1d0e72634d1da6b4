//! The judgement after the reboot.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BootId, Finding, UnitName, Vulnerability};

/// The judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything is back and nothing was found.
    Healthy,
    /// Every service is back, but something is not as it was.
    Degraded,
    /// A service is not back, or the boot is not the one that was asked for.
    Failed,
}

impl Verdict {
    /// The verdict's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// How one service came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReturn {
    /// The service.
    pub unit: UnitName,
    /// When its activation began, in microseconds since boot.
    pub activation_began_usec: Option<u64>,
    /// When it became active, in microseconds since boot.
    pub active_usec: Option<u64>,
    /// When it was first seen ready, in microseconds since boot; none where it never was.
    pub ready_usec: Option<u64>,
    /// When it was first seen ready, by the clock.
    pub ready_at: Option<Timestamp>,
    /// Why it is not ready.
    pub problem: Option<String>,
    /// Restarts since the boot.
    pub restarts: u32,
    /// The service whose failure explains this one's.
    pub because_of: Option<UnitName>,
}

/// Everything the verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The boot that was judged.
    pub boot: BootId,
    /// The kernel that runs.
    pub kernel: String,
    /// CPU vulnerabilities as that kernel sees them; empty where they could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub vulnerabilities: Vec<Vulnerability>,
    /// The judgement.
    pub verdict: Verdict,
    /// Services in dependency order.
    pub services: Vec<ServiceReturn>,
    /// First cause first.
    pub findings: Vec<Finding>,
}
