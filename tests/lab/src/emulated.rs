//! A machine with a kernel of its own, without KVM: its life, and what is asked of its agent. What emulates it is an
//! [`Emulator`]: `uml` or `qemu`.

use crate::agent::{Channel, Sighting, lock};
use crate::cgroup::Cgroup;
use crate::http::Response;
use crate::machine::claim::Claim;
use crate::machine::{Output, leftovers};
use crate::process::last_lines;
use crate::testbed::Testbed;
use crate::wait::wait_for;
use anyhow::{Context, Result, bail};
use std::env;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// Each machine has a network of its own, or none, so all use the usual ports.
pub(crate) const API_PORT: u16 = 8080;
pub(crate) const MONGOD_PORT: u16 = 27017;

/// A command that takes longer is started with [`EmulatedMachine::start`].
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// What runs a machine.
pub(crate) trait Emulator: Send + Sync {
    /// The program and its arguments; the agent's line is its standard input and output. Without an agent those are
    /// the terminal of a shell.
    fn command(&self, board: &Board, with_agent: bool) -> Result<Command>;

    /// Hands a file's content in, and returns the shell's words that print it inside.
    fn hand_in(&self, board: &Board, content: &[u8]) -> Result<String>;
}

/// What a machine is made of.
pub(crate) struct Board {
    pub(crate) id: String,
    pub(crate) emulator: Box<dyn Emulator>,
    /// What is handed into the machine.
    pub(crate) share: PathBuf,
    pub(crate) console_log: PathBuf,
}

impl Board {
    /// Starts the emulator with an agent's line, or else with a shell for the person at our terminal.
    fn switch_on(&self, line: Option<OwnedFd>) -> Result<Child> {
        fs::create_dir_all(&self.share).with_context(|| format!("cannot make {}", self.share.display()))?;
        let console = File::options().create(true).append(true).open(&self.console_log);
        let console = console.with_context(|| format!("cannot open {}", self.console_log.display()))?;
        let cgroup = Cgroup::of(&self.id);
        cgroup.create()?;
        let emulator = self.emulator.command(self, line.is_some())?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        // A process can only put itself into a cgroup before it becomes the emulator, hence the little shell.
        let join = "while [ \"$1\" != -- ]; do echo $$ > \"$1\" || exit; shift; done; shift; exec \"$@\"";
        command.args(["sh", "-c", join, "sh"]).args(cgroup.member_files()).arg("--");
        command.arg(emulator.get_program()).args(emulator.get_args());
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        command.envs(emulator.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(line) = line {
            // Its own process group: Ctrl-C in the caller's terminal is not meant for the machine.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            command.stdout(line.try_clone().context("cannot share a line")?).stdin(line);
        }
        command.stderr(console);
        let program = emulator.get_program().to_string_lossy().into_owned();
        command.spawn().with_context(|| format!("cannot start {program} (is its Debian package installed?)"))
    }
}

/// A disposable machine with a kernel of its own. Dropping it switches it off and removes every trace of it, unless
/// `PATCHDAY_LAB_KEEP=1`.
///
/// It may be shared between threads: every method takes `&self`.
pub struct EmulatedMachine {
    name: String,
    directory: PathBuf,
    board: Board,
    channel: Channel,
    process: Mutex<Option<Child>>,
    /// There is one place for what is handed in.
    handing_in: Mutex<()>,
    /// Tells other labs that this machine is alive; none where the caller sees to that, and to the directory.
    lock: Option<File>,
}

impl EmulatedMachine {
    /// Makes a machine, still off, on what was claimed for it.
    pub(crate) fn create(name: &str, claim: Claim, emulator: Box<dyn Emulator>) -> Self {
        let Claim { id, directory, lock } = claim;
        let (share, console_log) = (directory.join("share"), directory.join("console.log"));
        Self::on(Board { id, emulator, share, console_log }, name, directory, Some(lock))
    }

    fn on(board: Board, name: &str, directory: PathBuf, lock: Option<File>) -> Self {
        Self {
            name: name.to_owned(),
            directory,
            board,
            channel: Channel::new(),
            process: Mutex::new(None),
            handing_in: Mutex::new(()),
            lock,
        }
    }

