//! The verdict: what was seen of the services and of the host, weighed.

use std::collections::BTreeMap;

use futures_util::future::join3;

use super::compare::{self, Between, Difference, Now};
use super::watch::{self, Ears, Watched};
use super::{Verifying, cause, database, findings, latency, observe, order, seen};
use crate::config::ServiceSettings;
use crate::host::HostResult;
use crate::model::{
    DependencyGraph, Finding, FindingKey, Severity, Subject, UnitName, UnitRelations, Verdict, Verification,
};

/// Compares the host with a baseline, without a run: looks, and changes nothing.
pub async fn judge(with: &Verifying<'_>) -> Verification {
    Look::until_settled(with).await.conclude(Vec::new()).await
}

/// A look at the services of a boot, until each is ready or will not be.
pub(crate) struct Look<'a> {
    with: &'a Verifying<'a>,
    ears: Ears,
    watched: Vec<Watched>,
}

impl<'a> Look<'a> {
    pub(crate) async fn until_settled(with: &'a Verifying<'a>) -> Self {
        let mut look = Self { with, ears: Ears::open(with).await, watched: watch::services(with) };
        watch::until_settled(with, &mut look.ears, &mut look.watched).await;
        look
    }

    /// In the order of the settings, which is that of the dependencies.
    pub(crate) fn services(&self) -> Vec<ServiceSettings> {
        self.watched.iter().map(|one| one.service.clone()).collect()
    }

    pub(crate) fn is_ready(&self, unit: &UnitName) -> bool {
        self.watched.iter().any(|one| one.unit() == unit && one.is_ready())
    }

    /// Looks at one service anew, until it is settled.
    pub(crate) async fn again(&mut self, unit: &UnitName) {
        for one in self.watched.iter_mut().filter(|one| one.unit() == unit) {
            one.look_again();
            watch::until_settled(self.with, &mut self.ears, std::slice::from_mut(one)).await;
        }
    }

    /// The verdict, after the settle time. `recovered` came back only because they were restarted.
    pub(crate) async fn conclude(mut self, recovered: Vec<UnitName>) -> Verification {
        let relations = settle(self.with, &mut self.ears, &mut self.watched).await;
        conclude(self.with, self.watched, recovered, relations).await
    }
}

/// The settle time, and what takes a while and need not wait for its end: so the verdict follows it at once.
async fn settle(
    with: &Verifying<'_>,
    ears: &mut Ears,
    watched: &mut [Watched],
) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
    let ready: Vec<ServiceSettings> =
        watched.iter().filter(|one| one.is_ready()).map(|one| one.service.clone()).collect();
    let clock = &with.host.clock;
    // In its last third: whoever just started has cold caches, and answers slower than it did.
    let last_third = clock.now() + with.settings.verify.settle * 2 / 3;
    let sample = async {
        let wait = last_third.duration_since(clock.now());
        if wait.is_positive() {
            clock.sleep(wait).await;
        }
        latency::of_services(with.host, &ready.iter().collect::<Vec<_>>()).await
    };
    let ((), relations, latencies) = join3(watch::settle(with, ears, watched), relations(with), sample).await;
    for (service, latency) in ready.iter().zip(latencies) {
        if let Some(one) = watched.iter_mut().find(|one| *one.unit() == service.unit) {
            one.latency = latency.filter(|_| one.is_ready());
        }
    }
    relations
}

