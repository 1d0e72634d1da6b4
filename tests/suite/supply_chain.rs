//! What the program is built of: where it comes from, under which licences, and what of it is there twice. The rules are
//! those of `.deny.toml`; advisories need a database, and `cargo deny`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use toml::Table;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn read(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn words(value: &toml::Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// Whether an expression of licences can be met with those allowed. Old crates write `/` for "or".
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "_WITH_");
    let tokens: Vec<String> = spaced.split_whitespace().map(|token| token.replace("_WITH_", " WITH ")).collect();
    let mut rest = tokens.as_slice();
    let met = alternatives(&mut rest, allowed);
    assert!(rest.is_empty(), "not understood: {expression}");
    met
}

fn alternatives(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let mut met = all_of(rest, allowed);
    while rest.first().is_some_and(|token| token == "OR") {
        *rest = &rest[1..];
        met |= all_of(rest, allowed);
    }
    met
}

fn all_of(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let mut met = one(rest, allowed);
    while rest.first().is_some_and(|token| token == "AND") {
        *rest = &rest[1..];
        met &= one(rest, allowed);
    }
    met
}

fn one(rest: &mut &[String], allowed: &BTreeSet<String>) -> bool {
    let Some((first, after)) = rest.split_first() else { return false };
    *rest = after;
    if first != "(" {
        return allowed.contains(first);
    }
    let met = alternatives(rest, allowed);
    *rest = rest.strip_prefix(&[")".to_owned()]).unwrap_or(rest);
    met
}

#[test]
fn expressions_of_licences_are_understood() {
    let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only/MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
        ("(MIT OR GPL-3.0-only) AND ISC", false),
        ("Apache-2.0 WITH LLVM-exception OR ISC", true),
        ("Apache-2.0", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}

/// Everything in the lock file, for whatever platform: from one registry, with its checksum.
#[test]
fn every_dependency_comes_from_the_registry_with_its_checksum() {
    let lock = read("Cargo.lock");
    let packages = lock["package"].as_array().unwrap();
    assert!(packages.len() > 100, "{}", packages.len());
    for package in packages {
        let name = package["name"].as_str().unwrap();
        if name.starts_with("patchday") {
            assert!(package.get("source").is_none(), "{name} is not of this project");
            continue;
        }
        assert_eq!(package["source"].as_str(), Some(REGISTRY), "{name}");
        assert_eq!(package["checksum"].as_str().map(str::len), Some(64), "{name}");
    }
}

/// The packages for this platform, as cargo knows them.
fn packages() -> Vec<Value> {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform"]);
    metadata.arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
    let output = metadata.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn every_licence_is_allowed_and_nothing_is_there_twice_unsaid() {
    let policy = read(".deny.toml");
    let allowed = words(&policy["licenses"]["allow"]);
    let packages = packages();
    assert!(packages.len() > 100, "{}", packages.len());
    for package in &packages {
        let name = &package["name"];
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} has no licence"));
        assert!(is_met(licence, &allowed), "{name} is under {licence}");
    }

    let skipped = policy["bans"]["skip"].as_array().unwrap();
    let skipped: BTreeSet<&str> = skipped.iter().map(|one| one["crate"].as_str().unwrap()).collect();
    let text = |package: &Value, key: &str| package[key].as_str().unwrap().to_owned();
    let all: BTreeSet<(String, String)> =
        packages.iter().map(|one| (text(one, "name"), text(one, "version"))).collect();
    let mut older = BTreeSet::new();
    for (name, version) in &all {
        let is_skipped = |skipped: &&str| {
            let Some((of, begin)) = skipped.split_once('@') else { return false };
            of == name && version.strip_prefix(begin).is_some_and(|rest| rest.starts_with('.'))
        };
        match skipped.iter().find(|one| is_skipped(one)) {
            Some(known) => drop(older.insert(*known)),
            None => {
                let others = all.iter().filter(|(other, _)| other == name).count();
                let told = skipped.iter().filter(|one| one.split_once('@').is_some_and(|(of, _)| of == name)).count();
                assert_eq!(others - 1, told, "{name} {version} is not the only one: see [bans] in .deny.toml");
            }
        }
    }
    assert_eq!(older, skipped, "what is skipped in .deny.toml and what is there twice");
}