    /// Switches the machine on. It returns at once; [`wait_until_up`](Self::wait_until_up) waits.
    pub fn boot(&self) -> Result<()> {
        let mut process = lock(&self.process);
        if process.is_some() {
            bail!("machine {} runs already", self.name);
        }
        *process = Some(self.board.switch_on(Some(self.channel.open()?))?);
        Ok(())
    }

    /// Puts a file into the directory that the machine sees as `/lab`.
    pub fn share(&self, file: &Path) -> Result<()> {
        let name = file.file_name().context("a file without a name")?;
        fs::create_dir_all(&self.board.share)?;
        fs::copy(file, self.board.share.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
        Ok(())
    }

    /// Switches the machine on with a shell in the caller's terminal, and waits until it is off.
    pub fn boot_with_shell(&self) -> Result<()> {
        self.board.switch_on(None)?.wait().context("cannot wait for the emulator")?;
        Cgroup::of(&self.board.id).destroy()
    }

    /// How often the machine came up so far, its reboots and its boots after a power cut counted.
    pub fn boot_count(&self) -> u32 {
        self.channel.boots()
    }

    /// Cuts the power: all is gone that was not written to the disk.
    pub fn cut_power(&self) -> Result<()> {
        let mut process = lock(&self.process);
        if let Some(child) = process.as_mut() {
            // The kernel first, so that it writes nothing more; then the processes it ran.
            let _ = child.kill();
            Cgroup::of(&self.board.id).destroy()?;
            child.wait().context("cannot wait for the emulator")?;
        }
        *process = None;
        Ok(())
    }

    /// Asks the machine to power off and waits for it.
    pub fn power_off(&self, timeout: Duration) -> Result<()> {
        self.start(&["systemctl", "poweroff", "--no-block"])?;
        let ended = || match lock(&self.process).as_mut() {
            Some(child) => child.try_wait().context("cannot wait for the emulator"),
            None => bail!("machine {} is off", self.name),
        };
        wait_for(&format!("machine {} to power off", self.name), timeout, ended)?;
        self.cut_power()
    }

    /// Waits until systemd inside has finished booting, and returns its state: `running`, or `degraded` when a unit
    /// has failed.
    pub fn wait_until_up(&self, timeout: Duration) -> Result<String> {
        self.wait_for_state("to be up", timeout, || true)
    }

    /// Waits until the machine was booted at least `count` times and is up again.
    pub fn wait_for_boot(&self, count: u32, timeout: Duration) -> Result<String> {
        self.wait_for_state(&format!("to be up on boot {count}"), timeout, || self.boot_count() >= count)
    }

    fn wait_for_state(&self, what: &str, timeout: Duration, is_due: impl Fn() -> bool) -> Result<String> {
        let what = format!("machine {} {what}", self.name);
        let waited = wait_for(&what, timeout, || {
            self.must_run()?;
            if self.boot_count() == 0 || !is_due() {
                return Ok(None);
            }
            let Ok(output) = self.exec(&["systemctl", "is-system-running"]) else { return Ok(None) };
            let state = output.stdout.trim();
            Ok(["running", "degraded"].contains(&state).then(|| state.to_owned()))
        });
        waited.with_context(|| format!("-- console of {} --\n{}\n--", self.name, last_lines(&self.console(), 20)))
    }

    /// Waits until the sample API says that it and its database work.
    pub fn wait_until_healthy(&self, timeout: Duration) -> Result<()> {
        wait_for(&format!("the API of {} to be healthy", self.name), timeout, || {
            self.must_run()?;
            let response = self.request("GET", "/health");
            Ok(response.is_ok_and(|response| response.status == 200).then_some(()))
        })
    }

    /// An error when the machine ended by itself.
    fn must_run(&self) -> Result<()> {
        match lock(&self.process).as_mut().map(Child::try_wait) {
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(status))) => bail!("machine {} ended: {status}", self.name),
            Some(Err(error)) => Err(error).context("cannot look at the emulator"),
            None => bail!("machine {} is off", self.name),
        }
    }

