//! The report as one page: nothing beside it is needed, no script runs, and it can be printed.

mod markup;
mod svg;

use markup::{Html, element, literal, text};

use super::advice::{self, Problem};
use super::words::{capital, count, duration, instant, time_of_day};
use super::{Mark, Report, ServiceStory, StepStory, chart, owed, phrases, telling};
use crate::model::{EdgeReturn, Finding, HookRun, Notification, Outcome, Severity};

/// Packages up to this number are shown without a click.
const OPEN_PACKAGES: usize = 40;

/// Renders the page.
pub fn render(report: &Report) -> String {
    let title = format!("Patch run on {}, {}", report.host, report.began.strftime("%Y-%m-%d"));
    let main: Html = [
        head(report, &title),
        section("What went wrong", problems(report)),
        section("What to do", to_do(report)),
        section("Timeline", timeline(report)),
        section("Services", services(report)),
        section("Order of the boot", order(report)),
        section("Compared with before", compared(report)),
        section("Reboot and kernel", reboot(report)),
        section(&phrases::packages_title(report), packages(report)),
        section("Notes", notes(report)),
        section("Steps", steps(report)),
        section("Hooks", calls(report)),
        section("Messages", messages(report)),
        section("What happened, moment by moment", moments(report)),
        footer(report),
    ]
    .into();
    let style = element("style", &[], literal(include_str!("html/style.css")));
    let meta = literal(concat!(
        "<meta charset=\"utf-8\">\n",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
        // Nothing may be loaded and nothing may run, whatever was told to this page.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    ));
    let head = element("head", &[], [meta, element("title", &[], text(&title)), style]);
    let body = element("body", &[], [svg::patterns(), element("main", &[], main)]);
    let page = element("html", &[("lang", "en")], [head, body]);
    format!("<!DOCTYPE html>\n{}\n", page.into_text())
}

/// A section, or nothing where it is empty.
fn section(title: &str, content: Html) -> Html {
    if content.is_empty() {
        return content;
    }
    element("section", &[], [element("h2", &[], text(title)), content])
}

fn paragraph(content: impl AsRef<str>) -> Html {
    element("p", &[], text(content))
}

fn code(content: &str) -> Html {
    element("code", &[], text(content))
}

/// The class of a mark, by which it is coloured, and the mark itself.
fn sign(mark: Mark) -> (&'static str, &'static str) {
    match mark {
        Mark::Done => ("good", "✓"),
        Mark::Failed => ("bad", "✗"),
        Mark::Warning => ("warn", "!"),
        Mark::Current => ("plain", "▸"),
        Mark::Skipped => ("plain", "–"),
        Mark::Note => ("plain", "·"),
    }
}

fn head(report: &Report, title: &str) -> Html {
    let (class, sign) = sign(phrases::grade(report.ending, report.verdict).0);
    let head = element("b", &[], text(format!("{sign} {}", report.summary.head)));
    let rest = element("span", &[], text(format!("{}.", capital(&report.summary.rest()))));
    let summary = element("div", &[("class", &format!("summary {class}"))], [head, rest]);
    [element("h1", &[], text(title)), summary, facts(report)].into()
}

fn facts(report: &Report) -> Html {
    let trigger = phrases::trigger(report.trigger);
    let took = report.took().map_or("not measured".to_owned(), duration);
    let took = if report.ended.is_some() { took } else { format!("{took} so far") };
    let downtime = report.longest_downtime().map(|(unit, took)| format!("{}, {unit}", duration(took)));
    let back = report.reboot.as_ref().and_then(|reboot| reboot.back_after).map(duration);
    let still_down = report.away.is_some_and(|away| away.still_down);
    let downtime = if still_down { Some("a service is still down".to_owned()) } else { downtime };
    let facts = [
        ("Run", Some(report.run.to_string())),
        ("Began", Some(format!("{}, {trigger}", instant(report.began)))),
        ("Took", Some(took)),
        ("Longest measured downtime", downtime),
        ("Host back after the request to reboot", back),
        ("Exit code", report.exit_code.map(|code| code.to_string())),
    ];
    let fact = |(name, value): (&str, Option<String>)| {
        Some(element("li", &[], [element("span", &[], text(name)), element("b", &[], text(value?))]))
    };
    element("ul", &[("class", "facts")], facts.into_iter().filter_map(fact).collect::<Html>())
}

fn problems(report: &Report) -> Html {
    let problems = advice::wrong(report);
    if problems.is_empty() {
        return paragraph("Nothing is recorded to have gone wrong.");
    }
    problems.iter().map(problem).collect()
}

fn problem(problem: &Problem) -> Html {
    let mark = if problem.severity == Severity::Blocker { Mark::Failed } else { Mark::Warning };
    let shown = found(mark, &problem.title, problem.label.as_deref(), &problem.evidence, &problem.journal);
    match problem.because_of {
        // What another finding explains stands below it, and further in.
        Some(_) => element("div", &[("class", "follows")], shown),
        None => shown,
    }
}

fn found(mark: Mark, title: &str, label: Option<&str>, evidence: &[String], journal: &[String]) -> Html {
    let (class, sign) = sign(mark);
    let mark = element("span", &[("class", "mark")], text(sign));
    let label = label.map(|label| Html::from([literal(" "), code(label)]));
    let title = element("p", &[], [mark, text(title), label.unwrap_or_default()]);
    let lines: Html = evidence.iter().map(|line| element("li", &[], text(line))).collect();
    let lines = if lines.is_empty() { lines } else { element("ul", &[], lines) };
    let journal = if journal.is_empty() {
        Html::default()
    } else {
        let head = element("p", &[("class", "dim")], text("The last lines of its journal:"));
        [head, element("pre", &[], journal.iter().flat_map(|line| [text(line), literal("\n")]).collect::<Html>())]
            .into()
    };
    element("div", &[("class", &format!("found {class}"))], [title, lines, journal])
}

fn to_do(report: &Report) -> Html {
    let items = advice::to_do(report);
    if items.is_empty() {
        return paragraph(advice::nothing_to_do(report));
    }
    let items = items.iter().map(|advice| {
        let command = advice.command.as_deref().map(|command| Html::from([literal(": "), code(command)]));
        element("li", &[], [text(&advice.text), command.unwrap_or_default()])
    });
    element("ol", &[], items.collect::<Html>())
}

fn timeline(report: &Report) -> Html {
    let charts = chart::charts(report);
    if charts.is_empty() {
        return Html::default();
    }
    let figure = |chart: &chart::Chart| {
        let caption = element("figcaption", &[], text(chart.title));
        let drawing = element("div", &[("class", "scroll")], svg::draw(chart));
        element("figure", &[], [caption, drawing])
    };
    let note = "Times are UTC. An arrow leads from the service that another one needs to the start of that one, or to \
                its readiness where it started earlier and waited. A broken arrow leads back in time: that order was not \
                kept.";
    let note = element("p", &[("class", "dim")], text(note));
    [svg::legend()].into_iter().chain(charts.iter().map(figure)).chain([note]).collect()
}

fn table(heads: &[&str], rows: impl Iterator<Item = Vec<Html>>) -> Html {
    let rows: Html = rows.map(|cells| element("tr", &[], cells.into_iter().collect::<Html>())).collect();
    if rows.is_empty() {
        return rows;
    }
    let heads: Html = heads.iter().map(|head| element("th", &[("scope", "col")], text(head))).collect();
    let table = element("table", &[], [element("tr", &[], heads), rows]);
    element("div", &[("class", "scroll")], table)
}

/// A table whose cells stand below each other where there is no room beside.
fn stacked(class: &str, table: Html) -> Html {
    if table.is_empty() { table } else { element("div", &[("class", &format!("stack {class}"))], table) }
}

fn cell(content: impl AsRef<str>) -> Html {
    element("td", &[], text(content))
}

fn figure(content: impl AsRef<str>) -> Html {
    element("td", &[("class", "figure")], text(content))
}

fn services(report: &Report) -> Html {
    let rebooted = phrases::was_rebooted(report);
    let row = |service: &ServiceStory| {
        let (mark, impact) = phrases::impact(service);
        let (class, sign) = sign(mark);
        let mark = element("span", &[("class", &format!("mark {class}"))], text(sign));
        let returned = service.returned.as_ref();
        let returned = returned.map(|returned| phrases::return_words(returned, service.ready_position, rebooted));
        vec![
            element("td", &[("class", "unit")], [mark, element("b", &[], text(service.unit.as_str()))]),
            cell(impact),
            cell(service.stopped.as_ref().map(phrases::stop_words).unwrap_or_default()),
            cell(returned.unwrap_or_default()),
        ]
    };
    stacked(
        "services",
        table(&["Service", "Impact (UTC)", "Proof of the stop", "Return"], report.services.iter().map(row)),
    )
}

/// Each edge of the configuration, as the boot went.
fn order(report: &Report) -> Html {
    let row = |edge: &EdgeReturn| {
        let (mark, words) = phrases::order_words(edge);
        let (class, sign) = sign(mark);
        let mark = element("span", &[("class", &format!("mark {class}"))], text(sign));
        vec![
            element("td", &[("class", "unit")], [mark, element("b", &[], text(edge.unit.as_str()))]),
            element("td", &[("class", "unit")], text(edge.on.as_str())),
            cell(words),
        ]
    };
    stacked("order", table(&["Service", "Needs", "Order"], report.order.iter().map(row)))
}

/// What was measured before and after, and what differs and need not worry anybody.
fn compared(report: &Report) -> Html {
    let kernel = report.kernel.before.clone().zip(report.kernel.after.clone());
    let kernel = kernel.map(|(before, after)| vec![cell("kernel"), cell(before), cell(after)]);
    let answers = report.services.iter().filter_map(|service| {
        let after = service.returned.as_ref()?.latency?;
        let before = service.latency_before.map_or("not measured".to_owned(), |before| phrases::pace(&before));
        Some(vec![cell(format!("{} answers", service.unit)), cell(before), cell(phrases::pace(&after))])
    });
    let measured = table(&["", "Before", "After"], kernel.into_iter().chain(answers));
    let recovered = report.recovered.iter();
    let recovered = recovered.map(|unit| paragraph(format!("{unit} came back only when it was restarted.")));
    let expected = report.expected.iter().map(|one| vec![cell(&one.what), cell(&one.rule)]);
    let expected = table(&["Difference", "Why it is expected"], expected);
    let expected = if expected.is_empty() {
        expected
    } else {
        let number = count(report.expected.len(), "expected difference");
        element("details", &[], [element("summary", &[], text(number)), expected])
    };
    recovered.chain([measured, expected]).collect()
}

fn reboot(report: &Report) -> Html {
    let mut lines = Vec::new();
    if let Some(reboot) = &report.reboot {
        if !reboot.reasons.is_empty() {
            lines.push(format!("A reboot was wanted: {}.", telling::reasons(&reboot.reasons)));
        }
        lines.push(match (reboot.requested, reboot.noticed, reboot.back_after) {
            (Some(at), _, Some(after)) => {
                format!("It was requested at {}, and the host was back after {}.", instant(at), duration(after))
            }
            (_, Some(noticed), _) => format!("Another boot was noticed at {}.", instant(noticed)),
            (None, None, _) => "No reboot was requested.".to_owned(),
            (Some(at), None, _) => format!("It was requested at {}; no other boot was seen.", instant(at)),
        });
        if reboot.unplanned > 0 {
            lines.push(format!("{} that Patchday had not asked for.", count(reboot.unplanned as usize, "reboot")));
        }
        if reboot.soft > 0 {
            lines.push(format!("{}.", telling::soft_reboots(reboot.soft)));
        }
        if reboot.first_boot != reboot.last_boot {
            lines.push(format!("Boot ID {} → {}.", reboot.first_boot, reboot.last_boot));
        }
    }
    lines.extend(owed::told(&report.owed).map(|words| format!("A boot is owed: {words}.")));
    lines.extend(phrases::kernel(report).map(|kernel| format!("Kernel: {kernel}.")));
    let vulnerabilities = report.vulnerabilities.iter();
    lines.extend(vulnerabilities.map(|story| format!("CPU vulnerability {}.", phrases::vulnerability(story, "→"))));
    lines.iter().map(paragraph).collect()
}

fn packages(report: &Report) -> Html {
    let rows = report.packages.changes.iter().map(|line| {
        let security = if line.security { "security" } else { "" };
        vec![element("td", &[], code(&line.change.name)), cell(phrases::versions(line, "→")), cell(security)]
    });
    let list = table(&["Package", "Change", ""], rows);
    let number = report.packages.changes.len();
    if number <= OPEN_PACKAGES {
        return list;
    }
    element("details", &[], [element("summary", &[], text(format!("All {}", count(number, "package")))), list])
}

/// What nobody need mend now: notes of the verification, and what the preflight found and let pass.
fn notes(report: &Report) -> Html {
    let found_by = |finding: &Finding| {
        let mark = if finding.severity == Severity::Info { Mark::Note } else { Mark::Warning };
        found(mark, &finding.title, Some(&finding.key.to_string()), &finding.evidence, &finding.journal)
    };
    let notes = report.findings.iter().filter(|finding| finding.severity == Severity::Info);
    let checks = report.checks.iter().filter_map(|check| check.finding.as_ref());
    notes.chain(checks.filter(|finding| finding.severity < Severity::Blocker)).map(found_by).collect()
}

fn steps(report: &Report) -> Html {
    let row = |step: &StepStory| {
        let (mark, how) = match (step.began, step.outcome) {
            (None, _) => (Mark::Skipped, "not reached"),
            (_, Some(Outcome::Succeeded)) => (Mark::Done, "done"),
            (_, Some(Outcome::Failed)) => (Mark::Failed, "failed"),
            (_, Some(Outcome::Skipped)) => (Mark::Skipped, "left out"),
            (_, Some(Outcome::Interrupted)) => (Mark::Warning, "interrupted"),
            (_, None) => (Mark::Current, "has begun"),
        };
        let (class, sign) = sign(mark);
        let mark = element("span", &[("class", &format!("mark {class}"))], text(sign));
        let again = (step.attempts > 1).then(|| count(step.attempts as usize, "attempt"));
        let note: Vec<String> = again.into_iter().chain(step.note.clone()).collect();
        let took = step.took.filter(|_| step.outcome != Some(Outcome::Skipped)).map(duration).unwrap_or_default();
        vec![
            element("td", &[], [mark, text(capital(&step.title))]),
            cell(how),
            figure(step.began.map(time_of_day).unwrap_or_default()),
            figure(took),
            cell(note.join(", ")),
        ]
    };
    table(&["Step", "Outcome", "Began (UTC)", "Took", "Note"], report.steps.iter().map(row))
}

/// The programs that the run called, and what they said last.
fn calls(report: &Report) -> Html {
    let row = |call: &HookRun| {
        let mark = match call.problem() {
            _ if call.end.is_none() => Mark::Current,
            None => Mark::Done,
            Some(_) if call.is_fatal() => Mark::Failed,
            Some(_) => Mark::Warning,
        };
        let (class, sign) = sign(mark);
        let mark = element("span", &[("class", &format!("mark {class}"))], text(sign));
        let said: Vec<Html> = call.end.iter().flat_map(|end| &end.lines).map(|line| code(line)).collect();
        let said = said.into_iter().map(|line| element("p", &[], [line]));
        let words = element("p", &[], [mark, text(phrases::call_words(call))]);
        [words].into_iter().chain(said).collect::<Html>()
    };
    report.hooks.iter().map(row).collect()
}

fn messages(report: &Report) -> Html {
    let row = |told: &Notification| {
        let (class, sign) = sign(if told.problem.is_some() { Mark::Warning } else { Mark::Done });
        let mark = element("span", &[("class", &format!("mark {class}"))], text(sign));
        element("p", &[], [mark, text(phrases::notification(told))])
    };
    report.notifications.iter().map(row).collect()
}

fn moments(report: &Report) -> Html {
    let rows = report.timeline.iter().map(|moment| vec![figure(time_of_day(moment.at)), cell(&moment.text)]);
    let list = table(&["UTC", "What happened"], rows);
    if list.is_empty() {
        return list;
    }
    let summary = element("summary", &[], text(count(report.timeline.len(), "moment")));
    element("details", &[], [summary, list])
}

fn footer(report: &Report) -> Html {
    let said = format!("Made by Patchday {} at {}.", report.patchday_version, instant(report.built));
    element("footer", &[], text(said))
}

#[cfg(test)]
mod tests;
