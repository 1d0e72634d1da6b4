//! The checker of the house rules, checked: each rule finds what it is for, and lets pass what it must.

use super::{
    GUARDS, LAYERS, Tree, bad_file, bad_imports, bad_paths, bad_seams, bad_uses, unexplained_dependencies,
    unplaced_dependencies,
};

/// A small tree in which every module is where it is in the real one.
const HOUSE: [(&str, &str); 12] = [
    ("src/lib.rs", "pub mod model;"),
    ("src/model/mod.rs", ""),
    ("src/store/mod.rs", "mod format;\npub use format::encode;"),
    ("src/store/format.rs", ""),
    (
        "src/config/mod.rs",
        "pub mod load;\npub mod settings;\npub use load::load;\npub use settings::{Policy, Settings};",
    ),
    ("src/config/load.rs", ""),
    ("src/config/settings.rs", ""),
    ("src/host/mod.rs", "pub mod apt;\npub mod bus;\nmod ports;\npub use ports::{Host, HostError, Power};"),
    ("src/host/ports.rs", "pub struct Host;\npub struct HostError;\npub trait Power {}"),
    ("src/host/bus.rs", ""),
    ("src/host/apt.rs", ""),
    ("src/host/logind.rs", ""),
];

fn with(file: &'static str, text: &'static str) -> Tree {
    let others = HOUSE.into_iter().filter(|(other, _)| *other != file);
    Tree::new(others.chain([(file, text)]))
}

fn imports(file: &'static str, text: &'static str) -> Vec<String> {
    bad_imports(&with(file, text))
}

fn uses(file: &'static str, text: &'static str) -> Vec<String> {
    bad_uses(&with(file, text))
}

#[test]
fn a_wrong_import_is_found_however_it_is_written() {
    for (file, text) in [
        ("src/model/run.rs", "use crate::store::RunStore;"),
        ("src/model/run.rs", "pub(crate) use crate::{exit_code, store::{self, encode}};"),
        ("src/model/run.rs", "fn f() { let x = crate::host::Host; }"),
        ("src/model/run.rs", "use super::super::store::encode;"),
        ("src/machine/decide.rs", "use crate::config::Settings;"),
        ("src/machine/decide.rs", "use crate::config::{self, Policy};"),
        ("src/steps/stop.rs", "use crate::host::bus::Bus;"),
        ("src/steps/stop.rs", "use crate::report;"),
        ("src/steps/stop.rs", "use crate::config::load;"),
        ("src/host/mod.rs", "use self::bus::Bus;"),
        ("src/host/mod.rs", "use crate::store::encode;"),
        ("src/host/apt.rs", "use super::logind::Logind;"),
        ("src/host/logind.rs", "fn f(x: crate::host::apt::Apt) {}"),
        ("src/host/bus.rs", "use super::Host;\nuse crate::events::Event;"),
        ("src/ui/bars.rs", "use crate::store::encode as quite_harmless;"),
        ("src/dance.rs", ""),
    ] {
        assert!(!imports(file, text).is_empty(), "{file}: {text}");
    }
}

#[test]
fn a_right_import_passes() {
    for (file, text) in [
        (
            "src/machine/decide.rs",
            "use crate::config::Policy; use crate::config::settings::Policy; use crate::model::Run;",
        ),
        ("src/steps/report.rs", "use crate::report; use crate::host::Host; use super::StepContext;"),
        (
            "src/host/systemd/work.rs",
            "use super::jobs::Goal; use crate::host::bus::Bus; use crate::host::{Host, Power};",
        ),
        ("src/host/apt.rs", "use super::{Host, HostError};"),
        ("src/cli/app.rs", "use crate::host::apt::Apt; use crate::store::encode;"),
        ("src/model/run.rs", "//! See crate::store::encode.\n/* use crate::store; /* use crate::cli; */ */"),
        ("src/model/run.rs", "const X: &str = \"use crate::store::encode\"; const C: char = '\"'; use super::Step;"),
        ("src/model/run.rs", "const X: &str = r#\"crate::store\"::x\"#; fn f<'a>(x: &'a str) -> char { '\\'' }"),
        ("src/model/run.rs", "#[cfg(test)]\nmod tests {\n    use crate::store::encode;\n    mod deep {}\n}"),
    ] {
        assert_eq!(imports(file, text), Vec::<String>::new(), "{file}: {text}");
    }
    // What a test module in a file of its own imports is nobody's business either.
    let files = [
        ("src/model/mod.rs", "#[cfg(test)]\nmod tests;"),
        ("src/model/tests.rs", "mod more; use crate::store::encode;"),
        ("src/model/tests/more.rs", "use crate::cli::run;"),
    ];
    assert_eq!(bad_imports(&Tree::new(files)), Vec::<String>::new());
}

