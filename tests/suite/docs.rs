//! The documentation says what the code does.

mod examples;
mod made;
mod said;

use std::collections::BTreeSet;
use std::env::var_os;
use std::fs::{read_to_string, write};
use std::io::Result;
use std::path::{Path, PathBuf};

use crate::maker::Types;
use crate::tidy::files_below;
use patchday::exit_code;
use patchday::model::Step;
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

/// The variants of an enum in the source, with the names of their fields.
fn variants(source: &str, name: &str) -> Vec<(String, Vec<String>)> {
    let items = syn::parse_file(source).unwrap().items;
    let is_meant = |item| match item {
        syn::Item::Enum(item) if item.ident == name => Some(item),
        _ => None,
    };
    let fields = |variant: &syn::Variant| {
        variant.fields.iter().filter_map(|field| Some(field.ident.as_ref()?.to_string())).collect()
    };
    let item = items.into_iter().find_map(is_meant).unwrap();
    item.variants.iter().map(|variant| (variant.ident.to_string(), fields(variant))).collect()
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
fn every_event_is_documented_with_its_fields() {
    let text = document("docs/state-format.md").unwrap();
    let section = text.split_once("## events.jsonl").unwrap().1.split_once("\n## ").unwrap().0;
    let documented: Vec<(String, Vec<String>)> = rows(section)
        .iter()
        .map(|row| (row[0].replace('`', ""), row[1].split(',').map(|field| field.trim().replace('`', "")).collect()))
        .collect();
    let source = declaring("src", "pub enum EventKind {");
    let known: Vec<(String, Vec<String>)> =
        variants(&source, "EventKind").into_iter().map(|(name, fields)| (kebab(&name), fields)).collect();
    assert!(known.len() > 10, "{known:?}");
    assert_eq!(documented, known);
}

#[test]
fn every_phase_and_every_field_of_a_run_is_documented() {
    let text = document("docs/state-format.md").unwrap();
    let section = text.split_once("## run.json").unwrap().1.split_once("\n## ").unwrap().0;
    let machine = document("docs/state-machine.md").unwrap();
    for (phase, _) in variants(&declaring("src/model", "pub enum Phase {"), "Phase") {
        let phase = kebab(&phase);
        assert!(machine.contains(&phase.replace('-', " ")), "state-machine.md does not name the phase {phase}");
        assert!(section.contains(&format!("`{phase}`")) || section.contains(&format!("{{\"{phase}\"")), "{phase}");
    }
    let source = declaring("src/model", "pub struct Run {");
    let body = source.split_once("pub struct Run {").unwrap().1.split_once("\n}").unwrap().0;
    for (field, _) in body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':')) {
        assert!(section.contains(&format!("`{field}`")), "state-format.md does not name the field {field} of a run");
    }
}

/// The source below a directory that declares this.
fn declaring(directory: &str, item: &str) -> String {
    let found = files_below(directory, &["rs"]).into_iter().find(|(_, text)| text.contains(item));
    found.unwrap_or_else(|| panic!("nothing below {directory} declares {item}")).1
}

#[test]
fn every_step_and_every_change_is_documented() {
    let text = document("docs/state-format.md").unwrap();
    let section = text.split_once("## Common").unwrap().1.split_once("\n## ").unwrap().0;
    let steps = section.split_once("- A step is a text: ").unwrap().1.split("\n- ").next().unwrap();
    let documented: BTreeSet<String> = steps.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    for name in &documented {
        let example = name.replace("UNIT", "a.service").replace("POINT", "after-stop").replace("NUMBER", "1");
        assert!(example.parse::<Step>().is_ok(), "state-format.md names a step {name}");
    }
    for (variant, _) in variants(&declaring("src/model", "pub enum Step {"), "Step") {
        let name = match variant.as_str() {
            "Stop" => "stop:UNIT".to_owned(),
            "Hook" => "hook:POINT:NUMBER".to_owned(),
            "Notify" => "notify-end".to_owned(),
            plain => kebab(plain),
        };
        assert!(documented.contains(&name), "state-format.md does not name the step {name}");
    }
    let row = text.lines().find(|line| line.starts_with("| `changes` |")).unwrap();
    for (variant, _) in variants(&declaring("src/model", "pub enum Change {"), "Change") {
        assert!(
            row.contains(&format!("\"{}\"", kebab(&variant))),
            "state-format.md does not name the change {variant}"
        );
    }
}

