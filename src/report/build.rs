//! From the durable run and its events to the report. Pure: `now` is an argument.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::ending::{ending, is_judged, is_settled, serves_readers};
use super::{
    Failure, KernelStory, Moment, PackageCertainty, PackageLine, PackageStory, REPORT_FORMAT, RebootStory, Report,
    StepStory, VulnerabilityStory, impact, outcome, telling, words,
};
use crate::events::{Event, EventKind};
use crate::model::{Finding, Outcome, PackageChange, Phase, Run, Severity, Step, Vulnerability};

/// Builds the report of a run, at any time during or after it.
///
/// The run is the authority; the timeline only adds instants that the run does not hold. An empty or torn timeline
/// makes a poorer report and never a wrong one.
///
/// The coordinator builds it in the run's last step, when the run is settled and not yet closed: the report then counts
/// as the end of the run. The exit code is known to who closes the run, and may be set on the finished report.
pub fn build(run: &Run, timeline: &[Event], now: Timestamp) -> Report {
    let failure = match &run.phase {
        Phase::Failed { step, reason } if !is_judged(run) => {
            Some(Failure { step: step.clone(), reason: words::one_line(reason) })
        }
        _ => None,
    };
    let aborted_by = match &run.phase {
        Phase::Aborted { by } => Some(by.clone()),
        _ => run.abort.as_ref().map(|abort| abort.by.clone()),
    };
    let packages = packages(run);
    let reboot = reboot(run, timeline);
    let ended = run.closed.map(|closing| closing.at).or(is_settled(run).then_some(now));
    Report {
        format: REPORT_FORMAT,
        run: run.id.clone(),
        patchday_version: run.patchday_version.clone(),
        host: run.host.clone(),
        trigger: run.options.trigger,
        built: now,
        began: run.planned,
        ended,
        ending: ending(run),
        summary: outcome::summary(run, &packages, reboot.as_ref()),
        verdict: run.verification.as_ref().map(|verification| verification.verdict),
        // What a code says of the host is so once nothing is left to do.
        exit_code: (run.phase.is_final() && is_settled(run)).then(|| run.exit_code()),
        phase: run.phase.name().to_owned(),
        failure,
        aborted_by,
        steps: steps(run),
        packages,
        services: impact::services(run, timeline),
        away: impact::away(run, timeline),
        reboot,
        owed: run.owed.clone(),
        rebooted_since: false,
        last_healthy: ended.filter(|_| run.is_healthy()).or(run.last_healthy),
        kernel: kernel(run),
        vulnerabilities: vulnerabilities(run),
        findings: findings(run),
        order: run.verification.as_ref().map(|verification| verification.edges.clone()).unwrap_or_default(),
        expected: run.verification.as_ref().map(|verification| verification.expected.clone()).unwrap_or_default(),
        recovered: run.verification.as_ref().map(|verification| verification.recovered.clone()).unwrap_or_default(),
        checks_made: run.checks.len(),
        checks: checks(run),
        still_changed: run.changes.clone(),
        hooks: run.hooks.clone(),
        notifications: run.notifications.clone(),
        timeline: moments(run, timeline),
        zone: TimeZone::UTC,
    }
}

/// As the host was judged; where it was not, as its services were seen last.
fn findings(run: &Run) -> Vec<Finding> {
    match (&run.verification, &run.last_look) {
        (_, Some(look)) => look.findings.clone(),
        (Some(verification), None) => verification.findings.clone(),
        (None, None) => Vec::new(),
    }
}

/// Steps that began, in the order of their beginning, then those of the plan that did not.
fn steps(run: &Run) -> Vec<StepStory> {
    let mut order: Vec<&Step> = Vec::new();
    let begun = run.history.iter().map(|record| &record.attempt.step);
    let open = run.attempt.iter().map(|attempt| &attempt.step);
    for step in begun.chain(open).chain(&run.steps) {
        if !order.contains(&step) {
            order.push(step);
        }
    }
    let stories = order.into_iter().map(|step| step_story(run, step));
    // That the report was written is told by its being there, and who was told has a section of its own.
    stories.filter(|story| !serves_readers(&story.step) || story.outcome == Some(Outcome::Failed)).collect()
}