#[test]
fn every_guard_can_fail_and_can_pass() {
    for guard in GUARDS {
        let code = if guard.what.ends_with('!') {
            format!("fn f() {{ {}(\"x\"); }}", guard.what)
        } else {
            format!("use {}::Thing;", guard.what)
        };
        let found = |module: &str| {
            let file = format!("src/{}.rs", module.replace("::", "/"));
            let bad = bad_uses(&Tree::new([(file.as_str(), code.as_str())]));
            bad.iter().any(|line| line.contains(guard.because))
        };
        assert!(found("model::run"), "{} is free to all", guard.what);
        for only in guard.only {
            assert!(!found(only), "{} is not free to {only}", guard.what);
        }
    }
}

#[test]
fn a_wrong_use_is_found_however_it_is_written() {
    for (file, text) in [
        ("src/model/run.rs", "fn f() { let now = jiff::Timestamp::now(); }"),
        ("src/machine/decide.rs", "use std::{collections::BTreeMap, fs::{self, File}};"),
        ("src/report/build.rs", "fn f() { ::std::env::var(\"X\"); }"),
        ("src/steps/stop.rs", "use std::process; fn f() { process::Command::new(\"sh\"); }"),
        ("src/cli/app.rs", "use std::process; fn f() { process::Command::new(\"sh\"); }"),
        ("src/cli/app.rs", "fn f() { println!(\"x\"); }"),
        ("src/ui/lines.rs", "use std::process::exit; fn f() { exit(1); }"),
        ("src/store/lock.rs", "#[tokio::main] async fn f() {}"),
    ] {
        assert!(!uses(file, text).is_empty(), "{file}: {text}");
    }
    for (file, text) in [
        ("src/model/run.rs", "/// `std::fs`, println!(\nconst X: &str = \"println!(std::fs)\";"),
        ("src/host/command.rs", "use tokio::process::Command;"),
        ("src/cli/app.rs", "use std::process::ExitCode; use crate::host::mongodb::Mongo;"),
        ("src/ui/lines.rs", "fn f(out: &mut dyn std::io::Write) { let _ = writeln!(out, \"x\"); run.exit_code(); }"),
        ("src/model/run.rs", "#[cfg(test)]\nmod tests { use std::fs; fn f() { println!(\"x\"); } }"),
    ] {
        assert_eq!(uses(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

#[test]
fn a_source_that_is_being_merged_is_read_to_its_end() {
    let text =
        "use super::{\n<<<<<<< HEAD\n    a, b,\n=======\n    c,\n>>>>>>> other\n    d,\n};\nuse crate::store::X;";
    assert!(!imports("src/model/run.rs", text).is_empty());
}

#[test]
fn a_seam_is_found_however_it_is_written() {
    for text in [
        "#[cfg(test)]\nfn only_in_tests() {}",
        "#[cfg(not(test))]\nfn only_for_real() {}",
        "#[cfg(any(test, unix))]\nmod tests {}",
        "fn f() { if cfg!(test) {} }",
        "#[cfg_attr(test, derive(Clone))]\nstruct X;",
        "#[cfg(test)]\nuse std::fs;",
        "#[cfg(test)]\nmod sample;",
    ] {
        assert_eq!(bad_seams([("src/model/run.rs", text)]).len(), 1, "{text}");
    }
    for text in ["#[cfg(test)]\nmod tests { #[test] fn x() {} }", "#[cfg(test)]\nmod tests;", "#[cfg(unix)]\nfn x() {}"]
    {
        assert_eq!(bad_seams([("src/model/run.rs", text)]), Vec::<String>::new(), "{text}");
    }
    let sample = "#[cfg(test)]\npub(crate) mod sample;";
    assert_eq!(bad_seams([("src/report/mod.rs", sample)]), Vec::<String>::new());
}

#[test]
fn a_dependency_without_a_reason_or_a_place_is_found() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n# the one reason\nserde = \"1\"\ntoml = \"1\"\n# x\nclap = \"4\"\n\
                    # command lines made easy\nleft-pad = { version = \"1\" }\n\n[dev-dependencies]\ninsta = \"1\"\n";
    assert_eq!(unexplained_dependencies(manifest), ["toml", "clap", "insta"]);
    assert_eq!(unplaced_dependencies(manifest), ["left_pad"]);
}

#[test]
fn a_long_or_nameless_file_is_found() {
    assert!(bad_file("src/model/utils.rs", "").is_some());
    assert!(bad_file("src/model/run.rs", &"x\n".repeat(401)).is_some());
    assert!(bad_file("src/model/run.rs", &"x\n".repeat(400)).is_none());
    assert!(bad_file("tests/suite/bus.rs", &"x\n".repeat(401)).is_none());
}

#[test]
fn a_place_of_one_machine_is_found() {
    let here = concat!("see ", env!("CARGO_MANIFEST_DIR"), "/src");
    for text in [here, "cd /home/me/patchday", "ls target/debug/patchday"] {
        assert!(!bad_paths("docs/x.md", text).is_empty(), "{text}");
    }
    assert!(bad_paths("docs/x.md", "/var/lib/patchday/runs, /etc/patchday, ~/src").is_empty());
}

#[test]
fn every_rule_has_its_reason() {
    assert!(LAYERS.iter().all(|layer| !layer.because.is_empty()));
    assert!(GUARDS.iter().all(|guard| !guard.because.is_empty()));
}
