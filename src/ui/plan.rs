//! `patchday plan`: what a run would do, and what stands in its way.

mod ahead;
mod headline;
mod packages;

use std::cmp::Reverse;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Answer, Mark, Paint, Style};
use crate::model::{
    AheadChoice, Basis, CheckResult, Estimate, Finding, KernelPlan, Owed, PackageSelection, PlannedService, Restart,
    RestartChoice, Saving, Severity, Step, UpgradePlan, short_version,
};
use crate::report::telling;
use crate::report::words::{count, duration, one_line, roughly};

pub use ahead::Mode;
pub use headline::Headline;

/// Version of the shape of `patchday plan --json`.
pub const FORMAT: u32 = 1;

/// What a run would do.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Plan<'a> {
    /// Version of this shape.
    pub format: u32,
    pub host: &'a str,
    /// The whole in one line.
    #[serde(skip)]
    pub headline: Headline<'a>,
    /// A check found a blocker.
    pub blocked: bool,
    /// Why no run would begin at all: another one is open, or has left something changed.
    pub refused: Option<&'a str>,
    /// What to do about it.
    #[serde(skip)]
    pub refused_hint: Option<&'a str>,
    /// What the preflight checks answered.
    pub checks: &'a [CheckResult],
    /// What apt would do.
    pub upgrade: &'a UpgradePlan,
    /// Which updates are taken.
    pub selection: &'a PackageSelection,
    /// When it was fetched, for a run that installs just that.
    pub fetched: Option<Timestamp>,
    /// The services, dependencies first.
    pub services: &'a [PlannedService],
    /// The steps of the run.
    pub steps: &'a [Step],
    /// Why the host would reboot; empty if nothing asks for it yet.
    pub reboot_reasons: &'a [String],
    /// Which restart that would be, and why not less.
    pub restart: &'a RestartChoice,
    /// The kernel of the next boot, after the upgrade, and why that one.
    pub next_kernel: &'a KernelPlan,
    /// What a boot owes since earlier runs.
    pub owed: &'a [Owed],
    /// How long it takes, step by step.
    pub estimate: &'a Estimate,
    /// How long it takes in all.
    pub total: SignedDuration,
    /// How long the services are away.
    pub downtime: SignedDuration,
    /// Why it is not known how fast the host is at dpkg's work; none if it is.
    pub not_measured: Option<&'a str>,
    /// What would shorten that.
    pub savings: &'a [Saving],
    /// What can come while the services run, and what waits for their stop; none if there is nothing to upgrade.
    pub ahead: Option<&'a AheadChoice>,
    /// The ways of doing it, each with how long the services are away.
    pub modes: &'a [Mode],
    /// When it may be.
    pub window: &'a PlanWindow,
    /// What the services were away for the last time, and what was estimated then.
    #[serde(skip)]
    pub last: Option<(SignedDuration, Option<SignedDuration>)>,
    /// The command that does what is planned.
    #[serde(skip)]
    pub command: &'a str,
    /// Whose clock the text shows.
    #[serde(skip)]
    pub zone: &'a TimeZone,
}

/// The window of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlanWindow {
    /// A run may begin now, for all that windows, blackouts and a hold say.
    pub open: bool,
    /// It would end in time, now or when the next one opens.
    pub fits: bool,
    pub told: String,
}

impl Answer for Plan<'_> {
    /// The whole in one line, and then what stands in the way.
    fn render(&self, style: &Style) -> String {
        let mut lines = style.wrap(&self.headline.render(style), 0);
        lines.extend([String::new(), format!("patchday plan for {}", style.paint(Paint::Strong, self.host))]);
        if let Some(why) = self.refused {
            lines.push(String::new());
            lines.extend(style.marked(Mark::Failed, &one_line(why)));
            let hint = self.refused_hint.iter();
            lines.extend(hint.flat_map(|hint| style.wrap(&format!("hint: {}", one_line(hint)), 6)));
        }
        for (title, section) in [
            ("Checks", checks(self.checks, style)),
            ("Packages", packages::section(self, style)),
            ("Ahead", ahead::section(self, style)),
            ("Services", services(self.services, style)),
            ("Reboot", reboot(self, style)),
            ("Steps", steps(self, style)),
            ("Time", time(self, style)),
            ("Notes", style.findings(found(self.checks).filter(|finding| finding.severity == Severity::Info))),
        ] {
            lines.extend(style.section(title, section));
        }
        lines.push(String::new());
        lines.extend(style.wrap(&conclusion(self), 0));
        lines.join("\n") + "\n"
    }
}

