//! Starts nspawn, and starts it again when the machine asked for a reboot.

use crate::cgroup::Cgroup;
use anyhow::{Context, Result};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// nspawn ends with this code when the machine asked for a reboot, and with 0 when it powered off.
const REBOOT: i32 = 133;

/// Whether a machine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Power {
    /// Never started, or powered off.
    Off,
    /// nspawn runs under this process ID, or is being started again.
    On { nspawn: Option<u32> },
    /// nspawn ended in a way that is neither a reboot nor a power-off.
    Crashed { reason: String },
}

/// What the supervisor knows, shared with the machine.
#[derive(Debug)]
struct Shared {
    power: Power,
    boots: u32,
    /// Set before the plug is pulled, so that the end of nspawn is not taken for a crash or a reboot.
    unplugged: bool,
}

/// What nspawn is started with.
pub(crate) struct Hardware {
    pub(crate) id: String,
    pub(crate) root: PathBuf,
    pub(crate) console_log: PathBuf,
    /// Its own network, with nothing in it but a loopback interface.
    pub(crate) isolated: bool,
    /// Control groups version 2 inside, whatever the host has.
    pub(crate) unified: bool,
}

/// Keeps one machine running until it powers off.
pub(crate) struct Supervisor {
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Switches the machine on.
    pub(crate) fn start(hardware: Hardware) -> Result<Self> {
        let shared = Arc::new(Mutex::new(Shared { power: Power::On { nspawn: None }, boots: 0, unplugged: false }));
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name(format!("supervisor of {}", hardware.id))
            .spawn(move || supervise(&hardware, &theirs))
            .context("cannot start the supervisor thread")?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether the machine runs now.
    pub(crate) fn power(&self) -> Power {
        lock(&self.shared).power.clone()
    }

    /// How often the machine was booted.
    pub(crate) fn boots(&self) -> u32 {
        lock(&self.shared).boots
    }

    /// Ends every process of the machine at once, as a power cut does (the host's page cache survives).
    pub(crate) fn pull_the_plug(&mut self, cgroup: &Cgroup) -> Result<()> {
        lock(&self.shared).unplugged = true;
        cgroup.destroy()?;
        self.join();
        Ok(())
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been printed already.
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn supervise(hardware: &Hardware, shared: &Mutex<Shared>) {
    loop {
        let next = match boot_once(hardware, shared) {
            Ok(Some(REBOOT)) => Power::On { nspawn: None },
            Ok(Some(0)) => Power::Off,
            Ok(code) => {
                let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
                Power::Crashed { reason: format!("nspawn ended with {code}") }
            }
            Err(error) => Power::Crashed { reason: format!("{error:#}") },
        };
        let mut shared = lock(shared);
        shared.power = if shared.unplugged { Power::Off } else { next };
        if !matches!(shared.power, Power::On { .. }) {
            return;
        }
    }
}

/// Runs nspawn until it ends and returns its exit code; none means that a signal ended it.
fn boot_once(hardware: &Hardware, shared: &Mutex<Shared>) -> Result<Option<i32>> {
    let cgroup = Cgroup::of(&hardware.id);
    cgroup.create()?;
    let console = open_console(&hardware.console_log)?;
    let mut command = Command::new("setpriv");
    // If the lab dies, the machine is told to shut down; what then remains is removed at the next start of the lab.
    command.args(["--pdeathsig", "TERM"]);
    // A process can only put itself into a cgroup before it becomes nspawn, hence the little shell.
    command.args(["sh", "-c", "while [ \"$1\" != -- ]; do echo $$ > \"$1\" || exit; shift; done; shift; exec \"$@\""]);
    command.arg("sh").args(cgroup.member_files()).arg("--");
    command.args(["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=read-only"]);
    command.args(["--kill-signal=SIGRTMIN+3", "--setenv=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]);
    if hardware.unified {
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
    }
    // mongod locks the memory of its secrets, which nspawn forbids by default.
    command.arg("--system-call-filter=@memlock");
    command.args(hardware.isolated.then_some("--private-network"));
    command.arg(format!("--machine={}", hardware.id)).arg("--directory").arg(&hardware.root);
    // Its own process group: Ctrl-C in the caller's terminal is not meant for the machine.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
    let mut child = {
        let mut shared = lock(shared);
        if shared.unplugged {
            return Ok(Some(0));
        }
        let child = command.spawn().context("cannot start nspawn (is systemd-container installed?)")?;
        shared.boots += 1;
        shared.power = Power::On { nspawn: Some(child.id()) };
        child
    };
    let status = child.wait().context("cannot wait for nspawn")?;
    Ok(status.code())
}

fn open_console(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot open the console log {}", path.display()))
}

/// The process ID, on the host, of the machine's own systemd, once it runs.
pub(crate) fn leader_of(nspawn: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid| is_systemd_of_a_machine(*pid))
}

/// nspawn's child becomes the machine's process 1 first and systemd later; only then its namespaces are complete.
fn is_systemd_of_a_machine(pid: u32) -> bool {
    let is_first = fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| {
        status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))
            .is_some_and(|ids| ids.split_whitespace().skip(1).last() == Some("1"))
    });
    is_first && fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program.ends_with("systemd"))
}
