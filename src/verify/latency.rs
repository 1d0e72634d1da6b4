//! How fast the services answer: a small sample, taken the same way before and after.

use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::config::ServiceSettings;
use crate::host::Host;
use crate::model::{Latency, Readiness, ReadinessProbe};

/// Answers of one service, where there are few services.
const SAMPLE: usize = 8;
/// Answers of all services together; each gives a few, however many there are.
const ALL_SAMPLES: usize = 1000;
/// A slow service is known to be slow after fewer.
const ENOUGH: (usize, SignedDuration) = (5, SignedDuration::from_secs(4));
/// Services at the same time: more would measure the questions that wait for each other.
const AT_ONCE: usize = 4;
/// No service is asked again sooner: many take but so many questions in a second, and a user who is turned away for ours
/// is worse than a sample that takes its time.
const PACE: SignedDuration = SignedDuration::from_millis(250);

/// What one service has said so far.
struct Sample<'a> {
    service: &'a ServiceSettings,
    answers: Vec<SignedDuration>,
    spent: SignedDuration,
    is_over: bool,
}

impl<'a> Sample<'a> {
    fn of(service: &'a ServiceSettings) -> Self {
        // How long a program takes to start says nothing of the service, and systemd is not the service.
        let is_over = matches!(service.readiness, ReadinessProbe::Unit | ReadinessProbe::Command { .. });
        Self { service, answers: Vec::new(), spent: SignedDuration::ZERO, is_over }
    }

    async fn ask(&mut self, host: &Host, wanted: usize) {
        let service = self.service;
        match host.prober.probe(&service.unit, &service.readiness, service.probe_timeout).await {
            Readiness::Ready(took) => {
                self.answers.push(took);
                self.spent += took;
            }
            // Whoever is asked too often is left alone; what it said so far counts.
            Readiness::NotReady(_) | Readiness::TooOften(_) => self.is_over = true,
        }
        let has_enough = self.answers.len() >= ENOUGH.0 && self.spent >= ENOUGH.1;
        self.is_over |= has_enough || self.answers.len() >= wanted;
    }
}

/// The latency of each, in their order; none for a service whose probe asks nobody but systemd, or does not answer.
pub(crate) async fn of_services(host: &Host, services: &[&ServiceSettings]) -> Vec<Option<Latency>> {
    let wanted = (ALL_SAMPLES / services.len().max(1)).clamp(ENOUGH.0, SAMPLE);
    let samples = services.iter().map(|service| Sample::of(service)).collect();
    sampled(host, samples, wanted).await
}

/// Measures one service while nobody else is asked.
pub(super) async fn alone(host: &Host, service: &ServiceSettings) -> Option<Latency> {
    sampled(host, vec![Sample::of(service)], ENOUGH.0).await.into_iter().next().flatten()
}

/// Each is asked once in a round, and no round begins sooner than the pace allows.
async fn sampled(host: &Host, mut samples: Vec<Sample<'_>>, wanted: usize) -> Vec<Option<Latency>> {
    loop {
        let began = host.clock.now();
        let mut open: Vec<&mut Sample<'_>> = samples.iter_mut().filter(|sample| !sample.is_over).collect();
        if open.is_empty() {
            return samples.into_iter().map(|sample| Latency::of(sample.answers)).collect();
        }
        for some in open.chunks_mut(AT_ONCE) {
            join_all(some.iter_mut().map(|sample| sample.ask(host, wanted))).await;
        }
        if samples.iter().all(|sample| sample.is_over) {
            continue;
        }
        let left = PACE - host.clock.now().duration_since(began);
        if left.is_positive() {
            host.clock.sleep(left).await;
        }
    }
}