async fn conclude(
    with: &Verifying<'_>,
    mut watched: Vec<Watched>,
    recovered: Vec<UnitName>,
    relations: HostResult<BTreeMap<UnitName, UnitRelations>>,
) -> Verification {
    let mut findings = Vec::new();
    let configured: Vec<UnitName> = with.settings.services.iter().map(|service| service.unit.clone()).collect();
    findings.extend(findings::boot_finished(with).await);
    findings.extend(findings::scheduled_shutdown(with).await);
    let now = observe::observe(with, &configured).await;
    let graph = graph(with, relations, &now, &mut findings).await;

    findings.extend(watched.iter().filter_map(findings::service));
    let mut databases = Vec::new();
    let mut found_there = Vec::new();
    for one in &watched {
        let Some(access) = &one.service.database else { continue };
        if !one.is_ready() {
            if one.is_as_before() {
                continue;
            }
            let why = database::why_not(with, &one.service).await;
            cause::explain(&mut findings, one.unit(), why);
            continue;
        }
        let (back, found) = database::look(with, &one.service, access).await;
        databases.push(back);
        found_there.extend(found.into_iter().map(|finding| finding.about(one.unit())));
    }
    // Where nobody was there before the services, what was seen here has to do.
    let sightings = with.host.witness.sightings().await.unwrap_or_default();
    seen::narrow(&mut watched, &sightings, &databases);
    watched.iter_mut().for_each(|one| one.count_from(with.began_usec));
    let edges = order::edges(&watched);
    findings.extend(order::findings(&edges, &watched, &graph));
    findings.extend(order::restarts(&watched));
    findings.extend(recovered.iter().map(findings::recovered));
    findings.extend(found_there);
    findings.extend(findings::slow(with, &mut watched).await);

    let fell_back = now.kernel.known().and_then(|kernel| findings::fell_back(with, &kernel.running));
    let between = Between {
        rebooted: with.rebooted,
        kernel: with.kernel,
        reboot_reasons: with.reboot_reasons,
        changes: with.changes,
        services: &configured,
        fell_back: fell_back.is_some(),
    };
    findings.extend(fell_back);
    let mut expected = Vec::new();
    for difference in compare::compare(with.baseline, &now, &between) {
        match difference {
            Difference::Expected(difference) => expected.push(difference),
            Difference::Found(finding) => findings.push(finding),
        }
    }
    findings.extend(findings::failed_before(with, now.units.known()));
    cause::weigh_mounts(&mut findings, &graph, &configured);
    let sockets = now.sockets.known().map_or(&[][..], Vec::as_slice);
    let mut findings = cause::first(findings, &graph, with.baseline, sockets);
    findings::name_causes(&mut findings, &watched);
    cause::add_journals(with.host, &mut findings).await;

    let verdict = match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Blocker) => Verdict::Failed,
        Some(Severity::Warning) => Verdict::Degraded,
        Some(Severity::Info) | None => Verdict::Healthy,
    };
    let explained = |unit: &UnitName| {
        let finding = findings.iter().find(|one| one.key == FindingKey::ServiceNotReady && one.is_about(unit));
        finding.and_then(|finding| match finding.because_of.as_ref()? {
            Subject::Unit(unit) => Some(unit.clone()),
            _ => None,
        })
    };
    let services = watched.into_iter().map(|one| {
        let because_of = explained(one.unit());
        one.into_return(because_of)
    });
    let kernel = now.kernel.known().cloned().unwrap_or_default();
    Verification {
        boot: with.boot.clone(),
        kernel: kernel.running,
        vulnerabilities: kernel.vulnerabilities,
        verdict,
        services: services.collect(),
        databases,
        findings,
        edges,
        expected,
        recovered,
    }
}

/// What is known of the units' relations; read while services settle, since it takes a while where there are many.
async fn relations(with: &Verifying<'_>) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
    let services: Vec<UnitName> = with.settings.services.iter().map(|service| service.unit.clone()).collect();
    with.host.units.relations(&services).await
}

/// The graph, with what failed and is no service of ours.
async fn graph(
    with: &Verifying<'_>,
    relations: HostResult<BTreeMap<UnitName, UnitRelations>>,
    now: &Now,
    findings: &mut Vec<Finding>,
) -> DependencyGraph {
    let services = with.settings.services.iter().map(|service| (service.unit.clone(), service.after.clone()));
    let failed = now.units.known().into_iter().flat_map(|units| units.failed.iter());
    let known = match relations {
        Ok(mut known) => {
            let missing: Vec<UnitName> = failed.filter(|unit| !known.contains_key(*unit)).cloned().collect();
            match super::relations::of_each(with.host, &missing).await {
                Ok(more) => {
                    known.extend(more);
                    Ok(known)
                }
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    let known = known.unwrap_or_else(|error| {
        let title = "the relations of the units could not be read";
        findings.push(Finding::new(FindingKey::Order, Severity::Warning, title).evidence(error.to_string()));
        BTreeMap::new()
    });
    DependencyGraph::new(services, known)
}
