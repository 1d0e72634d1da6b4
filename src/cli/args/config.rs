//! What `patchday config` is asked for.

use clap::Subcommand;

use super::JsonArgs;
use crate::cli::complete;
use crate::config::Named;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ConfigArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ConfigCommand {
    /// Read the file and its drop-ins, and tell everything that is wrong with them; changes nothing.
    Check(JsonArgs),
    /// Show every key with its value, as TOML, and which file and line sets it.
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ShowArgs {
    /// Keys and tables to show, as in limits.cpu or service; by default all.
    #[arg(value_name = "KEY", add = complete::keys())]
    pub(in crate::cli) keys: Vec<Named>,
    /// Only what a file sets.
    #[arg(long)]
    pub(in crate::cli) changed: bool,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
