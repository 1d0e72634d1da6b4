//! Prove that the host came back as it was.

use std::collections::BTreeMap;

use futures_util::future::join3;
use jiff::SignedDuration;

use super::compare::{self, Between, Difference, Now};
use super::verify_watch::{self, Ears, Watched};
use super::{
    StepContext, StepEnd, StepError, StepResult, held_down, latency, old_code, owed, trial, verify_cause,
    verify_database, verify_observe, verify_order, verify_recover,
};
use crate::config::{OnFailure, ServiceSettings, Settings};
use crate::events::{EventKind, EventSink};
use crate::host::{Host, HostResult};
use crate::model::{
    Baseline, BootId, Change, DependencyGraph, Fact, Finding, FindingKey, KernelPlan, OneShotBoot, PackageChange,
    RejectedKernel, Run, Severity, StopProof, Subject, UnitName, UnitRelations, Verdict, Verification,
};

/// A boot that goes on after all services settled is waited for; this is how often it is looked at.
const BOOT_LOOKS: SignedDuration = SignedDuration::from_millis(500);

/// So long services that seem slow are asked once more; where there are that many, the host is slow.
const SECOND_LOOKS: SignedDuration = SignedDuration::from_secs(20);

/// What a verification needs, with a run or without one.
pub struct Verifying<'a> {
    /// The host.
    pub host: &'a Host,
    /// The settings.
    pub settings: &'a Settings,
    /// Where it tells.
    pub events: &'a dyn EventSink,
    /// What the host was.
    pub baseline: &'a Baseline,
    /// The boot that is judged.
    pub boot: BootId,
    /// The host was rebooted since the baseline.
    pub rebooted: bool,
    /// What must run after the reboot.
    pub kernel: Option<&'a KernelPlan>,
    /// Why a reboot was wanted.
    pub reboot_reasons: &'a [String],
    /// What the upgrade was to change.
    pub changes: &'a [PackageChange],
    /// How the services were stopped.
    pub stops: &'a [StopProof],
    /// The kernel that the boot loader was to start once.
    pub trial: Option<&'a OneShotBoot>,
    /// The kernel that did not pass already.
    pub rejected: Option<&'a RejectedKernel>,
    /// Units that failed between the baseline and the reboot.
    pub failed_meanwhile: &'a [UnitName],
}

impl<'a> Verifying<'a> {
    /// As the run has it; none before its baseline was taken.
    pub fn of_run(
        run: &'a Run,
        boot: BootId,
        host: &'a Host,
        settings: &'a Settings,
        events: &'a dyn EventSink,
    ) -> Option<Self> {
        // A plan that was not carried out changed nothing.
        let changes = run.upgrade.as_ref().filter(|_| run.has_touched_packages());
        Some(Self {
            host,
            settings,
            events,
            baseline: run.baseline.as_ref()?,
            rebooted: boot != run.first_boot,
            boot,
            kernel: run.kernel.as_ref(),
            reboot_reasons: &run.reboot_reasons,
            changes: changes.map_or(&[], |upgrade| &upgrade.changes),
            stops: &run.stops,
            trial: run.one_shot_boot(),
            rejected: run.rejected_kernel.as_ref(),
            failed_meanwhile: &run.failed_meanwhile,
        })
    }

