//! The whole job on a disposable machine, in the caller's terminal.

use crate::talk::{Talk, seconds};
use crate::{BOOT_TIMEOUT, exit_code, goes_down, systemd_directory};
use anyhow::{Context, Result, bail};
use clap::Args;
use patchday_lab::{Lab, Machine, Suite};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Instant;

/// What keeps MongoDB down, and what it says of it.
const WRONG: &str = "[Service]\nExecStartPre=/usr/bin/cat /srv/keys/mongodb.pem\n";
const CONFIG: &str = "/etc/patchday/patchday.toml";

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The patchday program to show
    #[arg(long)]
    patchday: PathBuf,
    /// The directory with its unit files
    #[arg(long, default_value_os_t = systemd_directory())]
    systemd: PathBuf,
    /// The Debian release: bookworm or trixie
    #[arg(long, default_value_t = Suite::Bookworm)]
    suite: Suite,
    /// Let MongoDB not come back: after the reboot it misses a file
    #[arg(long)]
    wrong: bool,
    /// Copy Patchday's state directory here when the run is over, for `tests/lab/pictures`
    #[arg(long)]
    keep_state: Option<PathBuf>,
    /// More arguments for `patchday run`
    #[arg(last = true)]
    run_arguments: Vec<String>,
}

impl Demo {
    /// Plays it, and returns the exit code of the run.
    pub(crate) fn play(&self) -> Result<ExitCode> {
        let start = Instant::now();
        let talk = Talk::new();
        talk.step(&format!("boot a disposable Debian machine ({})", self.suite));
        let machine = Lab::new()?.booted_machine(self.suite, "demo")?;
        let documents = machine.document_count()?;
        let pending = machine.pending_upgrades()?;
        talk.note(&format!("MongoDB and the sample API are up, {documents} documents in the database"));
        talk.note(&format!("{} updates are pending", pending.len()));

        talk.step("install patchday and let it find the services");
        machine.install(&self.patchday, &self.systemd)?;
        let status = show(&machine, &["patchday", "init", "--force"])?;
        if !status.success() {
            bail!("`patchday init` failed ({status})");
        }
        talk.note(CONFIG);
        print!("{}", machine.read_file(CONFIG)?);

        if self.wrong {
            // Only a start looks for the file, and the next one is that of the next boot.
            machine.exec_ok(&["mkdir", "-p", "/etc/systemd/system/mongod.service.d"])?;
            machine.write_file("/etc/systemd/system/mongod.service.d/wrong.conf", WRONG)?;
            machine.exec_ok(&["systemctl", "daemon-reload"])?;
            talk.note("MongoDB will not come back from the next boot");
        }

        let status = self.run(&machine, &talk)?;

        talk.step("patchday report");
        show(&machine, &["patchday", "report"])?;

        if let Some(directory) = &self.keep_state {
            keep_state(&machine, directory)?;
        }

        talk.step("what the lab sees");
        match machine.document_count() {
            Ok(now) => talk.note(&format!("documents: {documents} before, {now} after")),
            Err(error) => talk.note(&format!("documents: {documents} before; {error:#}")),
        }
        match machine.pending_upgrades() {
            Ok(now) => talk.note(&format!("updates pending: {} before, {} after", pending.len(), now.len())),
            Err(error) => talk.note(&format!("updates pending: {} before; {error:#}", pending.len())),
        }
        talk.note(&format!("boots: {}", machine.boot_count()));
        talk.note(&format!("the run ended with {status} after {}", seconds(start.elapsed())));
        Ok(exit_code(status))
    }

    /// Runs Patchday through the reboot, and returns how the run ended.
    fn run(&self, machine: &Machine, talk: &Talk) -> Result<ExitStatus> {
        let mut command = vec!["patchday", "run", "--yes"];
        command.extend(self.run_arguments.iter().map(String::as_str));
        talk.step(&command.join(" "));
        let boots = machine.boot_count();
        let status = show(machine, &command)?;
        if !goes_down(machine, boots)? {
            return Ok(status);
        }
        talk.step("the machine reboots");
        machine.wait_for_boot(boots + 1, BOOT_TIMEOUT).context("the machine did not come back")?;
        talk.note(&format!("boot {} has boot ID {}", machine.boot_count(), machine.boot_id()?));

        talk.step("patchday attach --last");
        show(machine, &["patchday", "attach", "--last"])
    }
}

/// Copies the state directory out of the machine.
fn keep_state(machine: &Machine, directory: &Path) -> Result<()> {
    const STATE: &str = "/var/lib/patchday";
    for file in machine.exec_ok(&["find", STATE, "-type", "f", "-printf", "%P\n"])?.lines() {
        let content = machine.read_file(&format!("{STATE}/{file}"))?;
        let copy = directory.join(file);
        fs::create_dir_all(copy.parent().unwrap_or(directory))
            .and_then(|()| fs::write(&copy, content))
            .with_context(|| format!("write {}", copy.display()))?;
    }
    Ok(())
}

/// Runs a command of the machine in the caller's terminal.
fn show(machine: &Machine, command: &[&str]) -> Result<ExitStatus> {
    machine.exec_tty(command)
}