fn step_story(run: &Run, step: &Step) -> StepStory {
    let records = || run.history.iter().filter(|record| &record.attempt.step == step);
    let open = run.attempt.as_ref().filter(|attempt| &attempt.step == step);
    let first = records().map(|record| record.attempt.began).next();
    // While an attempt is open, the end of the one before is not how the step stands.
    let last = if open.is_some() { None } else { records().next_back() };
    let took = records()
        .map(|record| words::between(record.attempt.began, record.ended))
        .reduce(|sum, took| Some(sum?.saturating_add(took?)))
        .flatten();
    StepStory {
        step: step.clone(),
        title: step.title(),
        began: first.or(open.map(|attempt| attempt.began)),
        outcome: last.map(|record| record.outcome),
        note: last.and_then(|record| record.note.as_deref()).map(words::one_line),
        took,
        attempts: run.attempts_of(step) + u32::from(open.is_some()),
    }
}

fn packages(run: &Run) -> PackageStory {
    let plan = run.upgrade.clone().unwrap_or_default();
    let begun = run.has_touched_packages();
    let outcome = run.last_record(&Step::Upgrade).map(|record| record.outcome);
    let certainty = match outcome {
        _ if run.upgrade.is_none() => PackageCertainty::NotPlanned,
        Some(Outcome::Succeeded) => PackageCertainty::Installed,
        Some(Outcome::Skipped) => PackageCertainty::Planned,
        _ if begun => PackageCertainty::Unproven,
        _ => PackageCertainty::Planned,
    };
    PackageStory {
        certainty,
        changes: package_lines(plan.changes),
        kept_back: plan.kept_back,
        phased: plan.phased,
        left_out: package_lines(plan.left_out),
        left_out_unknown: plan.left_out_unknown,
    }
}

/// Security first, since that is what the reader wants to know; apt's order within.
fn package_lines(changes: Vec<PackageChange>) -> Vec<PackageLine> {
    let line = |change: PackageChange| PackageLine { security: change.is_security(), change };
    let mut lines: Vec<PackageLine> = changes.into_iter().map(line).collect();
    lines.sort_by_key(|line| !line.security);
    lines
}

fn reboot(run: &Run, timeline: &[Event]) -> Option<RebootStory> {
    let nothing_to_say = run.reboot_reasons.is_empty()
        && run.reboots == 0
        && run.unplanned_reboots == 0
        && run.soft_reboots == 0
        && run.reboot_requested.is_none()
        && run.first_boot == run.boot;
    if nothing_to_say {
        return None;
    }
    Some(RebootStory {
        reasons: run.reboot_reasons.clone(),
        requested: run.reboot_requested,
        restart: run.reboot_requested.map(|_| run.restart.restart),
        restart_because: run.restart.because.iter().map(ToString::to_string).collect(),
        restarted: run.restarted(),
        noticed: run.rebooted,
        back_after: back_after(run, timeline),
        asked: run.reboots,
        unplanned: run.unplanned_reboots,
        soft: run.soft_reboots,
        first_boot: run.first_boot.clone(),
        last_boot: run.boot.clone(),
    })
}

/// From the request for the reboot until Patchday ran again on the boot that answered it.
fn back_after(run: &Run, timeline: &[Event]) -> Option<SignedDuration> {
    let requested = run.reboot_requested?;
    // The event was measured for this reboot; `rebooted` is the first other boot, whoever wanted it.
    let told = timeline.iter().find_map(|event| match event.kind {
        EventKind::BootChanged { down, planned: true, .. } | EventKind::SoftRebooted { down }
            if event.at >= requested =>
        {
            Some(down)
        }
        _ => None,
    });
    told.or_else(|| words::between(requested, run.rebooted?)).filter(|down| !down.is_negative())
}

