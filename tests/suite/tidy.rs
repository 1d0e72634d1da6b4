//! The house rules, as tables: who may import whom, who may touch what, and what the tree looks like.
//!
//! A rule that turns out wrong is changed here, with its reason; it is not worked around.

#[path = "tidy_checker.rs"]
mod checker;

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::{Source, Tree, is_within};

/// A module, what it may import besides itself, and why; `*` stands for everything.
struct Layer {
    module: &'static str,
    may: &'static [&'static str],
    because: &'static str,
}

const fn layer(module: &'static str, may: &'static [&'static str], because: &'static str) -> Layer {
    Layer { module, may, because }
}

/// The longest name that fits a module is its layer. A module without a layer is an error: somebody has to think.
const LAYERS: [Layer; 27] = [
    layer("", &["*"], "lib.rs only names the modules"),
    layer("main", &["*"], "hands over to cli"),
    layer("exit_code", &[], "constants"),
    layer("atomic_file", &[], "knows nobody: the store and the adapters write in the same way"),
    layer("model", &["exit_code"], "pure data; a run knows what it is worth to a script"),
    layer("machine", &["model", "estimate", "config::settings::Policy"], "pure: every observation is an argument"),
    layer("estimate", &["model"], "pure: earlier runs and packages in, durations out"),
    layer("window", &["model"], "pure arithmetic on expressions, windows, blackouts and a hold"),
    layer("events", &["model"], "what happened, for the views"),
    layer("config", &["model", "window"], "settings are made of the model's words, and of windows"),
    layer(
        "store",
        &["model", "events", "config::settings", "atomic_file"],
        "keeps the run, its events and its settings, acts on none",
    ),
    layer("host", &["model", "host::ports"], "the ports speak our words, and know no adapter"),
    layer(
        "host::*",
        &[
            "host::ports",
            "model",
            "atomic_file",
            "host::boot_clock",
            "host::boot_menu",
            "host::clock_state",
            "host::tls_words",
            "host::bus",
            "host::command",
            "host::exec_line",
            "host::foreign",
            "host::mounts",
            "host::secret",
            "host::sockets",
            "host::trusted",
            "host::way",
        ],
        "an adapter knows its port and the shared readers, and no other adapter",
    ),
    layer("host::ports", &["host::clock"], "the set of ports has the clock of the run"),
    layer("discovery", &["model", "config"], "what was found in, the text of a configuration out"),
    layer("doctor", &["model"], "pure: from symptoms to findings"),
    layer(
        "checks",
        &["host::ports", "model", "estimate", "config::settings"],
        "look at the host through ports, under the settings",
    ),
    layer(
        "verify",
        &["host::ports", "model", "events", "config::settings", "doctor", "checks::database_process"],
        "looks and judges; only steps act. Which process is a server is asked before and after",
    ),
    layer(
        "steps",
        &["host::ports", "model", "events", "config::settings", "checks", "verify"],
        "act through ports, emit events; preflight runs the checks",
    ),
    layer("steps::report", &["report"], "the one step that writes the report"),
    layer("steps::notify", &["report", "notify"], "the one step that sends messages"),
    layer(
        "coordinator",
        &["machine", "store", "steps", "host::ports", "host::clock", "model", "events", "config::settings"],
        "the loop: it observes, decides, records, performs and emits events",
    ),
    layer("report", &["model", "events", "exit_code"], "built from the run and its events, and from nothing else"),
    layer("ui", &["events", "report", "model", "window"], "shows events and data, and asks no one"),
    layer("error", &["config", "exit_code", "host::ports", "store"], "maps every kind of failure to its exit code"),
    layer("notify", &["events", "report", "model"], "makes messages of the report"),
    layer("cli", &["*"], "the only place where everything meets"),
];

/// What only some modules may use: a path, or a macro; modules; and why.
struct Guard {
    what: &'static str,
    only: &'static [&'static str],
    because: &'static str,
}

