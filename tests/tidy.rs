//! The architecture's rules, checked over the sources. Each rule is a row; `docs/architecture.md` says why it exists.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// What a layer may use of the crate, and of the outside.
struct Layer {
    /// Path below `src`.
    path: &'static str,
    /// Modules of this crate that it may name.
    may_use: &'static [&'static str],
    /// Whether it must be free of I/O, of the clock and of the runtime.
    pure: bool,
}

const LAYERS: &[Layer] = &[
    Layer { path: "model/", may_use: &["exit_code"], pure: true },
    Layer { path: "machine/", may_use: &["model", "config"], pure: true },
    Layer { path: "events.rs", may_use: &["model"], pure: true },
    Layer { path: "report/", may_use: &["model", "events", "exit_code"], pure: true },
    Layer { path: "discovery/", may_use: &["model", "config"], pure: true },
    Layer { path: "config/", may_use: &["model"], pure: false },
    // The settings are saved beside the run: a run ends under the settings it began with.
    Layer { path: "store/", may_use: &["model", "events", "config"], pure: false },
    Layer { path: "host/", may_use: &["model"], pure: false },
    Layer { path: "checks/", may_use: &["model", "events", "host", "config"], pure: false },
    // Only steps/report.rs uses `report`.
    Layer { path: "steps/", may_use: &["model", "events", "host", "config", "checks", "report"], pure: false },
    Layer {
        path: "coordinator/",
        may_use: &["model", "events", "host", "config", "machine", "store", "steps"],
        pure: false,
    },
    Layer { path: "ui/", may_use: &["model", "events", "report"], pure: false },
];

/// Words that only the named places may use.
const RESERVED: &[(&str, &[&str])] = &[
    ("zbus::", &["host/bus.rs", "host/logind.rs", "host/systemd/"]),
    ("mongodb::", &["host/mongodb/"]),
    ("tokio::process", &["host/command.rs"]),
    ("std::process::Command", &["host/systemd/exec_with_status.rs"]),
    ("indicatif::", &["ui/"]),
    ("sd_notify::", &["ui/systemd.rs", "cli/coordinate.rs"]),
    ("process::exit", &[]),
    ("println!", &[]),
    ("cfg(not(test))", &[]),
];

/// Words that a pure layer does without.
const IMPURE: &[&str] =
    &["tokio::", "std::fs", "std::env", "std::net::Tcp", "Timestamp::now", "SystemTime", "Instant::now"];

/// Lines of a source file at most, as a yardstick; a longer one is named here, with the reason.
const LONGEST: usize = 420;

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file: no comments, and nothing from its test module on.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    code.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Whether the code names the word itself: neither a longer name that ends with it, nor our own module of that name.
fn names(code: &str, word: &str) -> bool {
    let is_another = |at: usize| {
        let before = &code[..at];
        before.ends_with("host::") || before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    };
    code.match_indices(word).any(|(at, _)| !is_another(at))
}

fn problems(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut problems = Vec::new();
    if let Some(layer) = LAYERS.iter().find(|layer| path.starts_with(layer.path)) {
        let own = layer.path.trim_end_matches('/').trim_end_matches(".rs");
        for used in code.split("crate::").skip(1) {
            let module: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !module.is_empty() && module != own && !layer.may_use.contains(&module.as_str()) {
                problems.push(format!("{path} uses crate::{module}, which its layer may not"));
            }
        }
        for word in IMPURE.iter().filter(|word| layer.pure && code.contains(**word)) {
            problems.push(format!("{path} is to be pure, and uses {word}"));
        }
    }
    for (word, places) in RESERVED {
        if names(&code, word) && !places.iter().any(|place| path.starts_with(place)) {
            problems.push(format!("{path} uses {word}, which belongs to {places:?}"));
        }
    }
    if text.lines().count() > LONGEST && !path.contains("tests") {
        problems.push(format!("{path} has {} lines", text.lines().count()));
    }
    if path.ends_with("utils.rs") {
        problems.push(format!("{path} has a name that says nothing"));
    }
    problems
}

#[test]
fn the_sources_keep_the_rules() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    assert!(files.len() > 60, "only {} files were found", files.len());
    let found: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let path = file.strip_prefix("src").unwrap().to_string_lossy().into_owned();
            let is_test = path.contains("/tests") || path.ends_with("sample.rs");
            if is_test { Vec::new() } else { problems(&path, &fs::read_to_string(file).unwrap()) }
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_rule_can_fail() {
    for (path, text) in [
        ("model/run.rs", "use crate::store::RunStore;"),
        ("model/run.rs", "use std::fs;"),
        ("machine/decide.rs", "let now = jiff::Timestamp::now();"),
        ("steps/stop.rs", "use zbus::Connection;"),
        ("steps/stop.rs", "use crate::store::RunStore;"),
        ("cli/run.rs", "std::process::exit(1)"),
        ("cli/utils.rs", ""),
    ] {
        assert_eq!(problems(path, text).len(), 1, "{path}: {text}");
    }
    assert!(problems("model/run.rs", "// crate::store is a comment").is_empty());
}

#[test]
fn every_dependency_has_a_reason() {
    for manifest in ["Cargo.toml", "tests/lab/Cargo.toml"] {
        let text = fs::read_to_string(manifest).unwrap();
        let mut in_dependencies = false;
        let mut previous = "";
        for line in text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies && line.contains(" = ") && !line.starts_with('#') {
                assert!(previous.starts_with('#'), "{manifest}: no reason above {line}");
            }
            previous = line;
        }
    }
}

#[test]
fn the_top_level_holds_what_was_agreed() {
    let listed = std::process::Command::new("git").args(["ls-files"]).output();
    let Ok(listed) = listed else { return };
    let allowed = ["Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "docs", "src", "systemd", "tests"];
    for file in String::from_utf8_lossy(&listed.stdout).lines() {
        let top = file.split('/').next().unwrap_or_default();
        assert!(top.starts_with('.') || allowed.contains(&top), "{file} is not where it belongs");
    }
}
