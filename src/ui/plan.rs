//! `patchday plan`: what a run would do, and what stands in its way.

use std::cmp::Reverse;

use jiff::SignedDuration;

use super::{Mark, Paint, Style};
use crate::model::{
    Basis, CheckResult, Estimate, Finding, KernelPlan, PackageAction, PackageChange, PlannedService, Severity, Step,
    UpgradePlan, short_version,
};
use crate::report::telling;
use crate::report::words::{clock, count, one_line};

/// What a run would do.
#[derive(Debug, Clone, Copy)]
pub struct PlanInputs<'a> {
    /// The host's name.
    pub host: &'a str,
    /// Why no run would begin at all, and what to do about it; none where one would.
    pub refused: Option<(&'a str, Option<&'a str>)>,
    /// What the preflight checks answered.
    pub checks: &'a [CheckResult],
    /// What apt would do; none where it was not asked.
    pub upgrade: Option<&'a UpgradePlan>,
    /// Which updates are taken; none where all are.
    pub selection: Option<&'a str>,
    /// When it was fetched, in words; none for a run that fetches for itself.
    pub fetched: Option<&'a str>,
    /// What does it.
    pub command: &'a str,
    /// The services, dependencies first.
    pub services: &'a [PlannedService],
    /// The steps of the run.
    pub steps: &'a [Step],
    /// Why the host would reboot; empty where nothing asks for it yet.
    pub reboot_reasons: &'a [String],
    /// The kernel of the next boot, and why that one; none where nobody asked.
    pub next_kernel: Option<&'a KernelPlan>,
    /// How long it takes; none where that was not asked.
    pub time: Option<PlanTime<'a>>,
}

/// How long it takes, and when it may be.
#[derive(Debug, Clone, Copy)]
pub struct PlanTime<'a> {
    /// Step by step.
    pub estimate: &'a Estimate,
    /// What would shorten the time without the services.
    pub savings: &'a [(String, SignedDuration)],
    /// What the services were away for the last time, and what was estimated then.
    pub last: Option<(SignedDuration, Option<SignedDuration>)>,
    /// The window, in words.
    pub window: &'a str,
    /// Whether a run fits into it.
    pub fits: bool,
}

/// Packages that are named; the rest is counted.
const NAMED: usize = 12;

/// Renders the plan: what stands in the way comes first.
pub fn render(plan: &PlanInputs<'_>, style: &Style) -> String {
    let mut lines =
        vec![format!("{} plan for {}", style.paint(Paint::Strong, "patchday"), style.paint(Paint::Strong, plan.host))];
    if let Some((why, hint)) = plan.refused {
        lines.push(String::new());
        lines.extend(style.marked(Mark::Failed, &one_line(why)));
        lines.extend(hint.into_iter().flat_map(|hint| style.wrap(&format!("hint: {}", one_line(hint)), 6)));
    }
    for (title, section) in [
        ("Checks", checks(plan.checks, style)),
        ("Packages", packages(plan, style)),
        ("Services", services(plan.services, style)),
        ("Reboot", reboot(plan, style)),
        ("Steps", steps(plan, style)),
        ("Time", time(plan.time, style)),
    ] {
        lines.extend(style.section(title, section));
    }
    lines.push(String::new());
    lines.extend(style.wrap(&conclusion(plan), 0));
    lines.join("\n") + "\n"
}

fn checks(checks: &[CheckResult], style: &Style) -> Vec<String> {
    let mut found: Vec<&Finding> = checks.iter().filter_map(|check| check.finding.as_ref()).collect();
    found.sort_by_key(|finding| Reverse(finding.severity));
    let mut lines = style.findings(found);
    let content = checks.iter().filter(|check| check.finding.is_none()).count();
    if content > 0 {
        lines.push(format!("  {} {} content", style.mark(Mark::Done), count(content, "check")));
    }
    if lines.is_empty() {
        lines.push(format!("  {} no check was made", style.mark(Mark::Note)));
    }
    lines
}

fn packages(plan: &PlanInputs<'_>, style: &Style) -> Vec<String> {
    let Some(upgrade) = plan.upgrade else {
        return vec![format!("  {} apt was not asked", style.mark(Mark::Note))];
    };
    let of = |action: PackageAction| upgrade.changes.iter().filter(move |change| change.action == action);
    let mut lines = Vec::new();
    if upgrade.is_empty() {
        lines.push(format!("  {} nothing to upgrade", style.mark(Mark::Done)));
    }
    if let Some(selection) = plan.selection {
        lines.extend(style.field("selection", &one_line(selection)));
    }
    if let Some(fetched) = plan.fetched {
        lines.extend(style.field("fetched", &format!("{fetched}; nothing newer counts")));
    }
    let security: Vec<&PackageChange> = upgrade.changes.iter().filter(|change| change.is_security()).collect();
    for (name, changes) in [
        ("upgrade", of(PackageAction::Upgrade).collect::<Vec<_>>()),
        ("install", of(PackageAction::Install).collect()),
        ("security", security),
    ] {
        if !changes.is_empty() {
            lines.extend(style.field(name, &named(changes.iter().map(|change| change.name.as_str()))));
        }
    }
    // Removals are never only counted: each may be one too many.
    let removals: Vec<&str> = upgrade.removals().collect();
    if !removals.is_empty() {
        let text = format!("{}: {}", removals.len(), one_line(&removals.join(", ")));
        lines.extend(style.field("remove", &text).iter().map(|line| style.paint(Paint::Warn, line)));
    }
    lines.extend(table(upgrade, style));
    for (name, packages) in [("kept back", &upgrade.kept_back), ("phased", &upgrade.phased)] {
        if !packages.is_empty() {
            lines.extend(style.field(name, &named(packages.iter().map(String::as_str))));
        }
    }
    lines
}

