//! What Patchday costs, and how long services are away under it.

mod cost;
mod downtime;
mod prober;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use patchday_lab::{Shipped, Suite, ended};
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
    /// How often the downtime of each way is measured; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// Only the ways whose name holds this text, and the first, which the others are compared with
    #[arg(long, default_value = "")]
    way: String,
}

fn main() -> ExitCode {
    ended("bench", measure(&Arguments::parse()).map(|()| true))
}

fn measure(arguments: &Arguments) -> Result<()> {
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    if wanted(Part::Cost) {
        cost::measure(&arguments.shipped, arguments.suite)?;
    }
    if wanted(Part::Downtime) {
        downtime::measure(&arguments.shipped, arguments.suite, arguments.times, &arguments.way)?;
    }
    Ok(())
}
