//! The report for a terminal, in 80 columns.

pub(super) mod hooks;
pub(super) mod host;
pub(super) mod services;

use super::harmless::shown;
use super::words::{count, duration, instant, one_line};
use super::{Ending, Mark, Paint, Report, StepStory, Style, advice, phrases, telling};
use crate::exit_code;
use crate::model::{CheckResult, EdgeReturn, Finding, Notification, Outcome, Severity};

/// Renders the report. Sections that have nothing to say are left out.
pub fn render(report: &Report, style: &Style) -> String {
    let page = Page { style };
    let mut out = vec![format!(
        "{} {} on {}",
        style.paint(Paint::Strong, "patchday"),
        report.run,
        style.paint(Paint::Strong, &report.host)
    )];
    out.extend(summary(report, &page));
    out.extend(page.section("What went wrong", problems(report, &page)));
    out.extend(page.section("Notes", notes(report, &page)));
    out.extend(page.section("Steps", steps(report, &page)));
    out.extend(page.section("Services", services::section(report, &page)));
    out.extend(page.section("Order of the boot", order(report, &page)));
    out.extend(page.section("Compared with before", compared(report, &page)));
    out.extend(page.section("Reboot and kernel", host::reboot(report, &page)));
    out.extend(page.section("CPU vulnerabilities", host::vulnerabilities(report, &page)));
    out.extend(page.section(&phrases::packages_title(report), host::packages(report, &page)));
    out.extend(page.section("Preflight", checks(report, &page)));
    out.extend(page.section("Hooks", hooks::section(report, &page)));
    out.extend(page.section("Messages", messages(report, &page)));
    let mut text = shown(&out.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n"));
    text.push('\n');
    text
}

/// Lines under headings.
struct Page<'a> {
    style: &'a Style,
}

impl Page<'_> {
    /// A section, or nothing where it is empty.
    fn section(&self, title: &str, lines: Vec<String>) -> Vec<String> {
        if lines.is_empty() {
            return lines;
        }
        [String::new(), self.style.paint(Paint::Strong, title)].into_iter().chain(lines).collect()
    }

    /// A name and what belongs to it, broken below itself.
    fn field(&self, name: &str, value: &str) -> Vec<String> {
        const COLUMN: usize = 14;
        let lines = self.style.wrap(value, COLUMN);
        let name = self.style.paint(Paint::Dim, &format!("  {name:<width$}", width = COLUMN - 2));
        lines
            .iter()
            .enumerate()
            .map(|(at, line)| if at == 0 { format!("{name}{}", line.trim_start()) } else { line.clone() })
            .collect()
    }

    /// A finding: mark and title, evidence and remedy below.
    fn finding(&self, finding: &Finding) -> Vec<String> {
        let mark = match finding.severity {
            Severity::Blocker => Mark::Failed,
            Severity::Warning => Mark::Warning,
            Severity::Info => Mark::Note,
        };
        let title = one_line(&format!("{} ({})", finding.title, finding.key));
        let mut lines = self.marked(mark, &title);
        for evidence in &finding.evidence {
            lines.extend(self.style.wrap(&one_line(evidence), 6).iter().map(|line| self.style.paint(Paint::Dim, line)));
        }
        for line in &finding.journal {
            let line = self.style.cut(&one_line(line), self.style.width.saturating_sub(8));
            lines.push(format!("      {}", self.style.paint(Paint::Dim, &format!("| {line}"))));
        }
        if let Some(remedy) = &finding.remedy {
            lines.extend(self.style.wrap(&format!("hint: {}", one_line(&remedy.hint)), 6));
            if let Some(command) = &remedy.command {
                lines.push(format!("            {}", self.style.paint(Paint::Accent, &one_line(command))));
            }
        }
        lines
    }

    /// A sentence behind a mark, broken below itself.
    fn marked(&self, mark: Mark, text: &str) -> Vec<String> {
        let lines = self.style.wrap(text, 4);
        let mark = self.style.mark(mark);
        lines
            .iter()
            .enumerate()
            .map(|(at, line)| if at == 0 { format!("  {mark} {}", line.trim_start()) } else { line.clone() })
            .collect()
    }
}

fn summary(report: &Report, page: &Page<'_>) -> Vec<String> {
    let (mark, paint) = phrases::grade(report.ending, report.verdict);
    let mut lines = vec![String::new()];
    // What the sentence begins with is the verdict, and alone is coloured: a red paragraph is hard to read.
    let mut sentence = page.style.wrap(&report.summary.to_string(), 4);
    if let Some(first) = sentence.first_mut() {
        let (line, head) = (first.trim_start(), report.summary.head.as_str());
        let (head, rest) = line.strip_prefix(head).map_or(("", line), |rest| (head, rest));
        *first = format!("  {} {}{rest}", page.style.mark(mark), page.style.paint(paint, head));
    }
    lines.extend(sentence);
    lines.push(String::new());
    let by = phrases::trigger(report.trigger);
    lines.extend(page.field("began", &format!("{}, {by}", instant(report.began))));
    let took = report.took().map(|took| format!(", after {}", duration(took))).unwrap_or_default();
    match report.ended {
        Some(ended) => lines.extend(page.field("ended", &format!("{}{took}", instant(ended)))),
        None => lines.extend(page.field("as of", &format!("{}{took}", instant(report.built)))),
    }
    lines.extend(report.away.map(|away| page.field("no services", &phrases::away_words(&away))).unwrap_or_default());
    // Without a code the run is not closed yet, and none is claimed.
    if let Some(code) = report.exit_code {
        let meaning = exit_code::ALL.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning);
        lines.extend(page.field("exit code", &format!("{code}: {}", meaning.unwrap_or("unknown to this version"))));
    }
    lines
}