    /// What did not run before need not run now.
    fn services(&self) -> Vec<Watched> {
        let ran = self.settings.services.iter().filter(|service| self.baseline.service_ran(&service.unit));
        let watched = |service: ServiceSettings| {
            let was_not_ready = self.baseline.why_not_ready(&service.unit);
            let mut watched = Watched::new(service);
            watched.was_not_ready = was_not_ready;
            watched
        };
        ran.cloned().map(watched).collect()
    }
}

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    // A boot reaches everything.
    if ctx.run().boot == ctx.run().first_boot {
        old_code::restart(ctx).await?;
        owed::look(ctx, false).await?;
    }
    let run = ctx.run().clone();
    let Some(with) = Verifying::of_run(&run, run.boot.clone(), ctx.host, ctx.settings, ctx.events) else {
        return Err(StepError::Failed("the run has no baseline to compare with".into()));
    };
    let mut watched = with.services();
    let mut ears = Ears::open(&with).await;
    verify_watch::until_settled(&with, &mut ears, &mut watched).await;
    let mut recovered = Vec::new();
    if ctx.settings.verify.on_failure == OnFailure::Restart {
        recovered = verify_recover::restart(&with, ctx.recorder, &mut ears, &mut watched).await?;
    }
    let relations = settle(&with, &mut ears, &mut watched).await;
    let mut verification = conclude(&with, watched, recovered, relations).await;
    let trial = trial::judge(ctx, &verification.kernel, verification.verdict).await;
    if let Some(Err(finding)) = &trial {
        verification.findings.push(finding.clone());
        verification.verdict = verification.verdict.max(Verdict::Degraded);
    }

    let verdict = verification.verdict;
    let told: Vec<String> = verification.findings.iter().map(|finding| finding.title.clone()).collect();
    ctx.recorder.record(Fact::Judged(Box::new(verification)))?;
    if let (Some(Ok(())), Some(change)) = (trial, run.one_shot_boot().cloned().map(Change::OneShotBoot)) {
        ctx.recorder.record(Fact::ChangeUndone(change))?;
    }
    ctx.events.emit(EventKind::VerdictReached { verdict, findings: told.clone() });
    match verdict {
        Verdict::Failed => Err(StepError::Failed(told.into_iter().next().unwrap_or_default())),
        verdict => Ok(StepEnd::Succeeded(Some(verdict.name().into()))),
    }
}

/// Compares the host with a baseline, without a run: looks, and changes nothing.
pub async fn judge(with: &Verifying<'_>) -> Verification {
    let mut watched = with.services();
    let mut ears = Ears::open(with).await;
    verify_watch::until_settled(with, &mut ears, &mut watched).await;
    let relations = settle(with, &mut ears, &mut watched).await;
    conclude(with, watched, Vec::new(), relations).await
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
    let ((), relations, latencies) = join3(verify_watch::settle(with, ears, watched), relations(with), sample).await;
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
    findings.extend(boot_finished(with).await);
    findings.extend(scheduled_shutdown(with).await);
    let now = verify_observe::observe(with, &configured).await;
    let graph = graph(with, relations, &now, &mut findings).await;

    findings.extend(watched.iter().filter_map(service_finding));
    let edges = verify_order::edges(&watched);
    findings.extend(verify_order::findings(&edges, &watched, &graph));
    findings.extend(verify_order::restarts(&watched));
    findings.extend(recovered.iter().map(recovered_finding));
    let mut databases = Vec::new();
    for one in &watched {
        let Some(access) = &one.service.database else { continue };
        if !one.is_ready() {
            if one.is_as_before() {
                continue;
            }
            let why = verify_database::why_not(with, &one.service).await;
            verify_cause::explain(&mut findings, one.unit(), why);
            continue;
        }
        let (back, found) = verify_database::look(with, &one.service, access).await;
        databases.push(back);
        findings.extend(found.into_iter().map(|finding| finding.about(one.unit())));
    }
    findings.extend(slow_findings(with, &mut watched).await);

    let fell_back = now.kernel.known().and_then(|kernel| trial::fell_back(with, &kernel.running));
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
    findings.extend(held_down::failed_before(with, now.units.known()));
    verify_cause::weigh_mounts(&mut findings, &graph, &configured);
    let sockets = now.sockets.known().map_or(&[][..], Vec::as_slice);
    let mut findings = verify_cause::first(findings, &graph, with.baseline, sockets);
    name_causes(&mut findings, &watched);
    verify_cause::add_journals(with.host, &mut findings).await;

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

/// Units that start late must not be missed: waits for the end of the boot, within its time.
async fn boot_finished(with: &Verifying<'_>) -> Option<Finding> {
    let clock = &with.host.clock;
    let began = clock.now();
    loop {
        let state = match with.host.units.survey().await {
            Ok(survey) => survey.system_state,
            // Told by the comparison.
            Err(_) => return None,
        };
        if !verify_watch::is_booting(&state) {
            return None;
        }
        if clock.now().duration_since(began) > with.settings.verify.boot_timeout {
            let title = "the boot has not finished: systemd still has jobs";
            let finding = Finding::new(FindingKey::BootUnfinished, Severity::Warning, title).about("boot");
            return Some(
                finding.evidence(format!("systemd is {state}")).remedy("see what it waits for", "systemctl list-jobs"),
            );
        }
        clock.sleep(BOOT_LOOKS).await;
    }
}

/// A script of a package may have asked for one: the host goes down behind a verdict that says it is well.
async fn scheduled_shutdown(with: &Verifying<'_>) -> Option<Finding> {
    let (severity, title, evidence) = match with.host.power.scheduled_shutdown().await {
        Ok(None) => return None,
        Ok(Some((kind, at))) => {
            let said = "this run did not ask for it; the script of a package may have";
            (Severity::Warning, format!("a {kind} of the host is scheduled for {at}"), said.to_owned())
        }
        Err(error) => (Severity::Info, "whether a shutdown is scheduled is not known".to_owned(), error.to_string()),
    };
    let finding = Finding::new(FindingKey::ShutdownScheduled, severity, title).about("shutdown").evidence(evidence);
    Some(finding.remedy("take it back, or let it come", "shutdown -c"))
}

pub(super) async fn relations_of_each(
    host: &Host,
    units: &[UnitName],
) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
    if units.is_empty() {
        return Ok(BTreeMap::new());
    }
    host.relations.relations(units).await
}

