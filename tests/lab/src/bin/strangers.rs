//! Hosts as strangers have them, on disposable machines; prints a table of what Patchday said of each.

use anyhow::{Context, Result};
use clap::Parser;
use patchday_lab::strangers::{Outcome, Stage, TOPICS, into_docs, markdown, perform};
use patchday_lab::{Shipped, ended};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reliability.md");

/// Make hosts as strangers have them, and see what Patchday says of each
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    shipped: Shipped,
    /// Only the situations whose name holds this text; may be given more than once
    #[arg(long)]
    only: Vec<String>,
    /// Only this topic: services, database, probes, packages, kernel, reboot, root or world
    #[arg(long)]
    topic: Option<String>,
    /// Only what `tests/lab/check` makes too
    #[arg(long)]
    in_check: bool,
    /// Name them, and make none
    #[arg(long)]
    list: bool,
    /// How many machines work at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Print all that Patchday said last
    #[arg(long)]
    text: bool,
    /// Print the tables as they stand in docs/reliability.md
    #[arg(long)]
    markdown: bool,
    /// Write them there; what is not made this time stays
    #[arg(long)]
    write_docs: bool,
}

fn main() -> ExitCode {
    ended("strangers", all(&Arguments::parse()))
}

fn all(arguments: &Arguments) -> Result<bool> {
    let Arguments { shipped, jobs, .. } = arguments;
    let stage = Stage { patchday: &shipped.patchday, systemd: &shipped.systemd, jobs: *jobs };
    let mut outcomes = Vec::new();
    for topic in TOPICS.iter().filter(|topic| arguments.topic.as_deref().is_none_or(|name| name == topic.name)) {
        let mut situations = (topic.situations)();
        let is_named = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| name.contains(only));
        situations.retain(|one| is_named(one.name()) && (one.is_in_check() || !arguments.in_check));
        if arguments.list {
            situations.iter().for_each(|one| println!("{:<9} {}", topic.name, one.name()));
            continue;
        }
        let told = |outcome: &Outcome| {
            tell(outcome);
            if arguments.text {
                println!("{}\n", outcome.text);
            }
        };
        outcomes.extend(perform(stage, topic.name, situations, &told));
    }
    let wrong = outcomes.iter().filter(|outcome| outcome.wrong.is_some()).count();
    if arguments.markdown {
        print!("{}", markdown(&outcomes, ""));
    }
    if arguments.write_docs {
        let document = Path::new(DOCUMENT);
        let text = fs::read_to_string(document).with_context(|| format!("cannot read {DOCUMENT}"))?;
        fs::write(document, into_docs(&text, &outcomes)?).with_context(|| format!("cannot write {DOCUMENT}"))?;
    }
    if !arguments.list {
        println!("\n{} of {} as they should be", outcomes.len() - wrong, outcomes.len());
    }
    Ok(wrong == 0)
}

fn tell(outcome: &Outcome) {
    let Outcome { name, said, host, wrong, took, .. } = outcome;
    let mark = if wrong.is_some() { "WRONG" } else { "right" };
    println!("{mark} {:>4.0} s  {name}\n              {said}\n              {host}", took.as_secs_f64());
    if let Some(wrong) = wrong {
        println!("{wrong}\n");
    }
}