/// What a verb prints with `--json` is a structure with a `format`, in a file that is named after the verb.
#[test]
fn every_field_of_the_json_of_a_verb_is_documented() {
    let text = document("docs/state-format.md").unwrap();
    let mut verbs = BTreeSet::new();
    let others = ["src/host/", "src/store/", "src/report/"];
    let sources = files_below("src", &["rs"]);
    for (file, source) in sources.iter().filter(|(file, _)| !others.iter().any(|other| file.starts_with(other))) {
        for item in syn::parse_file(source).unwrap().items {
            let syn::Item::Struct(item) = item else { continue };
            let is_number = |kind: &syn::Type| matches!(kind, syn::Type::Path(path) if path.path.is_ident("u32"));
            let name = |field: &syn::Field| field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
            if !item.fields.iter().any(|field| name(field) == "format" && is_number(&field.ty)) {
                continue;
            }
            // What only the text needs is not in the JSON.
            let is_skipped = |field: &&syn::Field| {
                let mut serde = field.attrs.iter().filter(|attribute| attribute.path().is_ident("serde"));
                serde.any(|attribute| attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("skip")))
            };
            let fields: Vec<String> = item.fields.iter().filter(|field| !is_skipped(field)).map(name).collect();
            let verb = ["src/ui/", "src/cli/"].iter().find_map(|faces| file.strip_prefix(faces)).unwrap_or(file);
            let verb = verb.trim_end_matches(".rs").replace('/', " ");
            let heading = format!("\n## patchday {verb} --json");
            let section = text.split_once(&heading).unwrap_or_else(|| panic!("state-format.md has no{heading}")).1;
            let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
            for field in fields {
                assert!(section.contains(&format!("`{field}`")), "{file}: {heading} does not name {field}");
            }
            verbs.insert(verb);
        }
    }
    for (at, heading) in text.match_indices("\n## patchday ") {
        let verb = text[at + heading.len()..].split(" --json").next().unwrap();
        assert!(verbs.contains(verb), "state-format.md has the JSON of {verb}, and no structure has a format there");
    }
}

#[test]
fn the_map_has_every_module() {
    let map = document("docs/architecture.md").unwrap();
    let library = document("src/lib.rs").unwrap();
    let modules: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(modules.len() > 10, "{modules:?}");
    for module in modules {
        let row = map.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{module}`")));
        let row = row.unwrap_or_else(|| panic!("architecture.md has no row for {module}"));
        for name in row.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs")) {
            let places = [format!("src/{module}/{name}"), format!("src/{name}")];
            let exists = places.iter().any(|place| Path::new(ROOT).join(place).exists());
            assert!(exists, "architecture.md names {name} of {module}, which is not there");
        }
    }
}

/// How many checks there are is said by the program and by what it printed, never by prose.
#[test]
fn no_prose_counts_checks() {
    for path in documents() {
        let text = read_to_string(&path).unwrap();
        let words: Vec<&str> = prose(&text).flat_map(str::split_whitespace).collect();
        let counted = words
            .windows(2)
            .find(|pair| pair[1].starts_with("checks") && pair[0].chars().all(|letter| letter.is_ascii_digit()));
        assert!(counted.is_none(), "{}: {counted:?}", path.display());
    }
}

/// Documents of the project, with the directory that their links start from.
fn documents() -> Vec<PathBuf> {
    let docs = files_below("docs", &["md"]).into_iter().map(|(file, _)| file);
    docs.chain(["README.md".to_owned()]).map(|file| Path::new(ROOT).join(file)).collect()
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

#[test]
fn every_link_leads_to_a_file_or_a_heading_of_the_project() {
    let mut links = 0;
    for path in documents() {
        let text = read_to_string(&path).unwrap();
        for target in prose(&text).flat_map(|line| line.split("](").skip(1)) {
            let target = target.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let linked = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(linked.is_file(), "{}: {target} leads nowhere", path.display());
            if !heading.is_empty() {
                let headings = read_to_string(&linked).unwrap();
                let mut anchors = prose(&headings).filter(|line| line.starts_with('#')).map(anchor);
                assert!(anchors.any(|anchor| anchor == heading), "{}: {target} names no heading", path.display());
            }
            links += 1;
        }
    }
    assert!(links > 100, "only {links} links were found");
}

/// Who begins at the README finds every page, and a page that no other one links to is lost.
#[test]
fn every_document_can_be_reached() {
    let root = Path::new(ROOT);
    let mut reached = BTreeSet::from([root.join("README.md").canonicalize().unwrap()]);
    let mut waiting: Vec<PathBuf> = reached.iter().cloned().collect();
    while let Some(path) = waiting.pop() {
        let text = read_to_string(&path).unwrap();
        for target in prose(&text).flat_map(|line| line.split("](").skip(1)) {
            let file = target.split([')', '#']).next().unwrap();
            let Ok(linked) = path.parent().unwrap().join(file).canonicalize() else { continue };
            if linked.extension().is_some_and(|kind| kind == "md") && reached.insert(linked.clone()) {
                waiting.push(linked);
            }
        }
    }
    for path in documents() {
        assert!(reached.contains(&path.canonicalize().unwrap()), "no page links to {}", path.display());
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
