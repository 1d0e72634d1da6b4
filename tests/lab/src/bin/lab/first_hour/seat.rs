//! Where an administrator sits: a terminal of 80 columns and 24 rows, and a login on the server by ssh.

use anyhow::{Context, Result, ensure};
use patchday_lab::{Machine, Terminal};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::Duration;

const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// Who administers the server, see `recipe/first-hour/prepare.sh`. No page of the project names a place below `/home`.
pub(super) const USER: &str = "ada";
pub(super) const HOME: &str = "/srv/ada";

/// The prompt of the desk's own shell.
const DESK: &str = "$";

/// Until a screen shows what needs no work.
const SOON: Duration = Duration::from_secs(30);

/// The shell keeps there how its last command ended, see `recipe/first-hour/prepare.sh`.
const ENDED: &str = "/srv/ada/.ended";

pub(super) struct Seat<'a> {
    machine: &'a Machine,
    /// Before the directory: its files are there.
    terminal: Terminal,
    _directory: Directory,
}

impl<'a> Seat<'a> {
    /// Takes a seat before a server that is up, and lets its owner in on that port. Nobody is logged in yet.
    pub(super) fn take(machine: &'a Machine, port: u16) -> Result<Self> {
        let directory = Directory::new()?;
        let path = |name: &str| directory.0.join(name);
        let (key, hosts, settings, shell) = (path("key"), path("known_hosts"), path("ssh_config"), path("bashrc"));
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", "desk", "-f"]).arg(&key);
        let made = make.status().context("cannot run ssh-keygen (Debian's package openssh-client)")?;
        ensure!(made.success(), "ssh-keygen failed: {made}");
        let host = machine.name();
        let its_key = machine.read_file("/etc/ssh/ssh_host_ed25519_key.pub")?;
        write(&hosts, &format!("{host} {its_key}"))?;
        // Through a command, so that what ssh says names the server and not where it listens.
        let connect = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/%p; cat <&3 & exec cat >&3'";
        write(
            &settings,
            &format!(
                "Host {host}\nPort {port}\nUser {USER}\nIdentitiesOnly yes\nIdentityFile {}\nUserKnownHostsFile {}\n\
                 ProxyCommand {connect}\n",
                key.display(),
                hosts.display()
            ),
        )?;
        write(&shell, &format!("PS1='{DESK} '\nssh() {{ command ssh -F {} \"$@\"; }}\n", settings.display()))?;
        let theirs = fs::read_to_string(key.with_extension("pub")).context("cannot read the key's public half")?;
        machine.write_file(&format!("{HOME}/.ssh/authorized_keys"), &theirs)?;
        let shell = shell.display().to_string();
        let program = ["bash", "--noprofile", "--rcfile", &shell];
        let terminal = Terminal::open(&directory.0, COLUMNS, ROWS, &program)?;
        terminal.wait_until("a shell", SOON, |screen| screen == DESK)?;
        Ok(Self { machine, terminal, _directory: directory })
    }

    /// Logs in, which leaves the server's prompt.
    pub(super) fn log_in(&self) -> Result<()> {
        self.enters(DESK, &format!("ssh {}", self.machine.name()))?;
        self.terminal.wait_until("a login", SOON, |screen| last_line(screen) == self.prompt()).map(drop)
    }

    /// What stands before a command on the server.
    fn prompt(&self) -> String {
        format!("{USER}@{}:~$", self.machine.name())
    }

    /// Enters a command on the server's cleared screen.
    pub(super) fn begins(&self, command: &str) -> Result<()> {
        self.enters(&self.prompt(), command)
    }

    fn enters(&self, prompt: &str, command: &str) -> Result<()> {
        self.terminal.presses("C-l")?;
        self.terminal.wait_until("a cleared screen", SOON, |screen| screen == prompt)?;
        self.answers(command)
    }

    /// Types a line, below what the screen shows.
    pub(super) fn answers(&self, line: &str) -> Result<()> {
        self.terminal.types(line)?;
        // Not before the echo: until then the screen still ends with the prompt, as it does when a command has ended.
        self.terminal.wait_until("the echo", SOON, |screen| last_line(screen).ends_with(line))?;
        self.terminal.presses("Enter")
    }

    /// Presses one key.
    pub(super) fn presses(&self, key: &str) -> Result<()> {
        self.terminal.presses(key)
    }

    /// Waits for a moment, and returns the screen as it is then.
    pub(super) fn sees(&self, what: &str, within: Duration, is_so: impl Fn(&str) -> bool) -> Result<String> {
        self.terminal.wait_until(what, within, is_so)
    }

    /// Waits until the command has ended, which must succeed, and returns the screen with its end and the next prompt.
    pub(super) fn ends(&self, what: &str, within: Duration) -> Result<String> {
        let screen = self.terminal.wait_until(what, within, |screen| last_line(screen) == self.prompt())?;
        let code = self.machine.read_file(ENDED)?;
        ensure!(code.trim() == "0", "{what}: the command ended with {}:\n{screen}", code.trim());
        Ok(screen)
    }

    /// A command from its beginning to its end.
    pub(super) fn does(&self, command: &str, within: Duration) -> Result<String> {
        self.begins(command)?;
        self.ends(&format!("the end of `{command}`"), within)
    }

    /// Waits until the server has closed the connection.
    pub(super) fn is_cut_off(&self, within: Duration) -> Result<String> {
        self.terminal.wait_until("the end of the connection", within, |screen| last_line(screen) == DESK)
    }
}

pub(super) fn last_line(screen: &str) -> &str {
    screen.lines().next_back().unwrap_or_default()
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// For what belongs to the seat; only its owner may read there.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("patchday-first-hour-{}", process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("lab: {} is not removed: {error}", self.0.display());
        }
    }
}