fn found(checks: &[CheckResult]) -> impl Iterator<Item = &Finding> {
    checks.iter().filter_map(|check| check.finding.as_ref())
}

/// What stands in the way, or may; the rest is told last.
fn checks(checks: &[CheckResult], style: &Style) -> Vec<String> {
    let mut grave: Vec<&Finding> = found(checks).filter(|finding| finding.severity > Severity::Info).collect();
    grave.sort_by_key(|finding| Reverse(finding.severity));
    let mut lines = style.findings(grave);
    let passed = checks.iter().filter(|check| check.finding.is_none()).count();
    if passed > 0 {
        lines.push(format!("  {} {} passed", style.mark(Mark::Done), count(passed, "check")));
    }
    if lines.is_empty() {
        lines.push(format!("  {} no check was made", style.mark(Mark::Note)));
    }
    lines
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

fn reboot(plan: &Plan<'_>, style: &Style) -> Vec<String> {
    if !plan.steps.contains(&Step::Reboot) {
        return style.field("reboot", "not by this run");
    }
    let mut lines = match plan.reboot_reasons {
        [] => style.field("reboot", "nothing asks for it yet; looked at again after the upgrade"),
        reasons => style.field("because", &telling::reasons(reasons)),
    };
    lines.extend(restart(plan).iter().flat_map(|words| style.field("restart", words)));
    let kernel = plan.next_kernel;
    let version = kernel.version.as_deref().map(|version| format!(" ({})", short_version(version)));
    let why = if kernel.why.is_empty() { String::new() } else { format!("; {}", kernel.why) };
    let text = format!("{}{} expected{why}", kernel.expected, version.unwrap_or_default());
    lines.extend(style.field("kernel", &one_line(&text)));
    lines
}

const BY_KEXEC: &str =
    "by kexec, for all that is known now: the kernel starts anew, firmware and boot loader are left out";

/// Which restart it would be; none where nobody allows less than a full one, or nothing asks for any.
fn restart(plan: &Plan<'_>) -> Option<String> {
    match plan.restart {
        _ if plan.reboot_reasons.is_empty() => None,
        RestartChoice { restart: Restart::Soft, .. } => {
            Some("a soft reboot, for all that is known now: only programs and libraries would owe it".to_owned())
        }
        RestartChoice { restart, because } => {
            let because: Vec<String> = because.iter().map(ToString::to_string).collect();
            let because = telling::reasons(&because);
            match (restart, because.is_empty()) {
                (Restart::Full, true) => None,
                (Restart::Full, false) => Some(format!("full, though less is allowed: {because}")),
                (_, true) => Some(BY_KEXEC.to_owned()),
                (_, false) => Some(format!("{BY_KEXEC}; not less: {because}")),
            }
        }
    }
}

fn steps(plan: &Plan<'_>, style: &Style) -> Vec<String> {
    let row = |(number, step): (usize, &Step)| {
        let number = style.paint(Paint::Dim, &format!("  {number:>2}"));
        let Some(one) = plan.estimate.steps.iter().find(|one| &one.step == step) else {
            return format!("{number}  {}", step.title());
        };
        let basis = match one.basis {
            Basis::History => "as before",
            Basis::Sizes => "by size",
            Basis::Measured => "by size and pace",
            Basis::Boot => "as this boot",
            Basis::Assumed => "a guess",
        };
        let title = style.fit(&step.title(), 34);
        format!("{number}  {title}  {:>11}  {}", roughly(one.takes), style.paint(Paint::Dim, basis))
    };
    (1..).zip(plan.steps).map(row).collect()
}

fn time(plan: &Plan<'_>, style: &Style) -> Vec<String> {
    let mut lines = style.field("in all", &roughly(plan.total));
    lines.extend(style.field("services", &format!("away for about {}", roughly(plan.downtime))));
    if let Some((took, estimated)) = plan.last {
        let than = estimated.map_or(String::new(), |estimated| format!(", estimated {}", roughly(estimated)));
        lines.extend(style.field("last time", &format!("{}{than}", duration(took))));
    }
    let is_by_size = plan.estimate.steps.iter().any(|one| one.step == Step::Upgrade && one.basis == Basis::Sizes);
    if let Some(why) = plan.not_measured.filter(|_| is_by_size) {
        lines.extend(style.field("pace", &format!("not measured: {}", one_line(why))));
    }
    lines.extend(ahead::modes(plan.modes, style));
    for saving in plan.savings {
        lines.extend(style.field("less", &format!("{}: {}", roughly(saving.saves), saving.what)));
    }
    let window = style.field("window", &one_line(&plan.window.told));
    lines
        .extend(window.iter().map(|line| if plan.window.fits { line.clone() } else { style.paint(Paint::Warn, line) }));
    lines
}

fn conclusion(plan: &Plan<'_>) -> String {
    if let Some(why) = plan.refused {
        return format!("no run would begin: {}", one_line(why));
    }
    let blockers = found(plan.checks).filter(|finding| finding.severity == Severity::Blocker).count();
    if blockers > 0 {
        return format!("a run would stop before it touches anything: {}", count(blockers, "blocker"));
    }
    if !plan.window.fits {
        return "no run would begin: it does not fit into the window".to_owned();
    }
    if plan.upgrade.is_empty() && plan.reboot_reasons.is_empty() {
        return "a run would find nothing to upgrade, and no reason to reboot".to_owned();
    }
    let done = if plan.fetched.is_some() { "installed" } else { "changed" };
    format!("nothing was {done}; to do it: {}", plan.command)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::model::{
        FindingKey, PackageAction, PackageChange, SoftHindrance, StepEstimate, WaitingPackage, WhyMore,
    };
    use crate::report::sample::{Story, snapshots};

    #[test]
    fn the_plan_says_what_stands_in_the_way_before_what_would_happen() {
        let mut story = Story::new();
        story.prepare();
        let run = story.run;
        let upgrade = run.upgrade.clone().unwrap_or_default();
        let takes = |secs| SignedDuration::from_secs(secs);
        let one = |step: &Step| StepEstimate { step: step.clone(), takes: takes(12), basis: Basis::Sizes };
        let estimate = Estimate { steps: run.steps.iter().map(one).collect(), until_ready: takes(20), packaging: None };
        let what = "no reboot now (patchday run --no-reboot)".to_owned();
        let kernel = "6.1.0-40-cloud-amd64";
        let reboot_for = ["kernel 6.1.0-40-cloud-amd64".to_owned()];
        let headline = Headline {
            upgrade: &upgrade,
            may_reboot: true,
            reboots: true,
            restart: Restart::Full,
            reboot_for: &reboot_for,
            downtime: estimate.downtime(),
            checks: &run.checks,
        };
        let wait = |package: &str, why: &str| WaitingPackage { package: package.into(), why: why.into() };
        let choice = AheadChoice {
            ahead: vec!["linux-image-6.1.0-40-cloud-amd64".into(), "vim".into()],
            waits: vec![
                wait("libssl3", "mongod.service uses /usr/lib/x86_64-linux-gnu/libssl.so.3"),
                wait("tzdata", "any service may open it at any time"),
            ],
            all_waits: None,
        };
        let mode = |name, secs, is_set, is_recommended| Mode { name, downtime: takes(secs), is_set, is_recommended };
        let modes =
            [mode("stop-first", 90, true, false), mode("kernel", 50, false, false), mode("unrelated", 20, false, true)];
        let only_kernels = AheadChoice {
            all_waits: Some("what app.service uses is not known: it does not run".into()),
            ..choice.clone()
        };
        let plan = Plan {
            format: FORMAT,
            host: &run.host,
            headline,
            blocked: false,
            refused: None,
            refused_hint: None,
            checks: &run.checks,
            upgrade: &upgrade,
            selection: &PackageSelection::default(),
            fetched: None,
            services: &run.services,
            steps: &run.steps,
            reboot_reasons: &["a newer kernel is installed".to_owned()],
            restart: &RestartChoice::default(),
            next_kernel: &KernelPlan { expected: kernel.into(), ..KernelPlan::default() },
            owed: &[],
            estimate: &estimate,
            total: estimate.total(),
            downtime: estimate.downtime(),
            not_measured: None,
            savings: &[Saving { what, saves: takes(12) }],
            ahead: Some(&choice),
            modes: &modes,
            window: &PlanWindow { open: true, fits: true, told: "open until Sun 2026-11-08 02:00 UTC".into() },
            last: Some((takes(95), Some(takes(90)))),
            command: "patchday run",
            zone: &TimeZone::UTC,
        };
        let too_late = PlanWindow { fits: false, ..plan.window.clone() };
        let too_late = Plan { window: &too_late, ..plan };
        assert!(too_late.render(&Style::plain()).contains("no run would begin"));
        let host = WhyMore::Host { hindrance: SoftHindrance::NotCounted };
        for (restart, because, says) in [
            (Restart::Soft, Vec::new(), "a soft reboot, for all that is known now"),
            (Restart::Kexec, Vec::new(), "by kexec, for all that is known now: the kernel starts anew"),
            (Restart::Kexec, vec![host.clone()], "are left out; not less: this systemd counts no soft reboots"),
            (Restart::Full, vec![host], "full, though less is allowed: this systemd counts no soft reboots"),
        ] {
            let text = Plan { restart: &RestartChoice { restart, because }, ..plan }.render(&Style::plain());
            assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(says), "{text}");
        }
        let finding = Finding::new(FindingKey::DpkgClean, Severity::Blocker, "dpkg was interrupted")
            .remedy("finish what dpkg began", "dpkg --configure -a");
        let blocker = CheckResult { label: "dpkg-clean".into(), finding: Some(finding) };
        let note = Finding::new(FindingKey::labelled("packages-held"), Severity::Info, "packages stay as they are")
            .remedy("let it be upgraded again", "apt-mark unhold nodejs");
        let note = CheckResult { label: "packages-held".into(), finding: Some(note) };
        let blocked = [run.checks.clone(), vec![note, blocker]].concat();
        let removal =
            PackageChange { name: "udev".into(), action: PackageAction::Remove, from: None, to: None, origin: None };
        let left = |name: &str, origin: &str| PackageChange {
            name: name.into(),
            action: PackageAction::Upgrade,
            from: Some("1".into()),
            to: Some("2".into()),
            origin: Some(origin.into()),
        };
        let left_out =
            vec![left("docker-ce", "Docker CE:bookworm"), left("openssl", "Debian-Security:12/stable-security")];
        let upgrade = UpgradePlan { changes: vec![removal], left_out, ..UpgradePlan::default() };
        let selection = PackageSelection {
            exclude: vec!["openssl".into()],
            exclude_origins: vec!["Docker".into()],
            only_security: false,
        };
        let fetched = Some("2026-11-26T14:03:00Z".parse().unwrap());
        let headline = Headline { checks: &blocked, upgrade: &upgrade, ..headline };
        let ahead = Some(&only_kernels);
        let blocked =
            Plan { headline, ahead, checks: &blocked, upgrade: &upgrade, selection: &selection, fetched, ..plan };
        let refused = Plan {
            refused: Some("run 20261108t010203z-0a1b is not finished"),
            refused_hint: Some("patchday resume"),
            headline: Headline { upgrade: &UpgradePlan::default(), checks: &[], reboots: false, ..headline },
            checks: &[],
            upgrade: &UpgradePlan::default(),
            services: &[],
            steps: &[],
            reboot_reasons: &[],
            estimate: &Estimate::default(),
            not_measured: None,
            savings: &[],
            ahead: None,
            modes: &[],
            last: None,
            ..plan
        };
        snapshots(|| {
            assert_snapshot!("plan", plan.render(&Style::plain()));
            assert_snapshot!("plan_wide", plan.render(&Style { width: 140, ..Style::plain() }));
            assert_snapshot!("plan_blocked", blocked.render(&Style::plain()));
            assert_snapshot!("plan_refused", refused.render(&Style::plain()));
        });
    }
}