fn kernel(run: &Run) -> KernelStory {
    let named = |release: &str| (!release.is_empty()).then(|| release.to_owned());
    KernelStory {
        before: run.baseline.as_ref().and_then(|baseline| named(&baseline.kernel.running)),
        expected: run.kernel.as_ref().and_then(|plan| named(&plan.expected)),
        after: run.verification.as_ref().and_then(|verification| named(&verification.kernel)),
    }
}

fn vulnerabilities(run: &Run) -> Vec<VulnerabilityStory> {
    let before = run.baseline.as_ref().map_or(&[][..], |baseline| &baseline.kernel.vulnerabilities);
    let after = run.verification.as_ref().map_or(&[][..], |verification| &verification.vulnerabilities);
    let state_in = |list: &[Vulnerability], name: &str| {
        list.iter().find(|vulnerability| vulnerability.name == name).map(|vulnerability| vulnerability.state.clone())
    };
    let mut names: Vec<&str> = before.iter().chain(after).map(|vulnerability| vulnerability.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let story = |name: &str| {
        let (was, is) = (state_in(before, name), state_in(after, name));
        let last = is.as_ref().or(was.as_ref());
        let unmitigated = last.is_some_and(|state| state.starts_with("Vulnerable"));
        // Without a look at both ends nothing is known to have changed.
        let changed = !before.is_empty() && !after.is_empty() && was != is;
        (changed || unmitigated).then(|| VulnerabilityStory {
            name: name.to_owned(),
            before: was,
            after: is,
            unmitigated,
        })
    };
    names.into_iter().filter_map(story).collect()
}

fn checks(run: &Run) -> Vec<crate::model::CheckResult> {
    let mut found: Vec<_> = run.checks.iter().filter(|check| check.finding.is_some()).cloned().collect();
    let weight =
        |check: &crate::model::CheckResult| check.finding.as_ref().map_or(Severity::Info, |found| found.severity);
    found.sort_by_key(|check| std::cmp::Reverse(weight(check)));
    found
}

/// The timeline from the events; where none are left, from the attempts of the run.
fn moments(run: &Run, timeline: &[Event]) -> Vec<Moment> {
    let told = timeline.iter().enumerate().filter(|(at, event)| is_worth_a_moment(event, &timeline[*at..]));
    let mut moments: Vec<Moment> = told
        .map(|(_, event)| event)
        .filter_map(|event| Some(Moment { at: event.at, text: telling::tell(event)?.text }))
        .collect();
    if moments.is_empty() {
        moments = recorded_moments(run);
    }
    // Stable: events of one instant keep their order.
    moments.sort_by_key(|moment| moment.at);
    moments
}

/// Progress is not, nor is the beginning of a step whose end is told.
fn is_worth_a_moment(event: &Event, rest: &[Event]) -> bool {
    match &event.kind {
        EventKind::StepProgressed { .. } => false,
        EventKind::StepStarted { step, attempt: 0 | 1 } => {
            !rest.iter().any(|later| matches!(&later.kind, EventKind::StepEnded { step: ended, .. } if ended == step))
        }
        _ => true,
    }
}

fn recorded_moments(run: &Run) -> Vec<Moment> {
    let ended = run.history.iter().map(|record| {
        let kind = EventKind::StepEnded {
            step: record.attempt.step.clone(),
            outcome: record.outcome,
            note: record.note.clone(),
            took: words::between(record.attempt.began, record.ended).unwrap_or_default(),
        };
        (record.ended, kind)
    });
    let requested = run.reboot_requested.map(|at| {
        let (reasons, restart) = (run.reboot_reasons.clone(), run.restart.clone());
        (at, EventKind::RebootRequested { reasons, restart })
    });
    let closed = run
        .closed
        .map(|end| (end.at, EventKind::RunEnded { exit_code: end.exit_code, phase: run.phase.name().to_owned() }));
    ended
        .chain(requested)
        .chain(closed)
        .filter_map(|(at, kind)| {
            let event = Event { v: crate::events::EVENT_VERSION, run: run.id.clone(), at, kind };
            Some(Moment { at, text: telling::tell(&event)?.text })
        })
        .collect()
}
