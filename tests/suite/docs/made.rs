//! What documents take from the code word for word. To write it anew: `UPDATE_DOCS=1 cargo test --test suite docs`.

use std::collections::BTreeSet;
use std::env::var_os;
use std::fs::write;
use std::path::Path;

use crate::tidy::{files_below, import_rows};
use patchday::checks::{CATALOGUE, Topic};
use patchday::config::keys::{KEYS, header};
use patchday::model::{INTERPRETERS, OPENED_LATE, STARTS_ANYTHING, WHOLE_HOST};
use patchday::report::text::render;
use patchday::report::{Report, Style};

use super::{ROOT, document, examples};

/// A document, what a part of it is made from, and how.
struct Made {
    document: &'static str,
    from: &'static str,
    make: fn() -> String,
}

const MADE: [Made; 7] = [
    Made { document: "README.md", from: RECORDED, make: recorded },
    Made { document: "docs/checks.md", from: "src/checks", make: catalogue },
    Made { document: "docs/operations.md", from: "src/cli", make: verbs },
    Made { document: "docs/notifications.md", from: "src/notify", make: metrics },
    Made { document: "docs/architecture.md", from: "src/host", make: ports },
    Made { document: "docs/architecture.md", from: "tests/suite/tidy.rs", make: imports },
    Made { document: "docs/packages.md", from: "src/model/related_list.rs", make: related },
];

const RECORDED: &str = "tests/fixtures/demo/report.json";
const HINT: &str = "write it with: UPDATE_DOCS=1 cargo test --test suite docs";

fn is_update() -> bool {
    var_os("UPDATE_DOCS").is_some_and(|update| update == "1")
}

#[test]
fn what_is_made_from_the_code_is_up_to_date() {
    for made in &MADE {
        let text = document(made.document).unwrap();
        let begin = format!("<!-- from here on generated from {} -->\n", made.from);
        let missing = || panic!("{} has no place for what is made from {}", made.document, made.from);
        let (before, rest) = text.split_once(&begin).unwrap_or_else(missing);
        let (written, after) = rest.split_once("<!-- until here -->\n").unwrap_or_else(missing);
        let known = format!("\n{}\n\n", (made.make)().trim());
        if is_update() {
            let text = format!("{before}{begin}{known}<!-- until here -->\n{after}");
            write(Path::new(ROOT).join(made.document), text).unwrap();
            continue;
        }
        assert!(written == known, "{} is behind {}; {HINT}", made.document, made.from);
    }
}

/// What a machine must measure is written by `tests/lab/figures`, which names the commit.
#[test]
fn figures_name_the_commit_that_they_were_measured_on() {
    let text = document("docs/measured.md").unwrap();
    for part in ["cost", "downtime", "waits", "slow-disk", "waves"] {
        let begin = format!("<!-- from here on made by tests/lab/figures: {part} -->\n");
        let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no part for {part}"));
        let (made, _) = rest.split_once("<!-- until here -->\n").unwrap();
        if made == "\nNot measured yet.\n\n" {
            continue;
        }
        let commit = made.strip_prefix("\nAt ").and_then(|made| made.split(',').next()).unwrap();
        assert!(commit.len() == 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{part}: {commit}");
        assert!(made.contains("\n|---|"), "{part} has no table");
    }
}

/// The entry of each key stands below its table; what else the page says there stays as it is.
#[test]
fn the_configuration_is_that_of_the_keys() {
    let page = document("docs/configuration.md").unwrap();
    let mut made = String::new();
    for section in page.split_inclusive("\n## ") {
        let title = section.lines().next().unwrap_or_default();
        let keys = KEYS.iter().filter(|key| title == format!("`{}`", header(key.table)));
        let mut section = section.to_owned();
        for key in keys {
            let begin = section.find(&format!("### `{}`\n", key.name)).unwrap_or_else(|| panic!("no {}", key.path()));
            let takes = begin + section[begin..].find("\nTakes ").unwrap() + 1;
            let end = takes + section[takes..].find('\n').unwrap() + 1;
            section.replace_range(begin..end, &key.entry());
        }
        made.push_str(&section);
    }
    if is_update() {
        write(Path::new(ROOT).join("docs/configuration.md"), made).unwrap();
    } else {
        assert!(made == page, "docs/configuration.md is behind src/config; {HINT}");
    }
}

/// The catalogue of checks.
fn catalogue() -> String {
    let mut text = String::new();
    for topic in Topic::ALL {
        let checks: Vec<_> = CATALOGUE.iter().filter(|check| check.topic == topic).collect();
        if checks.is_empty() {
            continue;
        }
        text.push_str(&format!("\n## {}\n", topic.title()));
        for check in checks {
            let severity = serde_json::to_value(check.severity).unwrap();
            let again = if check.asked_again { ", asked again right before the first stop" } else { "" };
            let what = format!("{}{again}; passes when {}.", severity.as_str().unwrap(), check.about);
            text.push_str(&format!("\n### `{}`\n\n{}\n{}\n", check.label, wrapped(&what), wrapped(check.doc)));
        }
    }
    text
}

/// Every verb that help shows, in its order.
fn verbs() -> String {
    let command = patchday::cli::command();
    let mut text = "| command | what it does |\n|---|---|\n".to_owned();
    add_verbs(&command, "patchday", &mut text);
    text
}

/// A row for each verb, or for each of those below it.
fn add_verbs(command: &clap::Command, call: &str, text: &mut String) {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let (call, about) = (format!("{call} {}", verb.get_name()), verb.get_about().unwrap().to_string());
        assert!(!about.contains('|'), "{about}");
        match verb.has_subcommands() {
            true => add_verbs(verb, &call, text),
            false => text.push_str(&format!("| `{call}` | {about} |\n")),
        }
    }
}

