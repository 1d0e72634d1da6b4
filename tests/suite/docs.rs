//! The documentation says what the code does.

use std::env::var_os;
use std::fs::{read_dir, read_to_string, write};
use std::io::Result;
use std::path::{Path, PathBuf};

use crate::maker::Types;
use patchday::checks::{CATALOGUE, Topic};
use patchday::exit_code;
use serde_json::{Value, json};

fn document(name: &str) -> Result<String> {
    read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
}

/// Cells of the rows of a document's only table, without its head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .skip(2)
        .map(|line| line.split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn the_exit_codes_are_those_of_the_code() {
    let text = document("docs/exit-codes.md").unwrap();
    let documented: Vec<(String, String)> =
        rows(&text).iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
    let known: Vec<(String, String)> =
        exit_code::ALL.iter().map(|(code, meaning)| (code.to_string(), (*meaning).to_owned())).collect();
    assert_eq!(documented, known);
    assert!(rows(&text).iter().all(|row| row.len() == 3 && !row[2].is_empty()), "each code says what to do");
}

/// Between these stands what is generated.
const GENERATED: [&str; 2] = ["<!-- from here on generated from src/checks -->\n", "<!-- until here -->\n"];

/// The catalogue as documentation.
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
            let what = format!("{}{again}; content when {}.", severity.as_str().unwrap(), check.about);
            text.push_str(&format!("\n### `{}`\n\n{}\n{}\n", check.label, wrapped(&what), wrapped(check.doc)));
        }
    }
    text.push('\n');
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

/// To write the catalogue anew: `UPDATE_DOCS=1 cargo test --test suite docs`.
#[test]
fn the_checks_are_those_of_the_catalogue() {
    let text = document("docs/checks.md").unwrap();
    let [begin, end] = GENERATED;
    let (before, rest) = text.split_once(begin).unwrap();
    let (documented, after) = rest.split_once(end).unwrap();
    let known = catalogue();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|update| update == "1") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks.md");
        std::fs::write(path, format!("{before}{begin}{known}{end}{after}")).unwrap();
        return;
    }
    assert!(
        documented == known,
        "docs/checks.md is out of date; write it with: UPDATE_DOCS=1 cargo test --test suite docs"
    );
}

#[test]
fn every_verb_is_told() {
    let text = document("README.md").unwrap() + &document("docs/operations.md").unwrap();
    let command = patchday::cli::command();
    let verbs: Vec<&str> =
        command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(clap::Command::get_name).collect();
    assert!(verbs.len() >= 9, "{verbs:?}");
    for verb in verbs {
        assert!(text.contains(&format!("patchday {verb}")), "neither README.md nor docs/operations.md tells of {verb}");
    }
}

/// The variants of an enum in the source, with the fields that are written out below each.
fn variants(source: &str, name: &str) -> Vec<(String, Vec<String>)> {
    let body = source.split_once(&format!("pub enum {name} {{")).unwrap().1;
    let body = body.split_once("\n}").unwrap().0;
    let mut variants: Vec<(String, Vec<String>)> = Vec::new();
    for line in body.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let depth = line.len() - line.trim_start().len();
        let word: String = line.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match (depth, word.is_empty()) {
            (4, false) => variants.push((word, Vec::new())),
            (8, false) => variants.last_mut().unwrap().1.push(word),
            _ => {}
        }
    }
    variants
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[test]
fn every_event_is_told_with_its_fields() {
    let text = document("docs/state-format.md").unwrap();
    let section = text.split_once("## events.jsonl").unwrap().1.split_once("\n## ").unwrap().0;
    let documented: Vec<(String, Vec<String>)> = rows(section)
        .iter()
        .map(|row| (row[0].replace('`', ""), row[1].split(',').map(|field| field.trim().replace('`', "")).collect()))
        .collect();
    let source = document("src/events.rs").unwrap();
    let known: Vec<(String, Vec<String>)> =
        variants(&source, "EventKind").into_iter().map(|(name, fields)| (kebab(&name), fields)).collect();
    assert!(known.len() > 10, "{known:?}");
    assert_eq!(documented, known);
}

