//! Patchday as the lab's programs are given it.

use clap::Args;
use std::path::{Path, PathBuf};

/// What is installed on a machine.
#[derive(Debug, Args)]
pub struct Shipped {
    /// The patchday program
    #[arg(long)]
    pub patchday: PathBuf,
    /// The directory with its unit files
    #[arg(long, default_value_os_t = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd"))]
    pub systemd: PathBuf,
}
