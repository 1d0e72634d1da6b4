//! What Patchday costs, and how long services are away under it.

mod cost;
mod downtime;
mod figures;
mod prober;

use anyhow::{Error, Result};
use clap::{Parser, ValueEnum};
use figures::Table;
use patchday_lab::{Shipped, Suite, ended};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// CPU time, memory and the time of commands, in one whole run
    Cost,
    /// How long the API is away, beside other ways to patch and reboot
    Downtime,
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
    times: u32,
    /// Only the ways whose name holds this text, and the first, which the others are compared with
    #[arg(long, default_value = "")]
    way: String,
    /// Writes the tables into this document too, with the commit
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    ended("bench", measure(&Arguments::parse()).map(|()| true))
}

fn measure(arguments: &Arguments) -> Result<()> {
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let document =
        arguments.write.as_deref().map(|document| Ok::<_, Error>((document, figures::commit()?))).transpose()?;
    let done = |table: Table, part| {
        table.print();
        document.as_ref().map_or(Ok(()), |(document, commit)| table.write(document, part, commit))
    };
    if wanted(Part::Cost) {
        done(cost::measure(&arguments.shipped, arguments.suite, arguments.times)?, "cost")?;
    }
    if wanted(Part::Downtime) {
        done(downtime::measure(&arguments.shipped, arguments.suite, arguments.times, &arguments.way)?, "downtime")?;
    }
    Ok(())
}
