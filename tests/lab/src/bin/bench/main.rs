//! What Patchday costs, and how long services are away under it.

mod ansible;
mod compared;
mod cost;
mod deadline;
mod downtime;
mod figures;
mod prober;
mod slow_disk;
mod waiting;
mod waves;
mod ways;

use anyhow::{Error, Result};
use clap::{Parser, ValueEnum};
use downtime::Bench;
use figures::Shown;
use patchday_lab::{Shipped, Suite, ended};
use std::path::PathBuf;
use std::process::ExitCode;
use ways::Way;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// CPU time, memory and the time of commands, in one whole run
    Cost,
    /// How long the API is away, beside other ways to patch and reboot; and what waits under ahead = "unrelated"
    Downtime,
    /// The same on a disk that takes 5 ms longer for each sync
    SlowDisk,
    /// How long 32 services take to stop and to start
    Waves,
}

/// Measure what Patchday costs, and how long services are away under it
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    shipped: Shipped,
    /// The Debian release: bookworm or trixie
    #[arg(long, default_value_t = Suite::Bookworm)]
    suite: Suite,
    /// Only these parts; all by default
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// How often each is measured; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only this way to patch and reboot; may be given again. Without the script there is nothing to compare with
    #[arg(long, value_enum)]
    way: Vec<Way>,
    /// The downtime on the slow disk in place of the other: as --only slow-disk
    #[arg(long)]
    slow_disk: bool,
    /// Writes the tables into this document too, with the commit
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    ended("bench", measure(&Arguments::parse()))
}

/// Whether all was measured. A part that fails does not end the others.
fn measure(arguments: &Arguments) -> Result<bool> {
    let document =
        arguments.write.as_deref().map(|document| Ok::<_, Error>((document, figures::commit()?))).transpose()?;
    let mut is_whole = true;
    for part in arguments.parts() {
        match arguments.shown(part) {
            Ok(shown) => {
                is_whole &= shown.is_whole;
                for (name, table) in &shown.tables {
                    println!("{}\n", table.text());
                    if let Some((document, commit)) = &document {
                        table.write(document, name, commit)?;
                    }
                }
            }
            Err(error) => {
                eprintln!("bench: FAILED: {part:?}: {error:#}");
                is_whole = false;
            }
        }
    }
    if !is_whole {
        eprintln!("bench: not all was measured; what FAILED is told above");
    }
    Ok(is_whole)
}

impl Arguments {
    fn parts(&self) -> Vec<Part> {
        match (self.slow_disk, self.only.as_slice()) {
            (true, []) => vec![Part::SlowDisk],
            (false, []) => Part::value_variants().to_vec(),
            (is_slow, only) => {
                let on_disk = |part| if is_slow && part == Part::Downtime { Part::SlowDisk } else { part };
                only.iter().copied().map(on_disk).collect()
            }
        }
    }

    fn shown(&self, part: Part) -> Result<Shown> {
        let Self { shipped, suite, rounds, .. } = self;
        match part {
            Part::Cost => {
                let table = cost::measure(shipped, *suite, *rounds)?;
                Ok(Shown { tables: vec![("cost", table)], is_whole: true })
            }
            Part::Downtime => Ok(Bench::new(shipped, *suite, false)?.measure(*rounds, &self.ways(false))),
            Part::SlowDisk => Ok(Bench::new(shipped, *suite, true)?.measure(*rounds, &self.ways(true))),
            Part::Waves => waves::measure(shipped, *suite, *rounds),
        }
    }

    fn ways(&self, is_slow: bool) -> Vec<Way> {
        if self.way.is_empty() { Way::by_default(is_slow) } else { self.way.clone() }
    }
}
