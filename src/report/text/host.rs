//! What changed on the host: the boot, the kernel, the packages.

use super::Page;
use crate::model::PackageAction;
use crate::report::words::{count, duration, instant, one_line};
use crate::report::{Mark, PackageCertainty, PackageLine, Paint, Report, VulnerabilityStory, owed, telling};

/// Packages that are listed; whoever wants them all asks for JSON.
const LISTED: usize = 40;

/// The reboot and the kernels.
pub(super) fn reboot(report: &Report, page: &Page<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(reboot) = &report.reboot {
        if !reboot.reasons.is_empty() {
            lines.extend(page.field("because", &telling::reasons(&reboot.reasons)));
        }
        if let Some(requested) = reboot.requested {
            lines.extend(page.field("requested", &instant(requested)));
        }
        match (reboot.noticed, reboot.back_after) {
            (_, Some(after)) => lines.extend(page.field("back", &format!("{} after the request", duration(after)))),
            (Some(noticed), None) => lines.extend(page.field("new boot", &format!("noticed {}", instant(noticed)))),
            (None, None) if reboot.requested.is_none() => lines.extend(page.field("requested", "not by this run")),
            (None, None) => lines.extend(page.field("back", "no other boot was seen")),
        }
        if reboot.unplanned > 0 {
            let text = format!("{} that Patchday had not asked for", count(reboot.unplanned as usize, "reboot"));
            lines.extend(page.field("unplanned", &text));
        }
        if reboot.soft > 0 {
            lines.extend(page.field("soft", &telling::soft_reboots(reboot.soft)));
        }
        let boots = [reboot.first_boot.as_str(), page.style.arrow(), reboot.last_boot.as_str()];
        if reboot.first_boot != reboot.last_boot {
            lines.extend(page.field("boot ID", &boots.join(" ")));
        }
    }
    if report.rebooted_since {
        lines.extend(page.field("since then", "the host has booted again"));
    }
    lines.extend(owed::told(&report.owed).map(|text| page.field("owed", &text)).unwrap_or_default());
    lines.extend(kernel(report).map(|text| page.field("kernel", &text)).unwrap_or_default());
    lines
}

/// The kernels in one sentence; none where nothing is known.
pub(in crate::report) fn kernel(report: &Report) -> Option<String> {
    let kernel = &report.kernel;
    let text = match (kernel.before.as_deref(), kernel.expected.as_deref(), kernel.after.as_deref()) {
        // What ran before is no news while nothing is known of what follows.
        (_, None, None) => return None,
        (Some(before), Some(expected), Some(after)) if before == after && expected == after => {
            format!("{after}, as before and as expected")
        }
        (Some(before), Some(expected), Some(after)) if expected == after => {
            format!("{after} runs, as expected; before: {before}")
        }
        (before, Some(expected), Some(after)) => {
            let before = before.map(|before| format!("; before: {before}")).unwrap_or_default();
            if expected == after {
                format!("{after} runs, as expected{before}")
            } else if !super::services::was_rebooted(report) {
                format!("{after} runs, {expected} is expected at the next boot")
            } else {
                format!("{after} runs, but {expected} was expected{before}")
            }
        }
        (Some(before), None, Some(after)) if before == after => format!("{after}, as before"),
        (before, None, Some(after)) => {
            let before = before.map(|before| format!("; before: {before}")).unwrap_or_default();
            format!("{after} runs{before}")
        }
        (before, Some(expected), None) => {
            let before = before.map(|before| format!("; before the run: {before}")).unwrap_or_default();
            format!("{expected} is expected at the next boot{before}")
        }
    };
    Some(one_line(&text))
}

/// Vulnerabilities worth a line.
pub(super) fn vulnerabilities(report: &Report, page: &Page<'_>) -> Vec<String> {
    let line = |story: &VulnerabilityStory| {
        let mark = if story.unmitigated { Mark::Warning } else { Mark::Note };
        page.marked(mark, &vulnerability(story, page.style.arrow()))
    };
    report.vulnerabilities.iter().flat_map(line).collect()
}

/// One vulnerability in words.
pub(in crate::report) fn vulnerability(story: &VulnerabilityStory, arrow: &str) -> String {
    let states = match (&story.before, &story.after) {
        (Some(before), Some(after)) if before == after => after.clone(),
        (Some(before), Some(after)) => format!("{before} {arrow} {after}"),
        (None, Some(after)) => format!("{after}, not known to the kernel before"),
        (Some(before), None) => format!("{before}, before the run"),
        (None, None) => "unknown".to_owned(),
    };
    one_line(&format!("{}: {states}", story.name))
}

/// The heading says what is known about the changes below it.
pub(in crate::report) fn packages_title(report: &Report) -> String {
    let (number, security) =
        (report.packages.changes.len(), report.packages.changes.iter().filter(|line| line.security).count());
    let known = match report.packages.certainty {
        PackageCertainty::Installed => "Packages changed",
        PackageCertainty::Unproven => "Packages that may or may not be in place",
        PackageCertainty::Planned | PackageCertainty::NotPlanned => "Packages planned, not installed",
    };
    match security {
        0 => format!("{known}: {number}"),
        _ => format!("{known}: {number}, {security} of them security"),
    }
}

/// The packages, security first.
pub(super) fn packages(report: &Report, page: &Page<'_>) -> Vec<String> {
    let changes = &report.packages.changes;
    let mut lines: Vec<String> = changes.iter().take(LISTED).map(|line| package(line, page)).collect();
    if changes.len() > LISTED {
        lines.push(format!("    and {} more; all of them: patchday report --format json", changes.len() - LISTED));
    }
    let left = [("kept back by apt", &report.packages.kept_back), ("deferred by phasing", &report.packages.phased)];
    for (why, names) in left.into_iter().filter(|(_, names)| !names.is_empty()) {
        lines.extend(page.marked(Mark::Skipped, &format!("{why}: {}", one_line(&names.join(", ")))));
    }
    lines
}

fn package(line: &PackageLine, page: &Page<'_>) -> String {
    let arrow = page.style.arrow();
    let versions = versions(line, arrow);
    let security = if line.security { "security" } else { "" };
    let name = page.style.fit(&line.change.name, 26);
    // Columns: four of margin, the name, two, the versions, one, the word "security".
    let room = page.style.width.saturating_sub(4 + 26 + 2 + 1 + 8);
    let text = format!("    {name}  {} {}", page.style.fit(&versions, room), page.style.paint(Paint::Warn, security));
    text.trim_end().to_owned()
}

/// Old and new version in words.
pub(in crate::report) fn versions(line: &PackageLine, arrow: &str) -> String {
    let change = &line.change;
    let version = |version: &Option<String>| one_line(version.as_deref().unwrap_or("unknown"));
    match change.action {
        PackageAction::Upgrade => format!("{} {arrow} {}", version(&change.from), version(&change.to)),
        PackageAction::Install => format!("new, {}", version(&change.to)),
        PackageAction::Remove => format!("removed, was {}", version(&change.from)),
    }
}
