//! What went wrong and what to do about it, for the faces that are read afterwards.

use super::words::{capital, command_line, list};
use super::{Ending, Item, Mark, Report, owed, page, phrases, telling};
use crate::model::{Change, Finding, Outcome, Severity, Step};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) text: String,
    pub(super) command: Option<String>,
}

/// Everything that went wrong, first cause first.
pub(super) fn wrong(report: &Report) -> Vec<Item> {
    let plain = |text: String| Item::new(Mark::Failed, text);
    let mut problems = Vec::new();
    if let Some(failure) = &report.failure {
        problems.push(plain(format!("{} failed: {}", capital(&failure.step.title()), failure.reason)));
    }
    if let Some(by) = &report.aborted_by {
        problems.push(plain(format!("{} asked for the end of the run", capital(by))));
    }
    for step in report.steps.iter().filter(|step| step.outcome == Some(Outcome::Interrupted)) {
        let note = step.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
        problems.push(plain(format!("{} was interrupted{note}", capital(&step.title))));
    }
    if let Some(unplanned) = report.reboot.as_ref().map(|reboot| reboot.unplanned).filter(|unplanned| *unplanned > 0) {
        problems.push(plain(telling::unplanned_reboots(unplanned)));
    }
    if let Some(soft) = report.reboot.as_ref().map(|reboot| reboot.soft).filter(|soft| *soft > 0) {
        problems.push(plain(telling::soft_reboots(soft)));
    }
    problems.extend(grave(report).map(Item::from));
    let hooks = page::hooks(report).into_iter();
    let hooks = hooks.filter(|item| matches!(item.mark, Mark::Failed | Mark::Warning));
    problems.extend(hooks.map(|item| Item { text: capital(&item.text), ..item }));
    let messages = page::messages(report).into_iter().filter(|item| item.mark == Mark::Warning);
    problems.extend(messages.map(|item| Item { text: format!("A message did not arrive: {}", item.text), ..item }));
    if report.ended.is_some() {
        problems.extend(report.still_changed.iter().map(|change| {
            plain(match change {
                Change::Held(unit) => format!("{unit} is still held"),
                Change::Protected(unit) => format!("{unit} can still not be stopped by its name"),
                Change::Stopped(unit) => format!("{unit} is still stopped"),
                Change::Paused(unit) => format!("{unit} of another patch tool is still paused"),
                Change::TakenAlong { unit, with } => format!("{unit}, which went down with {with}, is still stopped"),
                Change::Announced => "the login notice is still there".to_owned(),
                Change::PackagesLocked => "the locks of apt and dpkg are still taken by Patchday".to_owned(),
                Change::Silenced { .. } => "monitoring is still silenced".to_owned(),
                Change::Unsynced { .. } => {
                    "packages that were written before a power cut are not installed again".to_owned()
                }
                Change::KernelLoaded => {
                    "a kernel is still loaded, which a reboot by kexec would start (kexec --unload)".to_owned()
                }
                Change::OneShotBoot(trial) => format!("kernel {} is still on trial", trial.kernel),
                Change::Limited { slice, .. } => format!("{slice} still has the limits of the run"),
            })
        }));
    }
    problems
}

/// What the verification found, and what blocked the run before it began.
pub(super) fn grave(report: &Report) -> impl Iterator<Item = &Finding> {
    let blockers = report.checks.iter().filter_map(|check| check.finding.as_ref());
    let found = report.findings.iter().filter(|finding| finding.severity > Severity::Info);
    found.chain(blockers.filter(|finding| finding.severity == Severity::Blocker))
}

/// What somebody should do now, the most urgent first; nothing twice.
pub(super) fn to_do(report: &Report) -> Vec<Advice> {
    let mut items: Vec<Advice> = Vec::new();
    let mut add = |text: String, command: Option<&str>| {
        let item = Advice { text, command: command.map(str::to_owned) };
        if !items.contains(&item) {
            items.push(item);
        }
    };
    if !report.still_changed.is_empty() && report.ended.is_some() {
        add("Undo what the run left changed".to_owned(), Some("patchday resume"));
        if let Some(command) = end_of_silence(report) {
            add("Where that fails, have the monitoring speak again by hand".to_owned(), Some(&command));
        }
    }
    if report.ended.is_none() {
        add("See what the run is doing".to_owned(), Some("patchday status"));
    }
    // What the preflight found is over once the run has gone past it; it stands in a section of its own.
    let ended_there = report.failure.as_ref().is_some_and(|failure| failure.step == Step::Preflight);
    let checks = report.checks.iter().filter(|_| ended_there).filter_map(|check| check.finding.as_ref());
    let checks = checks.filter(|finding| finding.severity > Severity::Info);
    for finding in report.findings.iter().chain(checks) {
        if let Some(remedy) = &finding.remedy {
            add(format!("{}: {}", finding.title, remedy.hint), remedy.command.as_deref());
        }
    }
    let asks = report.asks_for_boot();
    if let Some(words) = owed::told(&report.owed, &report.zone).filter(|_| asks && report.ended.is_some()) {
        add(format!("Have the host rebooted, so that what is installed is in force: {words}"), Some("patchday run"));
    }
    let wanted = report.reboot.as_ref().filter(|reboot| reboot.noticed.is_none() && !reboot.reasons.is_empty());
    if let Some(reboot) = wanted.filter(|_| report.ended.is_some() && !asks && !report.rebooted_since) {
        add(format!("Reboot the host, which is still wanted: {}", telling::reasons(&reboot.reasons)), None);
    }
    if matches!(report.ending, Ending::Failed | Ending::Aborted) {
        let text = "When the cause is fixed, see whether the next run would go through";
        add(text.to_owned(), Some("patchday plan"));
    }
    let holes = report.packages.left_out(true).join(", ");
    if !holes.is_empty() {
        let text = format!(
            "Upgrade by hand what [upgrade] leaves out though it is for security, or leave it out no more: {holes}"
        );
        add(text, Some("apt list --upgradable"));
    }
    if !report.packages.kept_back.is_empty() {
        let names = report.packages.kept_back.join(", ");
        add(format!("See why apt keeps packages back ({names})"), Some("apt list --upgradable"));
    }
    if report.vulnerabilities.iter().any(|story| story.unmitigated) {
        let names = report.vulnerabilities.iter().filter(|story| story.unmitigated).map(|story| &story.name);
        add(format!("Look for microcode or settings against what nothing mitigates: {}", list(names)), None);
    }
    items
}

/// The command that nobody will run any more unless somebody asks for it.
pub(super) fn end_of_silence(report: &Report) -> Option<String> {
    report.still_changed.iter().filter(|_| report.ended.is_some()).find_map(|change| match change {
        Change::Silenced { end } => Some(command_line(end)),
        _ => None,
    })
}

/// What is said where there is no advice.
pub(super) fn nothing_to_do(report: &Report) -> &'static str {
    match phrases::grade(report.ending, report.verdict).0 {
        Mark::Done => "Nothing.",
        _ => "No remedy is known to Patchday.",
    }
}