const fn guard(what: &'static str, only: &'static [&'static str], because: &'static str) -> Guard {
    Guard { what, only, because }
}

const NOBODY: &[&str] = &[];
/// Any single one that forbids is enough. A path of one name is a crate; a longer one is found anywhere in a path.
const GUARDS: [Guard; 47] = [
    guard("zbus", &["host::bus", "host::systemd", "host::logind", "host::people"], "D-Bus stays in its adapters"),
    guard("mongodb", &["host::mongodb"], "the driver stays in its adapter"),
    guard(
        "reqwest",
        &["host::probe", "host::messenger", "config::values", "cli::init"],
        "only the probe and the messenger speak HTTP, and `init` to find what to probe; a URL is checked where it enters",
    ),
    guard("lettre", &["host::messenger"], "mail is sent by its adapter"),
    guard("rustls", &["host::probe", "host::messenger"], "for their HTTP"),
    guard("sysinfo", &["host::system"], "memory and load are observations"),
    guard("tokio", &["host", "cli", "checks"], "pure code is not async; the checks have a timeout"),
    guard("futures_util", &["host", "checks", "steps", "verify"], "streams of signals; checks and probes side by side"),
    guard("async_trait", &["host"], "ports only"),
    guard("tokio::process", &["host::command"], "only adapters spawn, and through one door"),
    guard("tokio::fs", &["host"], "files are the host's"),
    guard("tokio::spawn", &["host", "cli"], "a step ends when it returns: nothing runs on behind it"),
    guard(
        "process::Command",
        &[
            "host::command",
            "host::systemd::exec_with_status",
            "host::kernel::source",
            "host::kernel::modules",
            "ui::pager",
        ],
        "only adapters spawn, and through one door; a work unit becomes its program, or is a build of many; a pager has the \
         keyboard, which that door takes away",
    ),
    guard(
        "std::process",
        &["host", "atomic_file", "cli", "main", "steps::reboot", "ui::pager"],
        "exit codes, and which lock or file is our own",
    ),
    guard("process::exit", NOBODY, "main returns an exit code; guards undo what they did on every way out"),
    guard("process::abort", NOBODY, "main returns an exit code; guards undo what they did on every way out"),
    guard("unix::process", &["host::systemd::exec_with_status"], "becomes the work's own program"),
    guard(
        "std::fs",
        &["host", "store", "atomic_file", "config::load", "cli::init", "cli::man", "cli::report", "cli::person"],
        "state is written by the store, files of the host are read by adapters; verbs write what they are asked for, and \
         ask the kernel who types",
    ),
    guard(
        "std::net",
        &["host", "config::values", "discovery", "cli::init"],
        "addresses are checked where they enter; only adapters connect",
    ),
    guard("std::env", &["cli"], "the environment is looked at once"),
    guard(
        "std::thread",
        &["host::system", "host::running_code", "cli"],
        "one runtime, made by cli; a look that may hang for good has a thread that nobody waits for",
    ),
    guard("std::os", &["host", "store", "atomic_file", "config::load", "cli::init"], "owners, modes and descriptors"),
    guard(
        "std::io",
        &["host", "store", "atomic_file", "config::load", "ui", "cli", "error", "coordinator"],
        "pure code neither reads nor writes",
    ),
    guard("rustix", &["host", "store", "config::load", "cli"], "system calls"),
    guard("SystemTime", &["host::clock"], "the clock is a port"),
    guard("time::SystemTime", &["host::clock"], "the clock is a port"),
    guard("SystemTime::now", &["host::clock"], "the clock is a port"),
    guard("time::Instant", &["host"], "durations are measured where they are waited for"),
    guard("Instant::now", &["host"], "durations are measured where they are waited for"),
    guard("Timestamp::now", &["host::clock", "cli"], "now is an argument"),
    guard("Zoned::now", &["host::clock", "cli"], "now is an argument"),
    guard("indicatif", &["ui"], "bars are one view among others"),
    guard("regex_automata", &["host::kernel::exclusive"], "patterns of a dkms.conf, which bash reads as such"),
    guard(
        "console",
        &["ui", "report::style", "cli::app", "cli::page"],
        "width and colour; the terminal itself is looked at by cli",
    ),
    guard("sd_notify", &["ui::systemd", "cli::coordinate"], "READY= and STATUS="),
    guard("clap", &["cli"], "the command line"),
    guard("clap_complete", &["cli"], "the command line"),
    guard("clap_mangen", &["cli"], "the command line"),
    guard("toml", &["config"], "the configuration file"),
    guard("strsim", &["model::names"], "what a misspelt name was meant to be"),
    guard("tracing", &["host", "store", "coordinator", "cli"], "the log is for people; pure code has nothing to log"),
    guard("tracing_subscriber", &["cli"], "where log lines go is decided once"),
    guard("println!", NOBODY, "a closed pipe makes it panic; ui writes to the stream that it is given"),
    guard("print!", NOBODY, "a closed pipe makes it panic; ui writes to the stream that it is given"),
    guard("eprintln!", NOBODY, "a closed pipe makes it panic; ui writes to the stream that it is given"),
    guard("eprint!", NOBODY, "a closed pipe makes it panic; ui writes to the stream that it is given"),
    guard("dbg!", NOBODY, "left over"),
];

/// Crates that every module may use: they neither look at the host nor touch it.
const PLAIN_CRATES: [&str; 4] = ["jiff", "serde", "serde_json", "thiserror"];

/// Test modules with another name than `tests`.
const TEST_MODULES: [(&str, &str, &str); 3] = [
    ("src/report/mod.rs", "sample", "one story, told to the tests of the report and of the views"),
    ("src/host/mod.rs", "tree", "a host's files below a directory, for the tests of all that read them"),
    ("src/host/mod.rs", "hostile", "spoiled text, for the tests of all that read what others wrote"),
];

const MAX_LINES: usize = 400;
/// Longer files, and why.
const LONG_FILES: [(&str, &str); 7] = [
    ("tests/suite/cli.rs", "one command line after the other"),
    ("tests/suite/bus.rs", "one scenario after the other on one mock"),
    ("tests/common/fake_host.rs", "one world behind all ports; cut apart, nobody sees how they hang together"),
    ("tests/common/mock_bus/systemd1.rs", "one object of the bus, with all its methods"),
    ("src/config/values.rs", "one kind of value after the other"),
    ("tests/suite/tidy.rs", "every rule, side by side"),
    ("tests/suite/store.rs", "one promise of the store after the other"),
];

const TOP_LEVEL: [&str; 8] = ["Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "docs", "src", "systemd", "tests"];

/// Each layer that has a name: the module, what it may import, and why; for the documentation.
pub(super) fn import_rows() -> impl Iterator<Item = (&'static str, &'static [&'static str], &'static str)> {
    LAYERS.iter().filter(|layer| !layer.module.is_empty()).map(|layer| (layer.module, layer.may, layer.because))
}

fn layer_of(module: &str) -> Vec<&'static Layer> {
    let fits = |layer: &&Layer| match layer.module.strip_suffix("::*") {
        Some(outer) => module.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::")),
        None => !layer.module.is_empty() && is_within(module, layer.module),
    };
    let mut layers: Vec<&Layer> = LAYERS.iter().filter(fits).collect();
    if module.is_empty() {
        layers.extend(LAYERS.iter().filter(|layer| layer.module.is_empty()));
    }
    // Among adapters only their own layer counts; a step's own layer adds to that of all steps.
    if module.starts_with("host::") {
        layers.retain(|layer| layer.module != "host");
    }
    layers
}

/// The part of the tree within which modules are free to import each other.
fn family(module: &str) -> String {
    let depth = if module.starts_with("host::") { 2 } else { 1 };
    module.split("::").take(depth).collect::<Vec<_>>().join("::")
}

fn is_allowed(allowed: &str, path: &str) -> bool {
    allowed == "*" || is_within(path, allowed)
}

/// Every import that its layer does not have.
fn bad_imports(tree: &Tree) -> Vec<String> {
    let mut bad = Vec::new();
    for source in &tree.sources {
        let layers = layer_of(&source.module);
        if layers.is_empty() {
            bad.push(format!("{}: no layer is known for the module {}", source.file, source.module));
            continue;
        }
        for (module, path) in tree.imports(source) {
            let is_own = module == source.module || family(&path) == family(&source.module);
            let may = layers.iter().flat_map(|layer| layer.may).any(|allowed| is_allowed(allowed, &path));
            if !is_own && !may {
                let why: Vec<&str> = layers.iter().map(|layer| layer.because).collect();
                bad.push(format!("{}: imports {path}: {}", source.file, why.join("; ")));
            }
        }
    }
    bad
}

fn names(source: &Source) -> Vec<String> {
    let macros = source.tokens.windows(2).filter(|pair| pair[1] == "!").map(|pair| format!("{}!", pair[0]));
    source.paths().into_iter().chain(macros).collect()
}

fn is_guarded(what: &str, path: &str) -> bool {
    match what.split_once("::") {
        None => path == what || path.starts_with(&format!("{what}::")),
        Some(_) => format!("::{path}::").contains(&format!("::{what}::")),
    }
}

/// Every use of something that is not this module's to use.
fn bad_uses(tree: &Tree) -> Vec<String> {
    let mut bad = Vec::new();
    for source in &tree.sources {
        for path in names(source).iter().filter(|path| !is_of_the_crate(path)) {
            let guards = GUARDS.iter().filter(|guard| is_guarded(guard.what, path));
            for guard in guards.filter(|guard| !guard.only.iter().any(|only| is_within(&source.module, only))) {
                bad.push(format!("{}: uses {path}: {}", source.file, guard.because));
            }
        }
        if source.tokens.windows(2).any(|pair| pair[0] == "exit" && pair[1] == "(") {
            bad.push(format!("{}: calls exit(): main returns an exit code", source.file));
        }
    }
    bad
}

fn is_of_the_crate(path: &str) -> bool {
    ["crate", "super", "self", "Self"].iter().any(|start| is_within(path, start))
}

/// Every place where tests and the real thing would be compiled differently.
fn bad_seams<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut bad = Vec::new();
    for (file, text) in files {
        for name in Source::new(file, text).test_seams {
            let is_known = TEST_MODULES.iter().any(|(known, module, _)| *known == file && *module == name);
            if name != "tests" && !is_known {
                bad.push(format!("{file}: compiled differently for tests: {name}"));
            }
        }
    }
    bad
}

/// Every dependency whose line above does not say what it is for.
fn unexplained_dependencies(manifest: &str) -> Vec<String> {
    let mut bad = Vec::new();
    let mut is_list = false;
    let mut before = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_list = line.trim_end_matches(']').ends_with("dependencies");
        } else if is_list && line.contains(" = ") && !line.starts_with(['#', ' ', '}', ']']) {
            let is_explained = before.strip_prefix("# ").is_some_and(|reason| reason.split_whitespace().count() >= 2);
            if !is_explained {
                bad.push(line.split(' ').next().unwrap_or_default().to_owned());
            }
        }
        before = line;
    }
    bad
}

