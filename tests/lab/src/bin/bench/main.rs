//! What Patchday itself costs.

mod cost;

use clap::Parser;
use patchday_lab::{Shipped, Suite};
use std::process::ExitCode;

/// Measure what Patchday costs
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    shipped: Shipped,
    /// The Debian release: bookworm or trixie
    #[arg(long, default_value_t = Suite::Bookworm)]
    suite: Suite,
    /// How often each command is timed; the median counts
    #[arg(long, default_value_t = 50)]
    times: u32,
}

fn main() -> ExitCode {
    match cost::measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