/// A count, and the first names.
fn named<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let shown = one_line(&names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", "));
    match names.len().saturating_sub(NAMED) {
        0 => format!("{}: {shown}", names.len()),
        rest => format!("{}: {shown} and {rest} more", names.len()),
    }
}

fn services(services: &[PlannedService], style: &Style) -> Vec<String> {
    if services.is_empty() {
        return vec![format!("  {} none is configured", style.mark(Mark::Note))];
    }
    let order = |units: Vec<&str>| units.join(if style.unicode { " → " } else { " -> " });
    let start: Vec<&str> = services.iter().map(|service| service.unit.as_str()).collect();
    let stop: Vec<&str> = start.iter().rev().copied().collect();
    let mut lines = style.field("stop", &order(stop));
    lines.extend(style.field("start", &order(start)));
    lines
}

fn reboot(plan: &PlanInputs<'_>, style: &Style) -> Vec<String> {
    if !plan.steps.contains(&Step::Reboot) {
        return style.field("reboot", "not by this run");
    }
    let mut lines = match plan.reboot_reasons {
        [] => style.field("reboot", "nothing asks for it yet; looked at again after the upgrade"),
        reasons => style.field("because", &telling::reasons(reasons)),
    };
    if let Some(kernel) = plan.next_kernel {
        let version = kernel.version.as_deref().map(|version| format!(" ({})", short_version(version)));
        let why = if kernel.why.is_empty() { String::new() } else { format!("; {}", kernel.why) };
        let text = format!("{}{} expected{why}", kernel.expected, version.unwrap_or_default());
        lines.extend(style.field("kernel", &one_line(&text)));
    }
    lines
}

/// Each package: what it is now, what it will be, how much is fetched, where it comes from. Security first.
fn table(upgrade: &UpgradePlan, style: &Style) -> Vec<String> {
    let mut changes: Vec<&PackageChange> =
        upgrade.changes.iter().filter(|change| change.action != PackageAction::Remove).collect();
    changes.sort_by_key(|change| (!change.is_security(), change.name.clone()));
    let versions = |change: &PackageChange| match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{from} {} {to}", style.arrow()),
        (None, Some(to)) => format!("new: {to}"),
        _ => String::new(),
    };
    let widest = |texts: &mut dyn Iterator<Item = usize>, limit: usize| texts.max().unwrap_or(0).min(limit);
    let shown = &changes[..changes.len().min(NAMED)];
    let name = widest(&mut shown.iter().map(|change| change.name.chars().count()), 24);
    let room = style.width.saturating_sub(name + 24);
    let version = widest(&mut shown.iter().map(|change| versions(change).chars().count()), room);
    let row = |change: &&PackageChange| {
        let size = upgrade.sizes.get(&change.name).map_or("-".to_owned(), |size| match size.download {
            0 => "fetched".to_owned(),
            download => bytes(download),
        });
        let origin = if change.is_security() { "security" } else { "" };
        let name = style.fit(&one_line(&change.name), name);
        let version = style.fit(&one_line(&versions(change)), version);
        format!("    {name}  {version}  {size:>8}  {origin}").trim_end().to_owned()
    };
    let mut lines: Vec<String> = shown.iter().map(row).collect();
    if changes.len() > NAMED {
        let rest = changes.len() - NAMED;
        lines.push(style.paint(Paint::Dim, &format!("    and {rest} more: patchday plan --json")));
    }
    if upgrade.download_bytes() > 0 {
        lines.extend(style.field("to fetch", &bytes(upgrade.download_bytes())));
    }
    lines
}

/// As people write sizes of files.
fn bytes(number: u64) -> String {
    match number as f64 {
        few if few < 1e6 => format!("{:.0} kB", few / 1e3),
        some if some < 1e9 => format!("{:.1} MB", some / 1e6),
        many => format!("{:.1} GB", many / 1e9),
    }
}

fn steps(plan: &PlanInputs<'_>, style: &Style) -> Vec<String> {
    let row = |(number, step): (usize, &Step)| {
        let number = style.paint(Paint::Dim, &format!("  {number:>2}"));
        let all = plan.time.iter().flat_map(|time| &time.estimate.steps);
        let Some(one) = all.into_iter().find(|one| &one.step == step) else {
            return format!("{number}  {}", step.title());
        };
        let basis = match one.basis {
            Basis::History => "as before",
            Basis::Sizes => "by size",
            Basis::Assumed => "a guess",
        };
        let title = style.fit(&step.title(), 34);
        format!("{number}  {title}  {:>7}  {}", clock(one.takes), style.paint(Paint::Dim, basis))
    };
    (1..).zip(plan.steps).map(row).collect()
}