/// Dependencies that neither a guard nor the list of plain crates knows.
fn unplaced_dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[").find(|section| section.starts_with("dependencies]")).unwrap_or_default();
    let lines = section.lines().filter(|line| line.contains(" = ") && !line.starts_with('#'));
    let names = lines.filter_map(|line| line.split(' ').next()).map(|name| name.replace('-', "_"));
    names
        .filter(|name| !PLAIN_CRATES.contains(&name.as_str()) && !GUARDS.iter().any(|guard| guard.what == *name))
        .collect()
}

fn bad_file(file: &str, text: &str) -> Option<String> {
    let stem = file.rsplit('/').next().and_then(|name| name.strip_suffix(".rs"))?;
    if ["utils", "util", "helpers", "misc", "common"].contains(&stem) {
        return Some(format!("{file}: a name that says nothing"));
    }
    let lines = text.lines().count();
    let is_known = LONG_FILES.iter().any(|(known, _)| *known == file);
    (lines > MAX_LINES && !is_known).then(|| format!("{file}: {lines} lines, {MAX_LINES} are enough"))
}

/// Places of the machine on which something was built or written, which are nobody else's.
fn bad_paths(file: &str, text: &str) -> Vec<String> {
    let places = [env!("CARGO_MANIFEST_DIR"), "/home/", "/Users/", "/builds/", "target/debug"];
    let found = places.iter().filter(|place| text.contains(**place));
    found.map(|place| format!("{file}: names {place}, a place of one machine")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a directory of the project, by their path from its root.
pub(super) fn files_below(directory: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let mut waiting: Vec<PathBuf> = vec![root().join(directory)];
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known)) {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    files.sort();
    files
}

fn tree_of(files: &[(String, String)]) -> Tree {
    Tree::new(files.iter().map(|(file, text)| (file.as_str(), text.as_str())))
}

pub(super) fn assert_none(bad: &[String]) {
    assert!(bad.is_empty(), "\n{}\n", bad.join("\n"));
}

#[test]
fn modules_import_what_their_layer_has() {
    let files = files_below("src", &["rs"]);
    assert!(files.len() > 50, "only {} files were found", files.len());
    assert_none(&bad_imports(&tree_of(&files)));
}

#[test]
fn modules_use_what_is_theirs() {
    assert_none(&bad_uses(&tree_of(&files_below("src", &["rs"]))));
}

#[test]
fn tests_are_compiled_as_modules_of_tests_only() {
    let files = files_below("src", &["rs"]);
    assert_none(&bad_seams(files.iter().map(|(file, text)| (file.as_str(), text.as_str()))));
}

#[test]
fn every_dependency_says_what_it_is_for() {
    for manifest in ["Cargo.toml", "tests/lab/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        assert!(text.contains("[dependencies]"));
        assert_none(&unexplained_dependencies(&text));
    }
    assert_none(&unplaced_dependencies(&fs::read_to_string(root().join("Cargo.toml")).unwrap()));
}

#[test]
fn files_are_short_and_well_named() {
    let files = [files_below("src", &["rs"]), files_below("tests", &["rs"])].concat();
    let bad: Vec<String> = files.iter().filter_map(|(file, text)| bad_file(file, text)).collect();
    assert_none(&bad);
    for (known, _) in LONG_FILES {
        let long = files.iter().find(|(file, _)| file == known);
        assert!(long.is_some_and(|(_, text)| text.lines().count() > MAX_LINES), "{known} is no exception any more");
    }
}

#[test]
fn no_document_names_the_machine_it_was_written_on() {
    let mut files = [
        files_below("docs", &["md", "1", "5", "8", "toml", "txt"]),
        files_below("src", &["rs"]),
        files_below("systemd", &["service", "timer", "slice", "conf"]),
    ]
    .concat();
    files.extend(fs::read_to_string(root().join("README.md")).ok().map(|text| ("README.md".to_owned(), text)));
    assert_none(&files.iter().flat_map(|(file, text)| bad_paths(file, text)).collect::<Vec<_>>());
}

/// What starts a run on a machine, and what holds its report against the published schema.
const STARTS_A_RUN: [&str; 4] = ["\"run\", \"--yes\"", ".run()", "perform(", "patchday.timer"];
const READS_A_REPORT: [&str; 3] = ["assert_in_service(", "[\"report\", \"--json\"]", "assert_text_is_report("];

#[test]
fn every_machine_test_holds_its_reports_against_the_schema() {
    let files = files_below("tests", &["rs"]);
    let tests = files.iter().filter(|(file, _)| file.starts_with("tests/machine"));
    let runs: Vec<_> = tests.filter(|(_, text)| STARTS_A_RUN.iter().any(|starts| text.contains(starts))).collect();
    assert!(runs.len() >= 7, "{}", runs.len());
    let bad = runs.iter().filter(|(_, text)| !READS_A_REPORT.iter().any(|reads| text.contains(reads)));
    assert_none(&bad.map(|(file, _)| format!("{file} starts a run and looks at no report")).collect::<Vec<_>>());
}

#[test]
fn the_top_level_is_fixed() {
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_known = TOP_LEVEL.contains(&name.as_str()) || name.starts_with('.') || name == "target";
        assert!(is_known, "{name} is not part of the top level");
    }
}