/// What is known of the units' relations; read while services settle, since it takes a while where there are many.
async fn relations(with: &Verifying<'_>) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
    let services: Vec<UnitName> = with.settings.services.iter().map(|service| service.unit.clone()).collect();
    with.host.relations.relations(&services).await
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
            match relations_of_each(with.host, &missing).await {
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

fn not_back(one: &Watched, because_of: Option<&Subject>) -> String {
    let because_of = because_of.map(|cause| format!(", because of {cause}")).unwrap_or_default();
    format!("{} is not back{because_of}: {}", one.unit(), one.told_problem())
}

/// The title of a service that is down names what explains it.
fn name_causes(findings: &mut [Finding], watched: &[Watched]) {
    for finding in findings.iter_mut().filter(|finding| finding.key == FindingKey::ServiceNotReady) {
        if let Some(one) = watched.iter().find(|one| finding.is_about(one.unit())) {
            finding.title = not_back(one, finding.because_of.as_ref());
        }
    }
}

fn service_finding(one: &Watched) -> Option<Finding> {
    if one.is_ready() {
        return None;
    }
    let unit = one.unit();
    if one.is_as_before() {
        let problem = one.told_problem();
        let title = format!("{unit} runs, and its probe does not succeed, as before the run: {problem}");
        let finding = Finding::new(FindingKey::ServiceNotReadyBefore, Severity::Info, title).about(unit);
        return Some(
            finding.hint("mend the service or its probe: until then nobody can tell whether it came back well"),
        );
    }
    let finding = Finding::new(FindingKey::ServiceNotReady, Severity::Blocker, not_back(one, None)).about(unit);
    Some(finding.remedy(format!("read what {unit} says of itself"), format!("journalctl -b -u {unit}")))
}

/// Restarted is not passed.
fn recovered_finding(unit: &UnitName) -> Finding {
    let title = format!("{unit} recovered: it did not come back by itself, and was restarted once");
    let finding = Finding::new(FindingKey::ServiceRecovered, Severity::Warning, title).about(unit);
    finding.remedy(format!("see why the boot did not bring {unit} up"), format!("journalctl -b -u {unit}"))
}

/// Services that answer slower than before. Whoever seems to is asked once more, alone: the first sample was taken
/// together with others, while the host was busy with this very look.
async fn slow_findings(with: &Verifying<'_>, watched: &mut [Watched]) -> Vec<Finding> {
    let clock = &with.host.clock;
    let began = clock.now();
    let mut findings = Vec::new();
    for one in watched.iter_mut().filter(|one| one.is_ready()) {
        let before = with.baseline.services.iter().find(|service| &service.unit == one.unit());
        let before = before.and_then(|service| service.latency);
        let (Some(before), Some(mut now)) = (before, one.latency) else { continue };
        if now.is_slower_than(&before) && clock.now().duration_since(began) < SECOND_LOOKS {
            now = latency::alone(with.host, &one.service).await.unwrap_or(now);
            one.latency = Some(now);
        }
        if now.is_slower_than(&before) {
            let unit = one.unit();
            let millis = |took: SignedDuration| format!("{} ms", took.as_millis());
            let (half, half_before) = (millis(now.p50), millis(before.p50));
            let title = format!("{unit} answers slower: {half} for half of the answers, {half_before} before");
            let finding = Finding::new(FindingKey::ServiceSlow, Severity::Warning, title).about(unit);
            let finding =
                finding.evidence(format!("95 of 100 within {}, {} before", millis(now.p95), millis(before.p95)));
            findings.push(finding.remedy("see what it waits for", format!("systemctl status {unit}")));
        }
    }
    findings
}