#[test]
fn every_phase_and_every_field_of_a_run_is_told() {
    let text = document("docs/state-format.md").unwrap();
    let section = text.split_once("## run.json").unwrap().1.split_once("\n## ").unwrap().0;
    for (phase, _) in variants(&document("src/model/phase.rs").unwrap(), "Phase") {
        let phase = kebab(&phase);
        assert!(section.contains(&format!("`{phase}`")) || section.contains(&format!("{{\"{phase}\"")), "{phase}");
    }
    for (source, structure, section) in [
        ("src/model/run.rs", "pub struct Run {", section),
        ("src/report/shape.rs", "pub struct Report {", text.split_once("## report.json").unwrap().1),
    ] {
        let source = document(source).unwrap();
        let body = source.split_once(structure).unwrap().1.split_once("\n}").unwrap().0;
        let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
        for (field, _) in fields {
            assert!(section.contains(&format!("`{field}`")), "{structure} {field}");
        }
    }
}

/// Documents of the project, with the directory that their links start from.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    documents.push(root.join("README.md"));
    documents
}

#[test]
fn every_link_leads_to_a_file_of_the_project() {
    for path in documents() {
        let text = read_to_string(&path).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let linked = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(linked.is_file(), "{}: {target} leads nowhere", path.display());
            if !heading.is_empty() {
                let headings = read_to_string(&linked).unwrap();
                let mut anchors = headings.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(anchors.any(|anchor| anchor == heading), "{}: {target} names no heading", path.display());
            }
        }
    }
}

/// A heading's anchor, as renderers of Markdown make it.
fn anchor(line: &str) -> String {
    let text = line.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_source_file_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in documents() {
        let text = read_to_string(&path).unwrap();
        for word in text.split('`').skip(1).step_by(2).filter(|word| !word.contains([' ', '{', '*', '\n'])) {
            let is_source = word.starts_with("src/") || word.starts_with("tests/") || word.starts_with("systemd/");
            assert!(!is_source || root.join(word).exists(), "{}: {word}", path.display());
        }
    }
}

const SCHEMA: &str = "docs/report.schema.json";
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Made from the types, comments included. Where they have changed, `UPDATE_SCHEMA=1 cargo test --test suite docs` writes it
/// anew.
#[test]
fn the_schema_is_that_of_the_types() {
    let types = Types::read(Path::new(ROOT), &["src/report/shape.rs", "src/report/summary.rs", "src/model"]);
    let made = types.schema(
        "Report",
        &[("$schema", "https://json-schema.org/draft/2020-12/schema"), ("title", "Report of a run of Patchday")],
    );
    let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
    if var_os("UPDATE_SCHEMA").is_some() {
        write(Path::new(ROOT).join(SCHEMA), &text).unwrap();
    }
    let published = read_to_string(Path::new(ROOT).join(SCHEMA)).unwrap();
    assert!(
        published == text,
        "{SCHEMA} is not that of the types; write it: UPDATE_SCHEMA=1 cargo test --test suite docs"
    );
    assert!(jsonschema::meta::is_valid(&made));
}

#[test]
fn the_schema_tells_a_report_from_what_is_none() {
    let schema: Value = serde_json::from_str(&read_to_string(Path::new(ROOT).join(SCHEMA)).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let snapshot =
        read_to_string(Path::new(ROOT).join("tests/snapshots/patchday__report__tests__json_healthy.snap")).unwrap();
    let report: Value = serde_json::from_str(snapshot.splitn(3, "---\n").nth(2).unwrap()).unwrap();
    assert!(validator.is_valid(&report));
    let damages: [(&str, Value); 6] = [
        ("/verdict", json!("splendid")),
        ("/began", json!(12)),
        ("/steps/0/attempts", json!(-1)),
        ("/services/0/unit", json!(null)),
        ("/packages/changes", json!({})),
        ("/kernel", json!({ "before": null, "expected": null, "after": null, "beside": 1 })),
    ];
    for (place, value) in damages {
        let mut damaged = report.clone();
        *damaged.pointer_mut(place).unwrap() = value;
        assert!(!validator.is_valid(&damaged), "{place}");
    }
    for field in report.as_object().unwrap().keys() {
        let mut poorer = report.clone();
        poorer.as_object_mut().unwrap().remove(field);
        assert!(!validator.is_valid(&poorer), "{field} may be missing");
    }
}
