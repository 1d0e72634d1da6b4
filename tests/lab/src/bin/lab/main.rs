//! Disposable machines by hand: build an image, get a shell, see the whole job.

mod clean_room;
mod demo;
mod first_hour;
mod package;
mod package_life;
mod talk;

use crate::clean_room::Rooms;
use crate::demo::Demo;
use crate::first_hour::FirstHour;
use crate::package::Package;
use crate::package_life::PackageLife;
use crate::talk::Talk;
use anyhow::Result;
use clap::{Parser, Subcommand};
use patchday_lab::{Image, Lab, Machine, Suite};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

/// A machine boots in about a second; a busy host may take much longer.
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);

/// Disposable machines on which Patchday is tested and shown
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the image of a suite where it is missing, and tell how many updates a machine of it has pending
    Image {
        #[arg(default_value_t = Suite::Bookworm)]
        suite: Suite,
    },
    /// Boot a machine and open a shell in it; the machine is gone when the shell ends
    Shell {
        #[arg(default_value_t = Suite::Bookworm)]
        suite: Suite,
        /// A patchday program to install first
        #[arg(long)]
        patchday: Option<PathBuf>,
    },
    /// Boot a machine with a kernel of its own (UML) and open a shell in it; the machine is gone when the shell ends
    Uml {
        #[arg(default_value_t = Suite::Bookworm)]
        suite: Suite,
        /// A patchday program that the machine shall find in /lab
        #[arg(long)]
        patchday: Option<PathBuf>,
    },
    /// Patch and reboot a machine with Patchday, and end with its exit code
    Demo(Demo),
    /// Run the tests that need no machine in a Debian that has only what they say they need
    CleanRoom(Rooms),
    /// Build the Debian package twice, in a Debian 12, and compare
    Package(Package),
    /// Install the Debian package on machines of each release, run, upgrade, remove and purge it
    PackageLife(PackageLife),
    /// Take a server through its first hour with the Debian package, and keep what a terminal of 80 columns shows
    FirstHour(FirstHour),
    /// Remove all images and all kept machines
    Clean,
}

fn main() -> ExitCode {
    match carry_out(Arguments::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Image { suite } => image(suite),
        Verb::Shell { suite, patchday } => shell(suite, patchday.as_deref()),
        Verb::Uml { suite, patchday } => uml(suite, patchday.as_deref()),
        Verb::Demo(demo) => demo.play(),
        Verb::CleanRoom(rooms) => rooms.test(),
        Verb::Package(package) => package.make(),
        Verb::PackageLife(life) => life.live(),
        Verb::FirstHour(hour) => hour.show(),
        Verb::Clean => Lab::new()?.clean().map(|()| ExitCode::SUCCESS),
    }
}

fn image(suite: Suite) -> Result<ExitCode> {
    let lab = Lab::new()?;
    let image = Image::ensure(&lab, suite)?;
    let machine = Machine::create(&lab, &image, "pending")?;
    machine.boot()?;
    machine.wait_until_up(BOOT_TIMEOUT)?;
    let pending = machine.pending_upgrades()?;
    println!("{suite}: {} updates pending: {}", pending.len(), pending.join(" "));
    println!("{}", image.tree().display());
    Ok(ExitCode::SUCCESS)
}

fn shell(suite: Suite, patchday: Option<&Path>) -> Result<ExitCode> {
    let machine = Lab::new()?.booted_machine(suite, suite.codename())?;
    if let Some(patchday) = patchday {
        machine.install(patchday, &systemd_directory())?;
    }
    let talk = Talk::new();
    talk.note(&format!(
        "{suite}: API at 127.0.0.1:{}, mongod at 127.0.0.1:{}; the machine is gone when you leave",
        machine.api_port(),
        machine.mongod_port(),
    ));
    loop {
        let boots = machine.boot_count();
        let status = machine.exec_tty(&["bash", "--login"])?;
        if !goes_down(&machine, boots)? {
            return Ok(exit_code(status));
        }
        machine.wait_for_boot(boots + 1, BOOT_TIMEOUT)?;
        talk.note("the machine rebooted; here is a new shell");
    }
}

fn uml(suite: Suite, patchday: Option<&Path>) -> Result<ExitCode> {
    let machine = Lab::new()?.uml_machine(suite, "uml")?;
    if let Some(patchday) = patchday {
        machine.share(patchday)?;
        for unit in std::fs::read_dir(systemd_directory())? {
            machine.share(&unit?.path())?;
        }
    }
    Talk::new().note("booting, which takes ten to twenty seconds; the machine is gone when you leave its shell");
    machine.boot_with_shell()?;
    Ok(ExitCode::SUCCESS)
}

/// The project's unit files.
fn systemd_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd")
}

/// After a command ended: whether the machine is rebooting, or did, since it had been booted `boots` times.
///
/// A machine that was asked for a reboot a moment ago may still look as if nothing was; so one that stays up must do
/// so for a little while to be believed.
fn goes_down(machine: &Machine, boots: u32) -> Result<bool> {
    const BELIEVED_AFTER: u32 = 20;
    let mut seen_up = 0;
    patchday_lab::wait_for("the machine to be up or to reboot", BOOT_TIMEOUT, || {
        if machine.boot_count() != boots {
            return Ok(Some(true));
        }
        match machine.exec(&["systemctl", "is-system-running"]) {
            Ok(output) if ["running", "degraded"].contains(&output.stdout.trim()) => seen_up += 1,
            _ => seen_up = 0,
        }
        Ok((seen_up >= BELIEVED_AFTER).then_some(false))
    })
}

/// The exit code of a command; one that a signal ended counts as failed.
fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
