//! How long a run will take, step by step, before it begins.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{HostPace, Step};

/// What an estimate rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Earlier runs of this host.
    History,
    /// The packages: their number and their sizes.
    Sizes,
    /// The same, and how fast this host's disk and CPU were when they were measured.
    Measured,
    /// The boot that runs.
    Boot,
    /// Neither is known: what other hosts take.
    Assumed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEstimate {
    pub step: Step,
    /// How long it will take.
    pub takes: SignedDuration,
    /// What that rests on.
    pub basis: Basis,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Every step, in order.
    pub steps: Vec<StepEstimate>,
    /// The part of the last step until every service is ready; the rest only watches that they stay so.
    pub until_ready: SignedDuration,
    /// What packaging work is reckoned with, for a plan that changes; none of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packaging: Option<PackagingPace>,
}

/// What an estimate of packaging work rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagingPace {
    /// As it was measured; none if it was not.
    pub host: Option<HostPace>,
    /// How long it takes beside what it should on such a host, in thousandths: for limits, or as earlier runs have shown.
    pub thousandths: u32,
}

/// What would shorten the time without the services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saving {
    pub what: String,
    /// How much shorter it gets.
    pub saves: SignedDuration,
}

impl Estimate {
    /// How long one step will take; nothing where it is not planned.
    pub fn takes(&self, step: &Step) -> SignedDuration {
        self.steps
            .iter()
            .find(|estimate| &estimate.step == step)
            .map_or(SignedDuration::ZERO, |estimate| estimate.takes)
    }

    /// From the beginning of the run to its end.
    pub fn total(&self) -> SignedDuration {
        self.steps.iter().map(|step| step.takes).sum()
    }

    /// From the beginning of the run until every service is ready again.
    pub fn until_back(&self) -> SignedDuration {
        let before = self.steps.iter().filter(|estimate| estimate.step != Step::Verify);
        before.map(|estimate| estimate.takes).sum::<SignedDuration>() + self.until_ready
    }

    /// From the beginning of the first stop until every service is ready again; zero where nothing is stopped.
    pub fn downtime(&self) -> SignedDuration {
        let stopped = self.steps.iter().skip_while(|estimate| !estimate.step.is_stop());
        match stopped.filter(|estimate| estimate.step != Step::Verify).map(|estimate| estimate.takes).sum() {
            SignedDuration::ZERO => SignedDuration::ZERO,
            away => away + self.until_ready,
        }
    }

    /// How fast the host was when it was measured; none if it was not.
    pub fn host_pace(&self) -> Option<&HostPace> {
        self.packaging.as_ref()?.host.as_ref()
    }

    /// Whether packages are upgraded before the first stop.
    pub fn stops_late(&self) -> bool {
        let mut order = self.steps.iter().map(|estimate| &estimate.step);
        order.find(|step| matches!(step, Step::Stop(_) | Step::Upgrade)) == Some(&Step::Upgrade)
    }
}
