//! Prove that the host came back as it was.

use std::collections::BTreeSet;

use super::verify_watch::{self, Watched};
use super::{StepContext, StepEnd, StepError, StepResult, verify_database};
use crate::events::EventKind;
use crate::model::{Baseline, Fact, Finding, ListeningSocket, Severity, UnitName, Verdict, Verification};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let Some(baseline) = ctx.run().baseline.clone() else {
        return Err(StepError::Failed("the run has no baseline to compare with".into()));
    };
    // What did not run before need not run now.
    let services = ctx.settings.services.iter().filter(|service| baseline.service_ran(&service.unit)).cloned();
    let mut watched = verify_watch::until_settled(ctx, services.collect()).await;
    verify_watch::settle(ctx, &mut watched).await;

    let kernel = ctx.host.kernels.facts().await?;
    let mut findings = kernel_findings(ctx, &kernel.running);
    findings.extend(watched.iter().filter_map(|one| service_finding(one, &watched)));
    findings.extend(order_findings(&watched));
    let mut databases = Vec::new();
    for one in &watched {
        let Some(access) = &one.service.database else { continue };
        if !one.is_ready() {
            findings.extend(verify_database::why_not(ctx, &one.service).await);
            continue;
        }
        let (back, found) = verify_database::look(ctx, &one.service, access).await;
        databases.push(back);
        findings.extend(found);
    }
    findings.extend(comparison(ctx, &baseline).await);
    findings.extend(package_findings(ctx).await);
    // First causes first: within one severity the order above stands, and a consequence follows its cause.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));

    let verdict = match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Blocker) => Verdict::Failed,
        Some(Severity::Warning) => Verdict::Degraded,
        Some(Severity::Info) | None => Verdict::Healthy,
    };
    let causes: Vec<Option<UnitName>> = watched.iter().map(|one| first_cause(one, &watched)).collect();
    let services = watched.into_iter().zip(causes).map(|(one, cause)| one.into_return(cause)).collect();
    let told: Vec<String> = findings.iter().map(|finding| finding.title.clone()).collect();
    let boot = ctx.run().boot.clone();
    let verification = Verification {
        boot,
        kernel: kernel.running,
        vulnerabilities: kernel.vulnerabilities,
        verdict,
        services,
        databases,
        findings,
        edges: Vec::new(),
        expected: Vec::new(),
        recovered: Vec::new(),
    };
    ctx.recorder.record(Fact::Judged(Box::new(verification)))?;
    ctx.events.emit(EventKind::VerdictReached { verdict, findings: told.clone() });
    match verdict {
        Verdict::Failed => Err(StepError::Failed(told.into_iter().next().unwrap_or_default())),
        verdict => Ok(StepEnd::Succeeded(Some(verdict.name().into()))),
    }
}

fn kernel_findings(ctx: &StepContext<'_>, running: &str) -> Vec<Finding> {
    let expected = ctx.run().kernel.as_ref().filter(|plan| plan.managed_here && plan.expected != running);
    // Without a reboot the old kernel still runs; that is said as a reboot that is still needed.
    let rebooted = ctx.run().rebooted.is_some();
    let mut findings = Vec::new();
    if let Some(plan) = expected.filter(|_| rebooted) {
        let title = format!("kernel {running} runs, {} was expected", plan.expected);
        let hint = "see which entry the boot loader takes, then reboot into the expected kernel";
        findings.push(Finding::new("kernel-release", Severity::Blocker, title).remedy(hint, "update-grub"));
    }
    if !rebooted && !ctx.run().reboot_reasons.is_empty() {
        let mut finding = Finding::new("reboot-pending", Severity::Info, "a reboot is still needed");
        finding.evidence.clone_from(&ctx.run().reboot_reasons);
        findings.push(finding.remedy("reboot at the next opportunity", "patchday run"));
    }
    findings
}

/// The service that failed first among those that this one waits for; none where it failed by itself.
fn first_cause(one: &Watched, all: &[Watched]) -> Option<UnitName> {
    if one.is_ready() {
        return None;
    }
    let find = |unit: &UnitName| all.iter().find(|other| other.unit() == unit);
    let failed = one.service.after.iter().filter_map(find).find(|dependency| !dependency.is_ready())?;
    first_cause(failed, all).or_else(|| Some(failed.unit().clone()))
}

