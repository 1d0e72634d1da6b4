//! What changed on the host: the boot, the kernel, the packages.

use super::Page;
use crate::report::words::{count, duration, instant, one_line};
use crate::report::{Mark, PackageLine, Paint, Report, VulnerabilityStory, owed, phrases, telling};

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
    lines.extend(phrases::kernel(report).map(|text| page.field("kernel", &text)).unwrap_or_default());
    lines
}

/// Vulnerabilities worth a line.
pub(super) fn vulnerabilities(report: &Report, page: &Page<'_>) -> Vec<String> {
    let line = |story: &VulnerabilityStory| {
        let mark = if story.unmitigated { Mark::Warning } else { Mark::Note };
        page.marked(mark, &phrases::vulnerability(story, page.style.arrow()))
    };
    report.vulnerabilities.iter().flat_map(line).collect()
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
    let versions = phrases::versions(line, arrow);
    let security = if line.security { "security" } else { "" };
    let name = page.style.fit(&line.change.name, 26);
    // Columns: four of margin, the name, two, the versions, one, the word "security".
    let room = page.style.width.saturating_sub(4 + 26 + 2 + 1 + 8);
    let text = format!("    {name}  {} {}", page.style.fit(&versions, room), page.style.paint(Paint::Warn, security));
    text.trim_end().to_owned()
}
