//! Events in words. The live views and the report's timeline say the same thing of the same event.

use jiff::SignedDuration;

use super::words::{count, duration, list, one_line, roughly};
use crate::events::{Event, EventKind};
use crate::model::{BootId, Change, Outcome, Severity, Verdict};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// What was to be expected.
    Plain,
    /// Something came to a good end.
    Good,
    Warning,
    Bad,
}

/// One event in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// How much it matters.
    pub tone: Tone,
    /// One line, without control characters.
    pub text: String,
}

/// Tells an event; none if there is nothing to say.
pub fn tell(event: &Event) -> Option<Telling> {
    let (tone, text) = match &event.kind {
        EventKind::RunStarted { host, steps } => {
            (Tone::Plain, format!("run {} on {host}: {}", event.run, count(steps.len(), "step")))
        }
        EventKind::RunResumed { boot, phase, decision } => {
            (Tone::Plain, format!("the run goes on, on boot {}; so far: {phase}; next: {decision}", short(boot)))
        }
        EventKind::StepStarted { step, attempt: 0 | 1 } => (Tone::Plain, format!("{}: started", step.title())),
        EventKind::StepStarted { step, attempt } => {
            (Tone::Warning, format!("{}: started again, attempt {attempt}", step.title()))
        }
        EventKind::StepAttached { step } => (Tone::Plain, format!("{}: found at work, following it", step.title())),
        EventKind::StepProgressed { step, fraction, remaining, message } => {
            (Tone::Plain, format!("{}: {}", step.title(), progress(*fraction, *remaining, message)))
        }
        // A reading every few seconds: for a view that has a place for it.
        EventKind::WorkMeasured { .. } => return None,
        EventKind::StepEnded { step, outcome, note, took } => {
            let (tone, ended) = match outcome {
                Outcome::Succeeded => (Tone::Good, format!("done in {}", duration(*took))),
                Outcome::Failed => (Tone::Bad, format!("failed after {}", duration(*took))),
                Outcome::Skipped => (Tone::Plain, "left out".to_owned()),
                Outcome::Interrupted => (Tone::Warning, format!("interrupted after {}", duration(*took))),
            };
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            (tone, format!("{}: {ended}{note}", step.title()))
        }
        EventKind::CheckFound { check } => {
            let finding = check.finding.as_ref()?;
            let (tone, word) = match finding.severity {
                Severity::Info => (Tone::Plain, "note"),
                Severity::Warning => (Tone::Warning, "warning"),
                Severity::Blocker => (Tone::Bad, "blocker"),
            };
            (tone, format!("{word}: {} ({})", finding.title, check.label))
        }
        EventKind::UpgradePlanned { changes, security, removals } => (
            Tone::Plain,
            format!("{} to upgrade or install, {security} security, {removals} to remove", count(*changes, "package")),
        ),
        EventKind::ServiceStopped { unit, took } => {
            (Tone::Good, format!("{unit} is down, proven after {}", duration(*took)))
        }
        EventKind::ServiceReady { unit, after } => (Tone::Good, format!("{unit} is ready after {}", duration(*after))),
        EventKind::HookEnded { program, outcome: Outcome::Succeeded, lines, .. } => {
            (Tone::Good, format!("{program} succeeded{}", last_line(lines)))
        }
        EventKind::HookEnded { program, why, lines, .. } => {
            let why = why.as_deref().unwrap_or("it did not succeed");
            (Tone::Warning, format!("{program}: {why}{}", last_line(lines)))
        }
        EventKind::Noted { message } => (Tone::Plain, message.clone()),
        EventKind::RebootRequested { reasons, restart } => {
            let mut text = format!("{} requested", restart.restart.name());
            if !reasons.is_empty() {
                text.push_str(&format!(": {}", self::reasons(reasons)));
            }
            if !restart.because.is_empty() {
                let because: Vec<String> = restart.because.iter().map(ToString::to_string).collect();
                text.push_str(&format!(" (not less: {})", self::reasons(&because)));
            }
            (Tone::Plain, text)
        }
        EventKind::SoftRebooted { down } => (
            Tone::Good,
            format!("the soft reboot is done after {}: all but the kernel was started anew", duration(*down)),
        ),
        EventKind::BootChanged { boot, down, planned: true } => {
            (Tone::Good, format!("the host is back after {}, on boot {}", duration(*down), short(boot)))
        }
        EventKind::BootChanged { boot, down, planned: false } => (
            Tone::Warning,
            format!(
                "the host rebooted and Patchday had not asked for it: silent for {}, now on boot {}",
                duration(*down),
                short(boot)
            ),
        ),
        EventKind::AbortRequested { by } => (Tone::Warning, format!("abort requested by {by}")),
        EventKind::VerdictReached { verdict, findings } => {
            let tone = match verdict {
                Verdict::Healthy => Tone::Good,
                Verdict::Degraded => Tone::Warning,
                Verdict::Failed => Tone::Bad,
            };
            let found = match findings.as_slice() {
                [] => "nothing found".to_owned(),
                [only] => only.clone(),
                [first, ..] => format!("{}, the first: {first}", count(findings.len(), "finding")),
            };
            (tone, format!("verdict {}: {found}", verdict.name()))
        }
        EventKind::RunEnded { exit_code, phase } => {
            let tone = if *exit_code == 0 { Tone::Good } else { Tone::Bad };
            (tone, format!("run ended: {phase}, exit code {exit_code}"))
        }
    };
    Some(Telling { tone, text: one_line(&text) })
}

