//! What is found besides differences to the baseline: services that are not back, and a host that is not at rest.

use jiff::SignedDuration;

use super::watch::{self, Watched};
use super::{Verifying, latency};
use crate::model::{Finding, FindingKey, Restart, Severity, Subject, UnitName, UnitSurvey, in_utc};

/// A boot that goes on after all services settled is waited for; this is how often it is looked at.
const BOOT_LOOKS: SignedDuration = SignedDuration::from_millis(500);

/// So long services that seem slow are asked once more; where there are that many, the host is slow.
const SECOND_LOOKS: SignedDuration = SignedDuration::from_secs(20);

/// Units that start late must not be missed: waits for the end of the boot, within its time.
pub(super) async fn boot_finished(with: &Verifying<'_>) -> Option<Finding> {
    let clock = &with.host.clock;
    let began = clock.now();
    loop {
        let state = match with.host.units.survey().await {
            Ok(survey) => survey.system_state,
            // Told by the comparison.
            Err(_) => return None,
        };
        if !watch::is_booting(&state) {
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
pub(super) async fn scheduled_shutdown(with: &Verifying<'_>) -> Option<Finding> {
    let (severity, title, evidence) = match with.host.power.scheduled_shutdown().await {
        Ok(None) => return None,
        Ok(Some((kind, at))) => {
            let said = "this run did not ask for it; the script of a package may have";
            (Severity::Warning, format!("a {kind} of the host is scheduled for {}", in_utc(at)), said.to_owned())
        }
        Err(error) => (Severity::Info, "whether a shutdown is scheduled is not known".to_owned(), error.to_string()),
    };
    let finding = Finding::new(FindingKey::ShutdownScheduled, severity, title).about("shutdown").evidence(evidence);
    Some(finding.remedy("take it back, or let it come", "shutdown -c"))
}

fn not_back(one: &Watched, because_of: Option<&Subject>) -> String {
    let because_of = because_of.map(|cause| format!(", because of {cause}")).unwrap_or_default();
    format!("{} is not back{because_of}: {}", one.unit(), one.told_problem())
}

/// The title of a service that is down names what explains it.
pub(super) fn name_causes(findings: &mut [Finding], watched: &[Watched]) {
    for finding in findings.iter_mut().filter(|finding| finding.key == FindingKey::ServiceNotReady) {
        if let Some(one) = watched.iter().find(|one| finding.is_about(one.unit())) {
            finding.title = not_back(one, finding.because_of.as_ref());
        }
    }
}

pub(super) fn service(one: &Watched) -> Option<Finding> {
    if one.is_ready() {
        return None;
    }
    let unit = one.unit();
    if one.is_as_before() {
        let problem = one.told_problem();
        let title = format!("{unit} runs, and its probe does not succeed, as before the run: {problem}");
        let finding = Finding::new(FindingKey::ServiceNotReadyBefore, Severity::Info, title).about(unit);
        return Some(
            finding.hint("fix the service or its probe: until then Patchday cannot tell whether it came back well"),
        );
    }
    let finding = Finding::new(FindingKey::ServiceNotReady, Severity::Blocker, not_back(one, None)).about(unit);
    Some(finding.remedy(format!("read what {unit} says of itself"), format!("journalctl -b -u {unit}")))
}

/// Restarted is not passed.
pub(super) fn recovered(unit: &UnitName) -> Finding {
    let title = format!("{unit} recovered: it did not come back by itself, and was restarted once");
    let finding = Finding::new(FindingKey::ServiceRecovered, Severity::Warning, title).about(unit);
    finding.remedy(format!("see why the boot did not bring {unit} up"), format!("journalctl -b -u {unit}"))
}

/// Services that answer slower than before. Whoever seems to is asked once more, alone: the first sample was taken
/// together with others, while the host was busy with this very look.
pub(super) async fn slow(with: &Verifying<'_>, watched: &mut [Watched]) -> Vec<Finding> {
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

/// What failed while services were down, and what the reboot made systemd forget. What is failed now is told elsewhere.
pub(super) fn failed_before(with: &Verifying<'_>, now: Option<&UnitSurvey>) -> Vec<Finding> {
    let is_told = |unit: &&UnitName| now.is_some_and(|now| now.failed.contains(unit));
    let forgotten = with.failed_meanwhile.iter().filter(|unit| with.rebooted && !is_told(unit));
    forgotten
        .map(|unit| {
            let how = if with.softly { Restart::Soft } else { Restart::Full }.name();
            let title = format!("{unit} failed while services were down, and the {how} made systemd forget it");
            let finding = Finding::new(FindingKey::UnitFailedMeanwhile, Severity::Warning, title).about(unit);
            let finding = finding
                .evidence(format!("what it said: journalctl -b{} -u {unit}", if with.softly { "" } else { " -1" }));
            finding.remedy("do its work now, if it is still to be done", format!("systemctl start {unit}"))
        })
        .collect()
}

/// What is said of a host that runs the kernel before: it works, and is not patched.
pub(super) fn fell_back(with: &Verifying<'_>, running: &str) -> Option<Finding> {
    let trial = with.trial.filter(|trial| with.rebooted && trial.fallback == running)?;
    let because = with.rejected.map(|rejected| rejected.because.as_str());
    let title = format!("kernel {} did not pass; {running} runs again, and stays the default", trial.kernel);
    let finding = Finding::new(FindingKey::KernelFellBack, Severity::Warning, title).about("kernel");
    let finding = finding.evidence(match because {
        Some(because) => format!("under {}: {because}", trial.kernel),
        None => format!("{} did not come up, or not for long: the boot loader started {running}", trial.kernel),
    });
    let hint = format!("fix what kept {} from working, then have it started once more", trial.kernel);
    Some(finding.remedy(hint, format!("grub-reboot '{}'", trial.kernel_entry)))
}
