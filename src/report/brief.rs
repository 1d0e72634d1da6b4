//! What a run came to, on one screen: the last thing that is seen by whoever followed it.

use super::page::{self, FactKey};
use super::words::{self, one_line};
use super::{Mark, PackageCertainty, Paint, Report, Style, advice, phrases, text};

/// Lines of the whole, however long a reason is.
const LINES: usize = 10;

/// The verdict, the downtime, what changed, what was found and what to do. All of it, in full, is in the report.
pub fn render(report: &Report, style: &Style) -> String {
    let field = |name: &str, value: String| most(1, style.field(name, &value), style);
    let head = page::head(report);
    let of_the_head =
        |key: FactKey| head.iter().find(|fact| fact.key == key).map(|fact| field(key.name(), fact.value.clone()));
    let found = advice::grave(report).map(|finding| finding.title.as_str()).next();
    let news = found.filter(|title| !report.summary.to_string().contains(title));
    let told = [
        of_the_head(FactKey::Away),
        changed(report).map(|changed| field("changed", changed)),
        news.map(|title| field("found", one_line(title))),
        to_do(report, found).map(|(text, command)| {
            let command = command.map(|command| whole("", &command, style));
            field("to do", text).into_iter().chain(command).collect()
        }),
        of_the_head(FactKey::ExitCode),
        Some(vec![whole("report", &format!("patchday report {}", report.run), style)]),
    ];
    let told: Vec<String> = told.into_iter().flatten().flatten().collect();
    let summary = most(LINES - 1 - told.len(), text::summary(report, style), style);
    summary.into_iter().chain([String::new()]).chain(told).collect::<Vec<_>>().join("\n") + "\n"
}

/// So many of the lines; the last one shows that there are more.
fn most(number: usize, mut lines: Vec<String>, style: &Style) -> Vec<String> {
    let rest = lines.split_off(number.min(lines.len()));
    if let (Some(last), false) = (lines.last_mut(), rest.is_empty()) {
        let rest: Vec<&str> = rest.iter().map(|line| line.trim_start()).collect();
        *last = style.cut(&format!("{last} {}", rest.join(" ")), style.width);
    }
    lines
}

/// A command on its line, however long: somebody will copy it.
fn whole(name: &str, command: &str, style: &Style) -> String {
    format!("{}{}", style.paint(Paint::Dim, &format!("  {name:<12}")), style.paint(Paint::Accent, &one_line(command)))
}

/// What is proven to be other than before.
fn changed(report: &Report) -> Option<String> {
    let packages = &report.packages;
    let security = packages.changes.iter().filter(|line| line.security).count();
    let is_told = packages.certainty == PackageCertainty::Installed && !packages.changes.is_empty();
    let packages = is_told.then(|| words::packages(packages.changes.len(), security));
    let kernel = match (&report.kernel.before, &report.kernel.after) {
        (Some(before), Some(after)) if before != after => Some(format!("kernel {after}")),
        _ => None,
    };
    let parts: Vec<String> = packages.into_iter().chain(kernel).collect();
    (!parts.is_empty()).then(|| one_line(&parts.join("; ")))
}

/// The most urgent of what somebody should do, and its command; nothing after an end as it was asked for. What is `found`
/// is told already.
fn to_do(report: &Report, found: Option<&str>) -> Option<(String, Option<String>)> {
    let mark = phrases::grade(report.ending, report.verdict).0;
    let is_good = matches!(mark, Mark::Done | Mark::Note) && report.still_changed.is_empty() && !report.asks_for_boot();
    let first = advice::to_do(report).into_iter().next().filter(|_| !is_good)?;
    let of_found = found.and_then(|title| first.text.strip_prefix(title)?.strip_prefix(": "));
    Some((one_line(of_found.unwrap_or(&first.text)), first.command))
}
