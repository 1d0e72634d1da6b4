//! The judgement after the reboot.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BootId, DatabaseReturn, Finding, Latency, UnitName, Vulnerability};

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
    pub unit: UnitName,
    /// When its activation began, in microseconds since boot.
    pub activation_began_usec: Option<u64>,
    /// When it became active, in microseconds since boot.
    pub active_usec: Option<u64>,
    /// When it was first seen ready, in microseconds since boot; none if it never was.
    pub ready_usec: Option<u64>,
    /// When it was first seen ready, by the clock.
    pub ready_at: Option<Timestamp>,
    /// Why it is not ready.
    pub problem: Option<String>,
    /// Restarts since the boot.
    pub restarts: u32,
    /// The service whose failure explains this one's.
    pub because_of: Option<UnitName>,
    /// How fast it answers; none if its probe asks nobody but systemd.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency: Option<Latency>,
}

/// Whether an order was kept during the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderKept {
    /// The service became active only when what it depends on was ready.
    Kept,
    /// It became active earlier, and ready later.
    Waited,
    /// It said that it was ready before what it depends on was.
    Broken,
    /// One of the two never became ready, or nobody looked in time.
    Unknown,
}

/// Why an order is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderUnknown {
    /// One of the two never became ready.
    NotReady,
    /// One of the two was ready when somebody first looked.
    NotSeen,
    /// Both became ready between the same two looks.
    Together,
}

/// One edge of the dependency graph, as the boot went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeReturn {
    pub unit: UnitName,
    /// What it depends on.
    pub on: UnitName,
    /// Whether the order was kept.
    pub order: OrderKept,
    /// Why that is unknown; none where it is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<OrderUnknown>,
}

/// A difference to the baseline that is no finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedDifference {
    pub what: String,
    /// The rule that expects it.
    pub rule: String,
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
    pub verdict: Verdict,
    /// Services in dependency order.
    pub services: Vec<ServiceReturn>,
    /// Databases in dependency order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub databases: Vec<DatabaseReturn>,
    pub findings: Vec<Finding>,
    /// The order in which services became ready.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub edges: Vec<EdgeReturn>,
    /// Differences to the baseline that a boot, or the upgrade, makes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub expected: Vec<ExpectedDifference>,
    /// Services that came back only because Patchday restarted them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub recovered: Vec<UnitName>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DatabaseStartEvidence, FindingKey, Severity};
    use jiff::SignedDuration;

    #[test]
    fn a_judgement_survives_its_file() {
        let unit = |name: &str| name.parse::<UnitName>().unwrap();
        let ms = SignedDuration::from_millis;
        let mut finding = Finding::new(FindingKey::Order, Severity::Warning, "api was early").about("api.service");
        finding.because_of = Some("mongod.service".into());
        let judged = Verification {
            boot: "6c6f1e2a-0b0f-4d53-9d5b-0a2f1e6f7a10".parse().unwrap(),
            kernel: "6.1".into(),
            vulnerabilities: Vec::new(),
            verdict: Verdict::Degraded,
            services: vec![ServiceReturn {
                unit: unit("api.service"),
                activation_began_usec: Some(1),
                active_usec: Some(2),
                ready_usec: Some(3),
                ready_at: None,
                problem: None,
                restarts: 0,
                because_of: None,
                latency: Latency::of(vec![ms(3), ms(4)]),
            }],
            databases: vec![DatabaseReturn {
                unit: unit("mongod.service"),
                facts: None,
                start: DatabaseStartEvidence {
                    unclean_shutdown_seen: Some(false),
                    ready_after: Some(ms(700)),
                    ready_at: Some(Timestamp::UNIX_EPOCH),
                },
                replica_set: None,
                compatibility: Some("6.0".into()),
                canary: None,
                caught_up_after: Some(ms(9)),
            }],
            findings: vec![finding],
            edges: vec![EdgeReturn {
                unit: unit("api.service"),
                on: unit("mongod.service"),
                order: OrderKept::Broken,
                why: None,
            }],
            expected: vec![ExpectedDifference { what: "session-3.scope is gone".into(), rule: "sessions end".into() }],
            recovered: vec![unit("api.service")],
        };
        let text = serde_json::to_string(&judged).unwrap();
        assert_eq!(serde_json::from_str::<Verification>(&text).unwrap(), judged);
        for why in [OrderUnknown::NotReady, OrderUnknown::NotSeen, OrderUnknown::Together] {
            let text = serde_json::to_string(&why).unwrap();
            assert_eq!(serde_json::from_str::<OrderUnknown>(&text).unwrap(), why);
        }
        for order in [OrderKept::Kept, OrderKept::Waited, OrderKept::Unknown] {
            let text = serde_json::to_string(&order).unwrap();
            assert_eq!(serde_json::from_str::<OrderKept>(&text).unwrap(), order);
        }
    }
}
