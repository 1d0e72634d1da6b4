//! What the examples name exists: metrics with their labels, commands, keys of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::error::ErrorKind;
use patchday::checks::labels;
use patchday::config::parse;
use serde_json::Value;

use super::{document, said};
use crate::tidy::files_below;

const RULES: &str = "docs/examples/prometheus-rules.yml";
const DASHBOARD: &str = "docs/examples/grafana-dashboard.json";

/// What stands between quotation marks, in order.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// Every metric that a run writes, with what it means.
pub(super) fn metrics() -> BTreeMap<String, String> {
    let code = document("src/notify/metrics.rs").unwrap();
    let calls = code.split("page.gauge(").skip(1);
    let pairs = calls.map(|call| {
        let mut words = quoted(call).map(str::to_owned);
        (format!("patchday_{}", words.next().unwrap()), words.next().unwrap())
    });
    let metrics: BTreeMap<String, String> = pairs.collect();
    assert!(metrics.len() > 10, "{metrics:?}");
    metrics
}

/// The labels that samples of a run have, and those of every sample of a collector.
fn metric_labels() -> BTreeSet<String> {
    let code = document("src/notify/metrics.rs").unwrap();
    let own = code.split("labelled(").skip(1).filter_map(|call| call.strip_prefix('"')?.split('"').next());
    own.chain(["instance", "job"]).map(str::to_owned).collect()
}

#[test]
fn rules_and_dashboard_name_metrics_and_labels_that_a_run_writes() {
    let (metrics, labels) = (metrics(), metric_labels());
    for file in [RULES, DASHBOARD] {
        let text = document(file).unwrap().replace("\\\"", "\"");
        let mut named = BTreeSet::new();
        for name in said::names(&text, "patchday_", '_') {
            assert!(metrics.contains_key(&name), "{file}: no run writes {name}");
            named.insert(name);
        }
        assert!(named.len() > 5, "{file} names only {named:?}");
        for selector in text.split("patchday_").skip(1).filter_map(|rest| {
            let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_lowercase() || letter == '_');
            rest.strip_prefix('{')?.split('}').next()
        }) {
            let label = selector.split(['=', '!']).next().unwrap();
            assert!(labels.contains(label), "{file}: no sample has a label {label}");
        }
    }
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: Value = serde_json::from_str(&document(DASHBOARD).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels have one ID");
    for panel in panels {
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{}", panel["title"]);
    }
}

/// Commands in backticks, and as lists of words in tasks and in cloud-init's `runcmd`.
#[test]
fn every_command_of_an_example_is_one_of_the_program() {
    let mut found = 0;
    for (file, text) in files_below("docs/examples", &["yml", "sh"]) {
        let lists = text.match_indices("[patchday, ").map(|(at, _)| text[at + 1..].split(']').next().unwrap());
        let lists = lists.map(|list| list.replace("\"{{ (patchday_status.stdout", "RUN ").replace(", ", " "));
        let lines = said::spans(&text).into_iter().filter(|span| span.starts_with("patchday ")).chain(lists);
        for line in lines {
            let words = line.split(" RUN ").next().unwrap().split(' ');
            let told = patchday::cli::command().try_get_matches_from(words).map_err(|error| error.kind());
            let wrong = [ErrorKind::UnknownArgument, ErrorKind::InvalidSubcommand, ErrorKind::ArgumentConflict];
            assert!(told.is_ok() || told.is_err_and(|kind| !wrong.contains(&kind)), "{file}: {line}");
            found += 1;
        }
    }
    assert!(found > 12, "only {found} commands were found");
}

#[test]
fn the_configuration_of_a_new_machine_is_valid() {
    let text = document("docs/examples/cloud-init.yml").unwrap();
    let after = text.split_once("path: /etc/patchday/patchday.toml").unwrap().1.split_once("content: |\n").unwrap().1;
    let depth = after.len() - after.trim_start().len();
    let lines = after.lines().take_while(|line| line.is_empty() || line.starts_with(&" ".repeat(depth)));
    let toml: Vec<&str> = lines.map(|line| line.get(depth..).unwrap_or_default()).collect();
    assert!(toml.len() > 5, "{toml:?}");
    let checks: Vec<&str> = labels().collect();
    let parsed = parse(&toml.join("\n"), Path::new("patchday.toml"), 4, &checks);
    assert!(parsed.is_ok(), "{parsed:?}");
}
