//! The report for a terminal, in 80 columns.

use super::harmless::shown;
use super::page::{self, Content, ServiceRow, StepRow};
use super::words::{count, duration, one_line};
use super::{Ending, Item, Mark, PackageLine, Paint, Report, Style, advice, phrases, telling};
use crate::model::{Outcome, Remedy};

/// Packages that are listed; whoever wants them all asks for JSON.
const LISTED: usize = 40;

/// Renders the report. Sections that have nothing to say are left out.
pub fn render(report: &Report, style: &Style) -> String {
    let (program, host) = (style.paint(Paint::Strong, "patchday"), style.paint(Paint::Strong, &report.host));
    let mut out = vec![format!("{program} {} on {host}", report.run), String::new()];
    out.extend(summary(report, style));
    out.push(String::new());
    out.extend(page::head(report).iter().flat_map(|fact| style.field(fact.key.name(), &fact.value)));
    out.extend(style.section(page::WENT_WRONG, problems(report, style)));
    for section in page::sections(report, style.arrow()) {
        let lines = match &section.content {
            Content::Items(all) => items(all, style),
            Content::Facts(facts) => facts.iter().flat_map(|fact| style.field(fact.key.name(), &fact.value)).collect(),
            Content::Steps(rows) => steps(rows, report, style),
            Content::Services(rows) => rows.iter().flat_map(|row| service(row, style)).collect(),
            Content::Compared(recovered) => compared(recovered, report, style),
            Content::Packages(left) => packages(left, report, style),
        };
        out.extend(style.section(&section.heading, lines));
    }
    let mut text = shown(&out.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n"));
    text.push('\n');
    text
}

fn items(items: &[Item], style: &Style) -> Vec<String> {
    items.iter().flat_map(|item| style.item(item)).collect()
}

/// What the sentence begins with is the verdict, and alone is coloured: a red paragraph is hard to read.
pub(super) fn summary(report: &Report, style: &Style) -> Vec<String> {
    let (mark, paint) = phrases::grade(report.ending, report.verdict);
    let mut sentence = style.wrap(&report.summary.to_string(), 4);
    if let Some(first) = sentence.first_mut() {
        let (line, head) = (first.trim_start(), report.summary.head.as_str());
        let (head, rest) = line.strip_prefix(head).map_or(("", line), |rest| (head, rest));
        *first = format!("  {} {}{rest}", style.mark(mark), style.paint(paint, head));
    }
    sentence
}

/// What went wrong beyond the summary, which stands right above: first causes first, then what is still held.
fn problems(report: &Report, style: &Style) -> Vec<String> {
    let mut problems = Vec::new();
    if let (Some(by), true) = (&report.aborted_by, report.ending != Ending::Aborted) {
        problems.push(Item::new(Mark::Warning, format!("{by} asked for the end of the run")));
    }
    problems.extend(advice::grave(report).map(Item::from));
    let mut lines = items(&problems, style);
    if report.ended.is_some() && !report.still_changed.is_empty() {
        let text = format!("not undone: {}", telling::changes(&report.still_changed));
        let remedy = Some(Remedy { hint: "patchday resume".to_owned(), command: None });
        lines.extend(style.item(&Item { remedy, ..Item::new(Mark::Failed, text) }));
        if let Some(command) = advice::end_of_silence(report) {
            lines.extend(style.wrap("hint: or have the monitoring speak again by hand", 6));
            lines.push(style.command(&command));
        }
    }
    lines
}

fn steps(rows: &[StepRow<'_>], report: &Report, style: &Style) -> Vec<String> {
    // The summary has said the reason already.
    let reason = report.failure.as_ref().map(|failure| failure.reason.as_str());
    let reason = reason.or(report.findings.first().map(|finding| finding.title.as_str()));
    let (reached, missed): (Vec<&StepRow<'_>>, Vec<_>) = rows.iter().partition(|row| row.step.began.is_some());
    let mut lines: Vec<String> = reached.into_iter().map(|row| step(row, reason, style)).collect();
    if let Some(first) = missed.first() {
        let titles: Vec<&str> = missed.iter().map(|row| row.step.title.as_str()).collect();
        let text = style.marked(first.mark, &format!("{}: {}", first.how, titles.join(", ")));
        lines.extend(text.iter().map(|line| style.paint(Paint::Dim, line)));
    }
    lines
}

fn step(row: &StepRow<'_>, told: Option<&str>, style: &Style) -> String {
    let took = match (row.step.outcome, row.step.took) {
        (Some(Outcome::Skipped) | None, _) => row.how.to_owned(),
        (Some(_), Some(took)) => duration(took),
        (Some(_), None) => "not measured".to_owned(),
    };
    let how = (row.step.outcome == Some(Outcome::Interrupted)).then(|| row.how.to_owned());
    let note = row.step.note.clone().filter(|note| Some(note.as_str()) != told);
    let words: Vec<String> = how.into_iter().chain(row.attempts.clone()).chain(note).collect();
    style.step_row(row.mark, &row.step.title, &took, &words.join(", "), true)
}

fn service(row: &ServiceRow<'_>, style: &Style) -> Vec<String> {
    let unit = style.fit(row.unit.as_str(), 26);
    let mut lines = vec![format!("  {} {unit}  {}", style.mark(row.mark), row.impact)];
    for (name, words) in &row.details {
        lines.extend(style.hanging(15, &style.paint(Paint::Dim, &format!("    {name:<11}")), words));
    }
    lines
}

/// All of what is expected is long, and stands in the other faces.
fn compared(recovered: &[Item], report: &Report, style: &Style) -> Vec<String> {
    let mut lines = items(recovered, style);
    if !report.expected.is_empty() {
        let number = count(report.expected.len(), "expected difference");
        let text = format!("{number} that a boot or the upgrade makes; patchday report --format markdown lists them");
        lines.extend(style.marked(Mark::Note, &text));
    }
    lines
}

/// The packages, security first.
fn packages(left: &[Item], report: &Report, style: &Style) -> Vec<String> {
    let changes = &report.packages.changes;
    let mut lines: Vec<String> = changes.iter().take(LISTED).map(|line| package(line, style)).collect();
    if changes.len() > LISTED {
        lines.push(format!("    and {} more; all of them: patchday report --format json", changes.len() - LISTED));
    }
    lines.extend(items(left, style));
    lines
}

fn package(line: &PackageLine, style: &Style) -> String {
    let versions = one_line(&phrases::versions(line, style.arrow()));
    let security = if line.security { "security" } else { "" };
    let name = style.fit(&line.change.name, 26);
    // Columns: four of margin, the name, two, the versions, one, the word "security".
    let room = style.width.saturating_sub(4 + 26 + 2 + 1 + 8);
    let text = format!("    {name}  {} {}", style.fit(&versions, room), style.paint(Paint::Warn, security));
    text.trim_end().to_owned()
}