/// What a program said last.
fn last_line(lines: &[String]) -> String {
    lines.last().map(|line| format!(": {line}")).unwrap_or_default()
}

/// Progress in words: `62 %, about 40 s left, libssl3`, as far as it is known.
pub fn progress(fraction: Option<f64>, remaining: Option<SignedDuration>, message: &str) -> String {
    let fraction = fraction.map(|fraction| format!("{} %", percent(fraction)));
    let remaining = remaining
        .filter(|remaining| remaining.as_secs() > 0)
        .map(|remaining| format!("about {} left", roughly(remaining)));
    let message = Some(one_line(message)).filter(|message| !message.is_empty());
    [fraction, remaining, message].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Whole percent, rounded down: 100 is said only of what is complete.
pub fn percent(fraction: f64) -> u8 {
    // Within 0 to 100 by the clamp; a NaN becomes 0.
    (fraction.clamp(0.0, 1.0) * 100.0).floor() as u8
}

/// What is changed on the host, unit by unit: `mongod.service (held) and sample-api.service (held, stopped)`.
pub fn changes(changes: &[Change]) -> String {
    let mut units: Vec<(&str, Vec<&str>)> = Vec::new();
    for change in changes {
        let name = match change {
            Change::Held(unit) | Change::Protected(unit) | Change::Stopped(unit) | Change::Paused(unit) => {
                unit.as_str()
            }
            Change::TakenAlong { unit, .. } => unit.as_str(),
            Change::Limited { slice, .. } => slice.as_str(),
            Change::Announced => "login notice",
            Change::PackagesLocked => "the locks of apt and dpkg",
            Change::Silenced { .. } => "monitoring",
            Change::OneShotBoot(_) => "boot loader",
            Change::KernelLoaded => "kexec",
            Change::Unsynced { .. } => "packages",
        };
        let word = match change {
            Change::Announced => "written",
            Change::PackagesLocked => "taken",
            Change::Silenced { .. } => "silenced",
            Change::OneShotBoot(_) => "a kernel on trial",
            Change::KernelLoaded => "a kernel is loaded",
            Change::Unsynced { .. } => "perhaps not on disk",
            Change::Held(_) => "held",
            Change::Protected(_) => "protected",
            Change::Stopped(_) => "stopped",
            Change::Paused(_) => "paused",
            Change::TakenAlong { .. } => "held, stopped",
            Change::Limited { .. } => "limited",
        };
        match units.iter_mut().find(|(known, _)| *known == name) {
            Some((_, words)) => words.push(word),
            None => units.push((name, vec![word])),
        }
    }
    list(units.into_iter().map(|(unit, words)| format!("{unit} ({})", words.join(", "))))
}

/// Reboots that came by themselves.
pub fn unplanned_reboots(number: u32) -> String {
    format!("{} that Patchday had not asked for", count(number as usize, "reboot"))
}

/// Soft-reboots, and why they are none.
pub fn soft_reboots(number: u32) -> String {
    format!("{}, which started all but the kernel anew", count(number as usize, "soft-reboot"))
}

/// Reasons are half sentences, and stay apart.
pub fn reasons(reasons: &[String]) -> String {
    one_line(&reasons.join("; "))
}

/// Enough of a boot ID to tell two boots apart by eye.
pub fn short(boot: &BootId) -> &str {
    boot.as_str().split('-').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::model::{CheckResult, Finding, FindingKey, Restart, RestartChoice, SoftHindrance, Step, WhyMore};
    use crate::report::sample::{boot, event, secs, snapshots, unit};

    /// One of each kind, and of each turn that a kind can take.
    fn every_kind() -> Vec<EventKind> {
        let stop = || Step::stop(unit("mongod.service"));
        let check = |severity| {
            let finding = Finding::new(FindingKey::labelled("boot-space"), severity, "/boot is full\n(0 MiB free)");
            EventKind::CheckFound { check: CheckResult { label: "boot-space".into(), finding: Some(finding) } }
        };
        let ended = |outcome, note: Option<&str>, seconds| EventKind::StepEnded {
            step: Step::Upgrade,
            outcome,
            note: note.map(str::to_owned),
            took: secs(seconds),
        };
        let judged = |verdict, findings: &[&str]| EventKind::VerdictReached {
            verdict,
            findings: findings.iter().map(|finding| (*finding).to_owned()).collect(),
        };
        let hook = |outcome, why: Option<&str>, lines: &[&str]| EventKind::HookEnded {
            step: "hook:before-stop:1".parse().unwrap(),
            program: "/usr/local/sbin/drain".into(),
            outcome,
            why: why.map(str::to_owned),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        let progressed = |fraction, message: &str| EventKind::StepProgressed {
            step: Step::Upgrade,
            fraction,
            remaining: fraction.map(|fraction| secs(100.0 * (1.0 - fraction))),
            message: message.to_owned(),
        };
        vec![
            EventKind::RunStarted { host: "web1".into(), steps: vec![Step::Preflight, Step::Report] },
            EventKind::RunResumed { boot: boot(2), phase: "reboot requested".into(), decision: "begin verify".into() },
            EventKind::StepStarted { step: stop(), attempt: 1 },
            EventKind::StepStarted { step: stop(), attempt: 2 },
            EventKind::StepAttached { step: Step::Upgrade },
            progressed(Some(0.629), "Unpacking\tlibssl3"),
            progressed(Some(0.999), ""),
            progressed(None, "waiting for the package lock"),
            EventKind::WorkMeasured {
                cpu_percent: Some(48),
                limit_percent: Some(50),
                throttled: Some(secs(12.5)),
                load: 1.9,
                memory_available: 1 << 30,
                memory_total: 1 << 31,
            },
            ended(Outcome::Succeeded, Some("21 packages"), 84.0),
            ended(Outcome::Succeeded, None, 0.4),
            ended(Outcome::Failed, Some("E: Sub-process dpkg returned an error code (1)"), 9.0),
            ended(Outcome::Skipped, Some("nothing to upgrade"), 0.0),
            ended(Outcome::Interrupted, Some("the host went down"), 61.0),
            check(Severity::Info),
            check(Severity::Warning),
            check(Severity::Blocker),
            EventKind::CheckFound { check: CheckResult { label: "clock".into(), finding: None } },
            EventKind::UpgradePlanned { changes: 21, security: 9, removals: 0 },
            EventKind::UpgradePlanned { changes: 1, security: 0, removals: 2 },
            EventKind::ServiceStopped { unit: unit("mongod.service"), took: secs(1.1) },
            EventKind::ServiceReady { unit: unit("mongod.service"), after: secs(4.9) },
            hook(Outcome::Succeeded, None, &["web1 is out", "of the pool"]),
            hook(Outcome::Failed, Some("exit status 3"), &["the pool is empty"]),
            hook(Outcome::Interrupted, None, &[]),
            EventKind::Noted { message: "apt-daily.timer is paused".into() },
            EventKind::RebootRequested {
                reasons: vec!["a newer kernel".into(), "libc6 was upgraded".into()],
                restart: RestartChoice::default(),
            },
            EventKind::RebootRequested { reasons: Vec::new(), restart: RestartChoice::default() },
            EventKind::RebootRequested {
                reasons: vec!["libc6 was upgraded".into()],
                restart: RestartChoice { restart: Restart::Soft, because: Vec::new() },
            },
            EventKind::RebootRequested {
                reasons: vec!["libc6 was upgraded".into()],
                restart: RestartChoice {
                    restart: Restart::Full,
                    because: vec![WhyMore::Host { hindrance: SoftHindrance::NotCounted }],
                },
            },
            EventKind::RebootRequested {
                reasons: vec!["kernel 6.2 is installed, 6.1 runs".into()],
                restart: RestartChoice { restart: Restart::Kexec, because: Vec::new() },
            },
            EventKind::SoftRebooted { down: secs(5.1) },
            EventKind::BootChanged { boot: boot(2), down: secs(14.2), planned: true },
            EventKind::BootChanged { boot: boot(2), down: secs(48.0), planned: false },
            EventKind::AbortRequested { by: "root on pts/0".into() },
            judged(Verdict::Healthy, &[]),
            judged(Verdict::Degraded, &["logrotate.service failed"]),
            judged(Verdict::Failed, &["mongod.service is not ready", "sample-api.service failed"]),
            EventKind::RunEnded { exit_code: 0, phase: "verified".into() },
            EventKind::RunEnded { exit_code: 21, phase: "failed".into() },
        ]
    }

    #[test]
    fn every_kind_of_event_has_its_line() {
        let lines: Vec<String> = every_kind()
            .into_iter()
            .map(|kind| match tell(&event(0.0, kind)) {
                Some(told) => format!("{:<8} {}", format!("{:?}", told.tone), told.text),
                None => "(nothing to say)".to_owned(),
            })
            .collect();
        assert!(lines.iter().all(|line| !line.contains(char::is_control)));
        snapshots(|| assert_snapshot!("telling_every_kind", lines.join("\n")));
    }

    #[test]
    fn changes_are_said_unit_by_unit() {
        let (api, mongod) = (unit("sample-api.service"), unit("mongod.service"));
        let all = [Change::Held(api.clone()), Change::Stopped(api), Change::Held(mongod)];
        assert_eq!(changes(&all), "sample-api.service (held, stopped) and mongod.service (held)");
    }

    #[test]
    fn a_hundred_percent_is_said_only_of_what_is_complete() {
        for (fraction, said) in [(-1.0, 0), (0.0, 0), (0.629, 62), (0.9999, 99), (1.0, 100), (7.0, 100), (f64::NAN, 0)]
        {
            assert_eq!(percent(fraction), said, "{fraction}");
        }
    }
}