/// What went wrong beyond the summary, first cause first, then what is still held.
fn problems(report: &Report, page: &Page<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(by), true) = (&report.aborted_by, report.ending != Ending::Aborted) {
        lines.extend(page.marked(Mark::Warning, &one_line(&format!("{by} asked for the end of the run"))));
    }
    let blockers = report.checks.iter().filter_map(|check| check.finding.as_ref()).filter(|found| is_blocker(found));
    let found = report.findings.iter().filter(|finding| finding.severity > Severity::Info);
    for finding in found.chain(blockers) {
        lines.extend(page.finding(finding));
    }
    if report.ended.is_some() && !report.still_changed.is_empty() {
        let text = format!("not undone: {}", telling::changes(&report.still_changed));
        lines.extend(page.marked(Mark::Failed, &text));
        lines.extend(page.style.wrap("hint: patchday resume", 6));
        if let Some(command) = advice::end_of_silence(report) {
            lines.extend(page.style.wrap("hint: or have the monitoring speak again by hand", 6));
            lines.push(format!("            {}", page.style.paint(Paint::Accent, &one_line(&command))));
        }
    }
    lines
}

/// The edges of the configuration, as the boot went.
fn order(report: &Report, page: &Page<'_>) -> Vec<String> {
    let line = |edge: &EdgeReturn| {
        let (mark, words) = phrases::order_words(edge);
        page.marked(mark, &format!("{} after {}: {words}", edge.unit, edge.on))
    };
    report.order.iter().flat_map(line).collect()
}

/// What differs and need not worry anybody. All of it is long, and stands in the other faces.
fn compared(report: &Report, page: &Page<'_>) -> Vec<String> {
    let recovered = report.recovered.iter().map(|unit| format!("{unit} came back only when it was restarted"));
    let mut lines: Vec<String> = recovered.flat_map(|text| page.marked(Mark::Warning, &text)).collect();
    if !report.expected.is_empty() {
        let text = format!(
            "{} that a boot or the upgrade makes; patchday report --format markdown lists them",
            count(report.expected.len(), "expected difference")
        );
        lines.extend(page.marked(Mark::Note, &text));
    }
    lines
}

/// Who was told, and who could not be.
fn messages(report: &Report, page: &Page<'_>) -> Vec<String> {
    let line = |told: &Notification| {
        let mark = if told.problem.is_some() { Mark::Warning } else { Mark::Done };
        page.marked(mark, &phrases::notification(told))
    };
    report.notifications.iter().flat_map(line).collect()
}

/// What the verification noted and nobody need mend.
fn notes(report: &Report, page: &Page<'_>) -> Vec<String> {
    let notes = report.findings.iter().filter(|finding| finding.severity == Severity::Info);
    notes.flat_map(|finding| page.finding(finding)).collect()
}

fn steps(report: &Report, page: &Page<'_>) -> Vec<String> {
    let reached = report.steps.iter().filter(|step| step.began.is_some());
    // The summary has said the reason already.
    let reason = report.failure.as_ref().map(|failure| failure.reason.as_str());
    let reason = reason.or(report.findings.first().map(|finding| finding.title.as_str()));
    let mut lines: Vec<String> = reached.map(|step| step_row(step, reason, page.style)).collect();
    let missed: Vec<_> =
        report.steps.iter().filter(|step| step.began.is_none()).map(|step| step.title.clone()).collect();
    if !missed.is_empty() {
        let word = match report.ending {
            Ending::Open => "to come",
            Ending::NothingToDo => "not needed",
            _ => "not reached",
        };
        let text = format!("{word}: {}", missed.join(", "));
        let text = page.marked(Mark::Skipped, &text);
        lines.extend(text.iter().map(|line| page.style.paint(Paint::Dim, line)));
    }
    lines
}

fn step_row(step: &StepStory, told: Option<&str>, style: &Style) -> String {
    let mark = match step.outcome {
        Some(Outcome::Succeeded) => Mark::Done,
        Some(Outcome::Failed) => Mark::Failed,
        Some(Outcome::Skipped) => Mark::Skipped,
        Some(Outcome::Interrupted) => Mark::Warning,
        None => Mark::Current,
    };
    let took = match (step.outcome, step.took) {
        (Some(Outcome::Skipped), _) => "left out".to_owned(),
        (None, _) => "has begun".to_owned(),
        (Some(_), Some(took)) => duration(took),
        (Some(_), None) => "not measured".to_owned(),
    };
    let mut words: Vec<String> = Vec::new();
    if step.outcome == Some(Outcome::Interrupted) {
        words.push("interrupted".to_owned());
    }
    if step.attempts > 1 {
        words.push(count(step.attempts as usize, "attempt"));
    }
    words.extend(step.note.clone().filter(|note| Some(note.as_str()) != told));
    style.step_row(mark, &step.title, &took, &words.join(", "), true)
}

fn is_blocker(finding: &Finding) -> bool {
    finding.severity == Severity::Blocker
}

fn checks(report: &Report, page: &Page<'_>) -> Vec<String> {
    let shown = |check: &CheckResult| {
        let finding = check.finding.as_ref().filter(|finding| !is_blocker(finding))?;
        Some(page.finding(finding))
    };
    report.checks.iter().filter_map(shown).flatten().collect()
}
