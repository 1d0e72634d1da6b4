//! The report as one page: nothing beside it is needed, no script runs, and it can be printed.

mod markup;
mod svg;

use markup::{Html, element, literal, text};

use jiff::Timestamp;

use super::page::{self, Content, Fact, ServiceRow, StepRow};
use super::words::{capital, count, day, duration, instant, time_of_day, zone_name};
use super::{Item, Mark, Paint, Report, advice, chart, phrases};
use crate::model::Outcome;

/// Packages up to this number are shown without a click.
const OPEN_PACKAGES: usize = 40;

pub fn render(report: &Report) -> String {
    let title = format!("Patch run on {}, {}", report.host, day(report.began, &report.zone));
    let before = [
        head(report, &title),
        section(page::WENT_WRONG, problems(report)),
        section(page::TO_DO, to_do(report)),
        section("Timeline", timeline(report)),
    ];
    let sections = page::sections(report, "→");
    let sections = sections.iter().map(|one| section(&one.heading, content(&one.content, report)));
    let after = [section("What happened, moment by moment", moments(report)), footer(report)];
    let main: Html = before.into_iter().chain(sections).chain(after).collect();
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

fn content(content: &Content<'_>, report: &Report) -> Html {
    match content {
        Content::Items(items) => items.iter().map(item).collect(),
        Content::Facts(facts) => {
            facts.iter().map(|fact| paragraph(format!("{}: {}.", fact.key.lead(), fact.value))).collect()
        }
        Content::Steps(rows) => steps(rows, report),
        Content::Services(rows) => services(rows, report),
        Content::Compared(recovered) => compared(recovered, report),
        Content::Packages(left) => packages(left, report),
    }
}

fn paragraph(content: impl AsRef<str>) -> Html {
    element("p", &[], text(content))
}

fn code(content: &str) -> Html {
    element("code", &[], text(content))
}

/// The class of a mark, by which it is coloured, and the mark itself.
fn sign(mark: Mark) -> (&'static str, &'static str) {
    let (sign, _, paint) = mark.look();
    let class = match paint {
        Paint::Good => "good",
        Paint::Bad => "bad",
        Paint::Warn => "warn",
        _ => "plain",
    };
    (class, sign)
}

fn head(report: &Report, title: &str) -> Html {
    let (class, sign) = sign(phrases::grade(report.ending, report.verdict).0);
    let head = element("b", &[], text(format!("{sign} {}", report.summary.head)));
    let rest = element("span", &[], text(format!("{}.", capital(&report.summary.rest()))));
    let summary = element("div", &[("class", &format!("summary {class}"))], [head, rest]);
    [element("h1", &[], text(title)), summary, facts(report)].into()
}

fn facts(report: &Report) -> Html {
    let value = |fact: &Fact| {
        let told = fact.at.and_then(|at| {
            let said = instant(at, &report.zone);
            let rest = fact.value.strip_prefix(&said)?.to_owned();
            Some(Html::from([time(at, said), text(rest)]))
        });
        told.unwrap_or_else(|| text(&fact.value))
    };
    let fact = |name, value| element("li", &[], [element("span", &[], text(name)), element("b", &[], value)]);
    let facts = page::head(report);
    let facts = facts.iter().map(|one| fact(one.key.lead(), value(one)));
    let run = fact("Run", text(report.run.as_str()));
    element("ul", &[("class", "facts")], [run].into_iter().chain(facts).collect::<Html>())
}

fn problems(report: &Report) -> Html {
    let problems = advice::wrong(report);
    if problems.is_empty() {
        return paragraph(page::NOTHING_WRONG);
    }
    problems.iter().map(found).collect()
}

/// A mark, in its colour.
fn marked(mark: Mark) -> Html {
    let (class, sign) = sign(mark);
    element("span", &[("class", &format!("mark {class}"))], text(sign))
}

/// A finding stands in a frame of its own, any other sentence on its line.
fn item(item: &Item) -> Html {
    if item.label.is_some() {
        return found(item);
    }
    let said = item.evidence.iter().map(|line| element("p", &[], code(line)));
    [element("p", &[], [marked(item.mark), text(&item.text)])].into_iter().chain(said).collect()
}

fn found(item: &Item) -> Html {
    let (class, sign) = sign(item.mark);
    let mark = element("span", &[("class", "mark")], text(sign));
    let label = item.label.as_ref().map(|label| Html::from([literal(" "), code(label)]));
    let title = element("p", &[], [mark, text(&item.text), label.unwrap_or_default()]);
    let lines: Html = item.evidence.iter().map(|line| element("li", &[], text(line))).collect();
    let lines = if lines.is_empty() { lines } else { element("ul", &[], lines) };
    let journal = if item.journal.is_empty() {
        Html::default()
    } else {
        let head = element("p", &[("class", "dim")], text("The last lines of its journal:"));
        let lines = item.journal.iter().flat_map(|line| [text(line), literal("\n")]);
        [head, element("pre", &[], lines.collect::<Html>())].into()
    };
    let shown = element("div", &[("class", &format!("found {class}"))], [title, lines, journal]);
    // What another finding explains stands below it, and further in.
    if item.follows { element("div", &[("class", "follows")], shown) } else { shown }
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
    let zone = zone_name(report.began, &report.zone);
    let note = format!(
        "Times are {zone}. An arrow leads from the service that another one needs to the start of that one, or to its \
         readiness where it started earlier and waited. A broken arrow leads back in time: that order was not kept."
    );
    let note = element("p", &[("class", "dim")], text(note));
    [svg::legend()].into_iter().chain(charts.iter().map(figure)).chain([note]).collect()
}

/// A table with its caption, for who does not see what stands around it; nothing where it has no row.
fn table(caption: &str, heads: &[&str], rows: impl Iterator<Item = Vec<Html>>) -> Html {
    let rows: Html = rows.map(|cells| element("tr", &[], cells.into_iter().collect::<Html>())).collect();
    if rows.is_empty() {
        return rows;
    }
    let heads: Html = heads.iter().map(|head| element("th", &[("scope", "col")], text(head))).collect();
    let caption = element("caption", &[], text(caption));
    let head = element("thead", &[], element("tr", &[], heads));
    let table = element("table", &[], [caption, head, element("tbody", &[], rows)]);
    element("div", &[("class", "scroll")], table)
}

/// An instant as it is told, with what a program reads.
fn time(at: Timestamp, said: impl AsRef<str>) -> Html {
    element("time", &[("datetime", &at.to_string())], text(said))
}

/// A table whose cells stand below each other where there is no room beside.
fn stacked(class: &str, table: Html) -> Html {
    if table.is_empty() { table } else { element("div", &[("class", &format!("stack {class}"))], table) }
}

fn cell(content: impl AsRef<str>) -> Html {
    element("td", &[], text(content))
}

fn figure(content: impl Into<Html>) -> Html {
    element("td", &[("class", "figure")], content)
}

/// The time of day, in a cell of its own.
fn hour(at: Timestamp, report: &Report) -> Html {
    figure(time(at, time_of_day(at, &report.zone)))
}

fn services(rows: &[ServiceRow<'_>], report: &Report) -> Html {
    let row = |row: &ServiceRow<'_>| {
        let unit = [marked(row.mark), element("b", &[], text(row.unit.as_str()))];
        let details = ["stopped", "returned"].map(|name| cell(row.detail(name)));
        [element("td", &[("class", "unit")], unit), cell(&row.impact)].into_iter().chain(details).collect()
    };
    let impact = format!("Impact ({})", zone_name(report.began, &report.zone));
    let heads = ["Service", &impact, "Proof of the stop", "Return"];
    // The figure of the headline, which is none of a single service.
    let all = report.away.filter(|_| rows.len() > 1).map(|away| {
        let name = element("td", &[("class", "unit")], element("b", &[], text("All of them")));
        vec![name, cell(format!("away {}", phrases::away_words(&away))), cell(""), cell("")]
    });
    let caption = "How each service went down and came back";
    stacked("services", table(caption, &heads, rows.iter().map(row).chain(all)))
}

/// What was measured before and after, and what differs and need not worry anybody.
fn compared(recovered: &[Item], report: &Report) -> Html {
    let kernel = report.kernel.before.clone().zip(report.kernel.after.clone());
    let kernel = kernel.map(|(before, after)| vec![cell("kernel"), cell(before), cell(after)]);
    let answers = report.services.iter().filter_map(|service| {
        let after = service.returned.as_ref()?.latency?;
        let before = service.latency_before.map_or("not measured".to_owned(), |before| phrases::pace(&before));
        Some(vec![cell(format!("{} answers", service.unit)), cell(before), cell(phrases::pace(&after))])
    });
    let measured = table("Measured before and after", &["", "Before", "After"], kernel.into_iter().chain(answers));
    let expected = report.expected.iter().map(|one| vec![cell(&one.what), cell(&one.rule)]);
    let expected = table("Differences that are expected", &["Difference", "Why it is expected"], expected);
    let expected = if expected.is_empty() {
        expected
    } else {
        let number = count(report.expected.len(), "expected difference");
        element("details", &[], [element("summary", &[], text(number)), expected])
    };
    recovered.iter().map(item).chain([measured, expected]).collect()
}

fn packages(left: &[Item], report: &Report) -> Html {
    let rows = report.packages.changes.iter().map(|line| {
        let security = if line.security { "security" } else { "" };
        vec![element("td", &[], code(&line.change.name)), cell(phrases::versions(line, "→")), cell(security)]
    });
    let list = table("Each package, with its old and its new version", &["Package", "Change", ""], rows);
    let number = report.packages.changes.len();
    let list = if number <= OPEN_PACKAGES {
        list
    } else {
        element("details", &[], [element("summary", &[], text(format!("All {}", count(number, "package")))), list])
    };
    [list].into_iter().chain(left.iter().map(item)).collect()
}

fn steps(rows: &[StepRow<'_>], report: &Report) -> Html {
    let row = |row: &StepRow<'_>| {
        let step = row.step;
        let note: Vec<String> = row.attempts.clone().into_iter().chain(step.note.clone()).collect();
        let took = step.took.filter(|_| step.outcome != Some(Outcome::Skipped)).map(duration).unwrap_or_default();
        vec![
            element("td", &[], [marked(row.mark), text(capital(&step.title))]),
            cell(row.how),
            step.began.map_or_else(|| cell(""), |began| hour(began, report)),
            figure(text(took)),
            cell(note.join(", ")),
        ]
    };
    let began = format!("Began ({})", zone_name(report.began, &report.zone));
    table("The steps of the run", &["Step", "Outcome", &began, "Took", "Note"], rows.iter().map(row))
}

fn moments(report: &Report) -> Html {
    let rows = report.timeline.iter().map(|moment| vec![hour(moment.at, report), cell(&moment.text)]);
    let zone = zone_name(report.began, &report.zone);
    let list = table("Moments of the run", &[&zone, "What happened"], rows);
    if list.is_empty() {
        return list;
    }
    let summary = element("summary", &[], text(count(report.timeline.len(), "moment")));
    element("details", &[], [summary, list])
}

fn footer(report: &Report) -> Html {
    let by = text(format!("Made by Patchday {} at ", report.patchday_version));
    element("footer", &[], [by, time(report.built, instant(report.built, &report.zone)), literal(".")])
}

#[cfg(test)]
mod tests;
