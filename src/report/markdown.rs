//! The report as a ready post-mortem.

use super::advice::{self, Advice};
use super::page::{self, Fact};
use super::words::{capital, day, duration, one_line, time_of_day, zone_name};
use super::{Report, ServiceStory, phrases};
use crate::model::ExpectedDifference;

/// Renders the post-mortem: summary, impact, timeline, what changed, what went wrong, what to do.
pub fn render(report: &Report) -> String {
    let mut out = vec![format!("# Patch run on {}, {}", escape(&report.host), day(report.began, &report.zone))];
    out.extend(section("Summary", summary(report)));
    out.extend(section("Impact", impact(report)));
    out.extend(section("Timeline", timeline(report)));
    out.extend(section("What changed", changed(report)));
    out.extend(section(page::WENT_WRONG, wrong(report)));
    out.extend(section(page::TO_DO, to_do(report)));
    let mut text = out.join("\n");
    text.push('\n');
    text
}

fn section(title: &str, lines: Vec<String>) -> Vec<String> {
    [String::new(), format!("## {title}"), String::new()].into_iter().chain(lines).collect()
}

fn summary(report: &Report) -> Vec<String> {
    let verdict = report.verdict.map_or("none: nobody judged the host", |verdict| verdict.name());
    let run = format!("`{}`, Patchday {}", report.run, escape(&report.patchday_version));
    let told = |fact: &Fact| (fact.key.lead(), escape(&fact.value));
    // When it was, what it came to, and the rest.
    let (times, rest): (Vec<Fact>, Vec<Fact>) = page::head(report).into_iter().partition(|fact| fact.at.is_some());
    let judged = [("Verdict", verdict.to_owned())];
    let facts = [("Run", run)].into_iter().chain(times.iter().map(told)).chain(judged).chain(rest.iter().map(told));
    let mut lines = vec![format!("{}.", escape(&capital(&report.summary.to_string()))), String::new()];
    lines.extend(["| | |".to_owned(), "|---|---|".to_owned()]);
    lines.extend(facts.map(|(name, value)| format!("| {name} | {value} |")));
    lines
}

fn impact(report: &Report) -> Vec<String> {
    let affected: Vec<&ServiceStory> = report.services.iter().filter(|service| service.downtime.is_some()).collect();
    if affected.is_empty() {
        return vec!["No service is recorded to have been stopped.".to_owned()];
    }
    let mut lines = match report.longest_downtime() {
        Some((unit, took)) => vec![format!("The longest measured downtime is {}, of `{unit}`.", duration(took))],
        None => vec!["No downtime was measured to its end.".to_owned()],
    };
    let zone = zone_name(report.began, &report.zone);
    lines.extend([String::new(), format!("| Service | Down from ({zone}) | Ready again | Downtime |")]);
    lines.push("|---|---|---|---|".to_owned());
    for service in affected {
        let Some(downtime) = &service.downtime else { continue };
        let until = downtime.until.map_or("not recorded".to_owned(), |until| time_of_day(until, &report.zone));
        let took = match downtime.took {
            Some(took) if downtime.proven => duration(took),
            Some(took) => format!("at most {}: the stop is not proven", duration(took)),
            None if phrases::is_still_down(service) => "still down".to_owned(),
            None => "not measured".to_owned(),
        };
        lines.push(format!("| `{}` | {} | {until} | {took} |", service.unit, time_of_day(downtime.from, &report.zone)));
    }
    lines.push(String::new());
    for service in page::services(report) {
        let detail = |(name, words): &(_, String)| format!("- `{}` {name}: {}.", service.unit, escape(words));
        lines.extend(service.details.iter().map(detail));
    }
    lines
}

fn timeline(report: &Report) -> Vec<String> {
    if report.timeline.is_empty() {
        return vec!["Nothing was recorded.".to_owned()];
    }
    let rows = report
        .timeline
        .iter()
        .map(|moment| format!("| {} | {} |", time_of_day(moment.at, &report.zone), escape(&moment.text)));
    [format!("| {} | What happened |", zone_name(report.began, &report.zone)), "|---|---|".to_owned()]
        .into_iter()
        .chain(rows)
        .collect()
}

fn changed(report: &Report) -> Vec<String> {
    let facts = page::boot(report, "→");
    let mut lines: Vec<String> =
        facts.iter().map(|fact| format!("- {}: {}.", fact.key.lead(), escape(&fact.value))).collect();
    lines.extend(page::notes(report).map(|note| format!("- Noted: {} (`{}`).", escape(&note.title), note.key)));
    let items = page::order(report).into_iter().chain(page::recovered(report));
    lines.extend(items.map(|item| format!("- {}.", escape(&item.text))));
    let vulnerabilities = page::vulnerabilities(report, "→").into_iter();
    lines.extend(vulnerabilities.map(|item| format!("- CPU vulnerability {}.", escape(&item.text))));
    if !report.packages.changes.is_empty() {
        lines.push(format!("- {}:", phrases::packages_title(report)));
        lines.extend([String::new(), "| Package | Change | |".to_owned(), "|---|---|---|".to_owned()]);
        for line in &report.packages.changes {
            let security = if line.security { "security" } else { "" };
            let versions = phrases::versions(line, "→");
            lines.push(format!("| {} | {} | {security} |", escape(&line.change.name), escape(&versions)));
        }
    }
    if !report.expected.is_empty() {
        if !report.packages.changes.is_empty() {
            lines.push(String::new());
        }
        lines.push("- Differences to before that a boot or the upgrade makes:".to_owned());
        lines.extend([String::new(), "| Difference | Why it is expected |".to_owned(), "|---|---|".to_owned()]);
        let row = |one: &ExpectedDifference| format!("| {} | {} |", escape(&one.what), escape(&one.rule));
        lines.extend(report.expected.iter().map(row));
    }
    if lines.is_empty() {
        lines.push("No change is recorded.".to_owned());
    }
    lines
}

fn wrong(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for problem in advice::wrong(report) {
        let label = problem.label.map(|label| format!(" (`{label}`)")).unwrap_or_default();
        lines.push(format!("- {}{label}", escape(&problem.text)));
        lines.extend(problem.evidence.iter().map(|evidence| format!("  - {}", escape(evidence))));
        lines.extend((!problem.journal.is_empty()).then(|| "  - Its journal ends with:".to_owned()));
        lines.extend(problem.journal.iter().map(|line| format!("    - {}", escape(line))));
    }
    if lines.is_empty() {
        lines.push(page::NOTHING_WRONG.to_owned());
    }
    lines
}

fn to_do(report: &Report) -> Vec<String> {
    let items = advice::to_do(report);
    if items.is_empty() {
        return vec![advice::nothing_to_do(report).to_owned()];
    }
    let command = |command: &str| format!(": `{}`", one_line(command).replace('`', "'"));
    let item = |item: &Advice| {
        let command = item.command.as_deref().map(command).unwrap_or_default();
        format!("{}{command}", escape(&item.text))
    };
    items.iter().zip(1..).map(|(advice, number): (_, u32)| format!("{number}. {}", item(advice))).collect()
}

/// One line in which nothing is taken for markup: foreign text must not make headings, links or HTML.
fn escape(text: &str) -> String {
    let mut safe = String::new();
    for c in one_line(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '[' | ']' | '<' | '|') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}