/// What a collector reads after a run.
fn metrics() -> String {
    let rows = examples::metrics().into_iter().map(|(name, meaning)| format!("| `{name}` | {meaning} |\n"));
    format!("| metric | what |\n|---|---|\n{}", rows.collect::<String>())
}

/// The report of a run that was recorded, as this version shows it, without its lists of steps, packages and checks.
/// `tests/lab/demo --keep-state DIRECTORY` records another one.
fn recorded() -> String {
    let mut report: Report = serde_json::from_str(&document(RECORDED).unwrap()).unwrap();
    report.steps.clear();
    report.packages.changes.clear();
    report.checks.clear();
    report.vulnerabilities.clear();
    let style = Style { color: false, unicode: true, width: 100 };
    format!("```text\n{}\n```", render(&report, &style).trim_end())
}

/// The ports: traits below `host` that the rest of the program gets as a value.
fn ports() -> String {
    let sources = files_below("src/host", &["rs"]);
    let named = |before: &'static str| -> BTreeSet<String> {
        let starts = sources.iter().flat_map(|(_, text)| text.split(before).skip(1));
        starts.map(|rest| rest.chars().take_while(|letter| letter.is_alphanumeric()).collect()).collect()
    };
    let (traits, values) = (named("pub trait "), named("Arc<dyn "));
    let ports: Vec<String> = traits.intersection(&values).map(|name| format!("`{name}`")).collect();
    assert!(ports.len() >= 10, "{ports:?}");
    wrapped(&format!("The ports are {}.", ports.join(", ")))
}

/// Who may import what.
fn imports() -> String {
    let mut text = "| module | may import | why |\n|---|---|---|\n".to_owned();
    for (module, may, because) in import_rows() {
        let may: Vec<String> = may
            .iter()
            .map(|name| match (name.strip_suffix('!'), *name) {
                (Some(module), _) => format!("`{module}` (what `mod.rs` declares)"),
                (None, "*") => "everything".to_owned(),
                (None, name) => format!("`{name}`"),
            })
            .collect();
        text.push_str(&format!("| `{module}` | {} | {because} |\n", may.join(", ")));
    }
    text
}

/// Packages that are related to every service by their names.
fn related() -> String {
    let list = |names: &[&str]| wrapped(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "));
    let lists = [
        ("Opened late, or loaded by name:", OPENED_LATE.as_slice()),
        ("What serves the whole host:", WHOLE_HOST.as_slice()),
        ("Programs that start whatever they are told:", STARTS_ANYTHING.as_slice()),
    ];
    let mut text: String = lists.iter().map(|(title, names)| format!("{title}\n{}\n\n", list(names))).collect();
    text.push_str("| interpreter | seen by files called | its packages | its modules |\n|---|---|---|---|\n");
    for one in &INTERPRETERS {
        let cell = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
        let (files, packages, modules) = (cell(one.files), cell(one.packages), cell(one.modules));
        text.push_str(&format!("| {} | {files} | {packages} | {modules} |\n", one.name));
    }
    text
}

/// Lines of 120 columns at most.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        if lines.last().is_some_and(|line| line.len() + word.len() >= 120) {
            lines.push(String::new());
        }
        let line = lines.last_mut().unwrap();
        let space = if line.is_empty() { "" } else { " " };
        line.push_str(&format!("{space}{word}"));
    }
    lines.join("\n")
}