fn service_finding(one: &Watched, all: &[Watched]) -> Option<Finding> {
    if one.is_ready() {
        return None;
    }
    let unit = one.unit();
    let problem = one.problem.as_deref().unwrap_or("nothing is known of it");
    let finding = match first_cause(one, all) {
        Some(cause) => {
            let title = format!("{unit} is not back, because {cause} is not: {problem}");
            Finding::new("service-not-ready", Severity::Blocker, title).evidence(format!("first cause: {cause}"))
        }
        None => Finding::new("service-not-ready", Severity::Blocker, format!("{unit} is not back: {problem}")),
    };
    Some(finding.remedy(format!("read what {unit} says of itself"), format!("journalctl -b -u {unit}")))
}

/// A service that was ready before what it depends on was serving without it.
fn order_findings(watched: &[Watched]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in watched {
        let dependencies = watched.iter().filter(|other| one.service.after.contains(other.unit()));
        for dependency in dependencies {
            if let (Some(ready), Some(dependency_ready)) = (one.ready_usec, dependency.ready_usec)
                && ready < dependency_ready
            {
                let (unit, on) = (one.unit(), dependency.unit());
                let title = format!("{unit} was ready before {on}, on which it depends");
                let evidence =
                    format!("{unit} at {} ms, {on} at {} ms since the boot", ready / 1000, dependency_ready / 1000);
                let hint = format!("let {unit} be ready only when {on} answers, and order it after {on}");
                findings.push(Finding::new("order", Severity::Warning, title).evidence(evidence).hint(hint));
            }
        }
    }
    findings
}

async fn comparison(ctx: &StepContext<'_>, baseline: &Baseline) -> Vec<Finding> {
    let mut findings = Vec::new();
    match ctx.host.units.survey().await {
        Ok(now) => {
            for unit in now.failed.iter().filter(|unit| !baseline.units.failed.contains(unit)) {
                let finding =
                    Finding::new("unit-failed", Severity::Warning, format!("{unit} failed since the baseline"));
                findings.push(finding.remedy(format!("read what {unit} says"), format!("systemctl status {unit}")));
            }
        }
        Err(error) => findings.push(unknown("unit-failed", "failed units", &error.to_string())),
    }
    match ctx.host.system.listening_sockets().await {
        Ok(now) => findings.extend(missing_sockets(baseline, &now)),
        Err(error) => findings.push(unknown("socket-missing", "listening sockets", &error.to_string())),
    }
    match ctx.host.system.mounts().await {
        Ok(now) => {
            for (point, source) in baseline.mounts.iter().filter(|(point, _)| !now.contains_key(*point)) {
                let title = format!("{point} is not mounted; it held {source}");
                let hint = "mount it, and see that /etc/fstab or a mount unit names it";
                let finding = Finding::new("mount-missing", Severity::Warning, title);
                findings.push(finding.remedy(hint, format!("findmnt --fstab {point}")));
            }
        }
        Err(error) => findings.push(unknown("mount-missing", "mounts", &error.to_string())),
    }
    findings
}

/// Sockets of programs that run in a service: those of logins and of one-off programs come and go.
fn missing_sockets(baseline: &Baseline, now: &[ListeningSocket]) -> Vec<Finding> {
    let key = |socket: &ListeningSocket| (socket.protocol.clone(), socket.address.clone());
    let present: BTreeSet<_> = now.iter().map(key).collect();
    let is_service = |socket: &&ListeningSocket| {
        let unit = socket.unit.as_ref().map(UnitName::as_str).unwrap_or_default();
        (unit.ends_with(".service") || unit.ends_with(".socket")) && !unit.starts_with("user@")
    };
    let missing = baseline.sockets.iter().filter(is_service).filter(|socket| !present.contains(&key(socket)));
    let finding = |socket: &ListeningSocket| {
        let title = format!("nobody listens on {} {}; {} did", socket.protocol, socket.address, socket.program);
        Finding::new("socket-missing", Severity::Warning, title)
            .remedy("see whether its service is up", format!("ss -ltnp | grep {}", socket.address))
    };
    missing.map(finding).collect()
}

async fn package_findings(ctx: &StepContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match ctx.host.packages.state().await {
        Ok(state) if state.is_clean() => {}
        Ok(state) => findings.push(
            Finding::new("dpkg-clean", Severity::Blocker, "packages are half installed")
                .evidence(state.broken.join(", "))
                .remedy("finish what was begun", "dpkg --configure -a"),
        ),
        Err(error) => findings.push(unknown("dpkg-clean", "the package database", &error.to_string())),
    }
    findings
}

/// Unknown is never healthy.
fn unknown(key: &str, what: &str, why: &str) -> Finding {
    Finding::new(key, Severity::Warning, format!("{what} could not be compared")).evidence(why)
}
