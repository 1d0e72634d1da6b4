//! How fast the services answer: a small sample, taken the same way before and after.

use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::config::ServiceSettings;
use crate::host::Host;
use crate::model::{Latency, Readiness, ReadinessProbe};

/// Answers of one service, where there are few services.
const SAMPLE: usize = 20;
/// Answers of all services together; each gives a few, however many there are.
const ALL_SAMPLES: usize = 1000;
/// A slow service is known to be slow after fewer.
const ENOUGH: (usize, SignedDuration) = (5, SignedDuration::from_secs(4));
/// Services at the same time: more would measure the questions that wait for each other.
const AT_ONCE: usize = 4;

/// The latency of each, in their order; none for a service whose probe asks nobody but systemd, or does not answer.
pub(super) async fn of_services(host: &Host, services: &[&ServiceSettings]) -> Vec<Option<Latency>> {
    let sample = (ALL_SAMPLES / services.len().max(1)).clamp(ENOUGH.0, SAMPLE);
    let mut all = Vec::with_capacity(services.len());
    for some in services.chunks(AT_ONCE) {
        all.extend(join_all(some.iter().map(|service| of_one(host, service, sample))).await);
    }
    all
}

/// Measures one service while nobody else is asked.
pub(super) async fn alone(host: &Host, service: &ServiceSettings) -> Option<Latency> {
    of_one(host, service, ENOUGH.0).await
}

async fn of_one(host: &Host, service: &ServiceSettings, sample: usize) -> Option<Latency> {
    match &service.readiness {
        ReadinessProbe::Tcp { .. } | ReadinessProbe::Http { .. } | ReadinessProbe::Mongodb(_) => {}
        // How long a program takes to start says nothing of the service.
        ReadinessProbe::Unit | ReadinessProbe::Command { .. } => return None,
    }
    let mut answers = Vec::with_capacity(sample);
    let mut spent = SignedDuration::ZERO;
    while answers.len() < sample && (answers.len() < ENOUGH.0 || spent < ENOUGH.1) {
        match host.prober.probe(&service.unit, &service.readiness, service.probe_timeout).await {
            Readiness::Ready(took) => {
                answers.push(took);
                spent += took;
            }
            Readiness::NotReady(_) => break,
        }
    }
    Latency::of(answers)
}