    /// Starts a command and leaves it running; nobody hears what it says.
    pub fn start(&self, arguments: &[&str]) -> Result<()> {
        let output = self.channel.ask("start", arguments, ANSWER_TIMEOUT)?;
        if !output.success() {
            bail!("cannot start `{}` in {}: {}", arguments.join(" "), self.name, output.stderr);
        }
        Ok(())
    }

    /// What the agent saw so far, over all boots, from the given number on.
    pub fn sightings(&self, from: usize) -> Vec<Sighting> {
        self.channel.sightings(from)
    }

    /// From now on, orders are written one after the other; see [`sightings`](Self::sightings) for those that the
    /// database acknowledged as durable.
    pub fn write_orders(&self) -> Result<()> {
        self.write("/etc/lab-write-orders", API_PORT.to_string().as_bytes(), 0o644)?;
        // The tests cut the power; the order to write must not be lost by that.
        self.exec_ok(&["sync"]).map(drop)
    }

    /// What the machine said on its console, over all boots.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.board.console_log).unwrap_or_default()).into_owned()
    }
}

impl Testbed for EmulatedMachine {
    fn name(&self) -> &str {
        &self.name
    }

    fn api_port(&self) -> u16 {
        API_PORT
    }

    fn mongod_port(&self) -> u16 {
        MONGOD_PORT
    }

    fn exec(&self, arguments: &[&str]) -> Result<Output> {
        let asked = self.channel.ask("run", arguments, ANSWER_TIMEOUT);
        asked.with_context(|| format!("cannot run `{}` in {}", arguments.join(" "), self.name))
    }

    fn read_file(&self, path: &str) -> Result<String> {
        self.exec_ok(&["cat", "--", path])
    }

    fn write(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let _one_at_a_time = lock(&self.handing_in);
        let prints = self.board.emulator.hand_in(&self.board, content)?;
        let script = format!("{prints} | install -D -m {mode:o} /dev/stdin \"$1\" && stat -c %s -- \"$1\"");
        let written = self.exec_ok(&["sh", "-c", &script, "sh", path])?;
        if written.trim() != content.len().to_string() {
            bail!("{path} in {} has {} bytes of {}", self.name, written.trim(), content.len());
        }
        Ok(())
    }

    fn request(&self, method: &str, path: &str) -> Result<Response> {
        let said = self.exec_ok(&["lab-agent", "request", method, &API_PORT.to_string(), path])?;
        let (status, body) = said.split_once('\n').context("no answer")?;
        Ok(Response { status: status.parse().context("no status")?, body: body.to_owned() })
    }
}

impl Drop for EmulatedMachine {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("-- console of {} --\n{}", self.name, last_lines(&self.console(), 20));
        }
        let off = self.cut_power();
        let removed = match self.lock {
            Some(_) => off.and_then(|()| leftovers::give_up(&self.directory)),
            None => off,
        };
        if let Err(error) = removed {
            // The next start of the lab tries again.
            eprintln!("lab: machine {} is not removed yet: {error:#}", self.name);
        }
    }
}

/// Boots a new disk, waits until all on it is settled, does what is left to do, and switches off.
pub(crate) fn first_boot(
    claim: &Claim,
    emulator: Box<dyn Emulator>,
    timeout: Duration,
    finish: impl FnOnce(&EmulatedMachine) -> Result<()>,
) -> Result<()> {
    let share = claim.directory.join("share");
    let board = Board { id: claim.id.clone(), emulator, share, console_log: claim.directory.join("console.log") };
    let machine = EmulatedMachine::on(board, "image", claim.directory.clone(), None);
    let boot = || {
        machine.boot()?;
        machine.wait_until_up(timeout)?;
        wait_for("the sample API and its database", timeout, || Ok(is_settled(&machine)?.then_some(())))?;
        finish(&machine)?;
        machine.power_off(timeout)
    };
    boot().with_context(|| format!("-- console --\n{}\n--", machine.console()))
}

/// What the machine must show before its disk becomes an image.
fn is_settled(machine: &impl Testbed) -> Result<bool> {
    let healthy = machine.request("GET", "/health").is_ok_and(|response| response.status == 200);
    Ok(healthy && machine.request("GET", "/count")?.body.trim() == "500")
}