fn time(time: Option<PlanTime<'_>>, style: &Style) -> Vec<String> {
    let Some(time) = time else { return Vec::new() };
    let mut lines = style.field("in all", &clock(time.estimate.total()));
    lines.extend(style.field("services", &format!("away for about {}", clock(time.estimate.downtime()))));
    if let Some((took, estimated)) = time.last {
        let than = estimated.map_or(String::new(), |estimated| format!(", estimated {}", clock(estimated)));
        lines.extend(style.field("last time", &format!("{}{than}", clock(took))));
    }
    for (what, saves) in time.savings {
        lines.extend(style.field("less", &format!("{}: {what}", clock(*saves))));
    }
    let window = style.field("window", &one_line(time.window));
    lines.extend(window.iter().map(|line| if time.fits { line.clone() } else { style.paint(Paint::Warn, line) }));
    lines
}

fn conclusion(plan: &PlanInputs<'_>) -> String {
    if let Some((why, _)) = plan.refused {
        return format!("no run would begin: {}", one_line(why));
    }
    let found = plan.checks.iter().filter_map(|check| check.finding.as_ref());
    let blockers = found.filter(|finding| finding.severity == Severity::Blocker).count();
    if blockers > 0 {
        return format!("a run would stop before it touches anything: {}", count(blockers, "blocker"));
    }
    if plan.time.is_some_and(|time| !time.fits) {
        return "no run would begin: it does not fit into the window".to_owned();
    }
    match plan.upgrade {
        Some(upgrade) if upgrade.is_empty() && plan.reboot_reasons.is_empty() => {
            "a run would find nothing to upgrade, and no reason to reboot".to_owned()
        }
        _ if plan.fetched.is_some() => format!("nothing was installed; to do it: {}", plan.command),
        _ => format!("nothing was changed; to do it: {}", plan.command),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::model::{FindingKey, StepEstimate};
    use crate::report::sample::{Story, snapshots};

    #[test]
    fn the_plan_says_what_stands_in_the_way_before_what_would_happen() {
        let mut story = Story::new();
        story.prepare();
        let run = story.run;
        let reasons = ["a newer kernel is installed".to_owned()];
        let mut inputs = PlanInputs {
            host: &run.host,
            refused: None,
            checks: &run.checks,
            upgrade: run.upgrade.as_ref(),
            selection: None,
            fetched: None,
            command: "patchday run",
            services: &run.services,
            steps: &run.steps,
            reboot_reasons: &reasons,
            next_kernel: None,
            time: None,
        };
        let takes = |secs| SignedDuration::from_secs(secs);
        let one = |step: &Step| StepEstimate { step: step.clone(), takes: takes(12), basis: Basis::Sizes };
        let estimate = Estimate { steps: run.steps.iter().map(one).collect(), until_ready: takes(20) };
        let savings = [("no reboot now (patchday run --no-reboot)".to_owned(), takes(12))];
        let window = "open until Sun 2026-11-08 02:00 UTC";
        let last = Some((takes(95), Some(takes(90))));
        inputs.time = Some(PlanTime { estimate: &estimate, savings: &savings, last, window, fits: true });
        snapshots(|| {
            assert_snapshot!("plan", render(&inputs, &Style::plain()));
            assert_snapshot!("plan_wide", render(&inputs, &Style { width: 140, ..Style::plain() }));
            inputs.time = inputs.time.map(|time| PlanTime { fits: false, ..time });
            assert!(render(&inputs, &Style::plain()).contains("no run would begin"));
            inputs.time = None;
            let finding = Finding::new(FindingKey::DpkgClean, Severity::Blocker, "dpkg was interrupted")
                .remedy("finish what dpkg began", "dpkg --configure -a");
            let blocked =
                [run.checks.clone(), vec![CheckResult { label: "dpkg-clean".into(), finding: Some(finding) }]].concat();
            let removal = PackageChange {
                name: "udev".into(),
                action: PackageAction::Remove,
                from: Some("252".into()),
                to: None,
                origin: None,
            };
            let upgrade = UpgradePlan { changes: vec![removal], ..UpgradePlan::default() };
            let blocked = PlanInputs {
                checks: &blocked,
                upgrade: Some(&upgrade),
                selection: Some("without docker-ce"),
                fetched: Some("Thu 2026-11-26 14:03 UTC"),
                ..inputs
            };
            assert_snapshot!("plan_blocked", render(&blocked, &Style::plain()));
            inputs.refused = Some(("run 20261108t010203z-0a1b is not finished", Some("patchday resume")));
            inputs.upgrade = None;
            inputs.services = &[];
            inputs.checks = &[];
            inputs.steps = &[];
            assert_snapshot!("plan_empty", render(&inputs, &Style::plain()));
        });
    }
}
