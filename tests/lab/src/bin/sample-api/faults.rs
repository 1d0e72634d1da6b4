//! How the service is told to misbehave: by environment variables, so that a unit's environment file can do it.

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::FalseyValueParser;
use std::fs;
use std::path::Path;

#[derive(Debug, Args)]
pub(crate) struct Faults {
    /// Leave this many connections open when stopping
    #[arg(long, env = "LEAK_ON_RESTART", default_value_t = 0)]
    pub(crate) leak_on_restart: u32,
    /// Do not stop on SIGTERM
    #[arg(long, env = "IGNORE_SIGTERM", value_parser = FalseyValueParser::new())]
    pub(crate) ignore_sigterm: bool,
    /// Say that all is well although the database does not answer
    #[arg(long, env = "START_BEFORE_DATABASE", value_parser = FalseyValueParser::new())]
    pub(crate) start_before_database: bool,
    /// Refuse to start on another boot than the first
    #[arg(long, env = "FAIL_AFTER_REBOOT", value_parser = FalseyValueParser::new())]
    pub(crate) fail_after_reboot: bool,
}

impl Faults {
    /// Fails when told to fail after a reboot and this is a later boot. Otherwise remembers this boot.
    pub(crate) fn check_boot(&self, state_directory: &Path) -> Result<()> {
        let now = fs::read_to_string("/proc/sys/kernel/random/boot_id").context("cannot read the boot ID")?;
        let file = state_directory.join("boot-id");
        if self.fail_after_reboot
            && let Ok(then) = fs::read_to_string(&file)
            && then != now
        {
            bail!("refusing to start after a reboot, as told");
        }
        fs::write(&file, now).with_context(|| format!("cannot write {}", file.display()))
    }
}
