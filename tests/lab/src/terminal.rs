//! A terminal with somebody before it: keys go in, and what its screen shows comes out.

use crate::process::run;
use crate::wait::wait_for;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Nothing of the screen is tmux's own, and the host's user has no say.
const SETTINGS: &str = "set -g exit-empty off\nset -g status off\nset -g default-terminal screen-256color\n";

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A screen of a fixed size, kept by tmux. What runs on it is hung up on when this is dropped, or when the lab dies.
pub struct Terminal {
    server: Child,
    socket: PathBuf,
}

impl Terminal {
    /// Starts a program on a terminal of so many columns and rows. The terminal's own files go to `directory`.
    pub fn open(directory: &Path, columns: u16, rows: u16, program: &[&str]) -> Result<Self> {
        let (socket, settings) = (directory.join("tmux"), directory.join("tmux.conf"));
        fs::write(&settings, SETTINGS).with_context(|| format!("cannot write {}", settings.display()))?;
        let mut server = Command::new("setpriv");
        server.args(["--pdeathsig", "TERM", "tmux", "-u", "-D", "-S"]).arg(&socket).arg("-f").arg(&settings);
        server.env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        let server = server.stdin(Stdio::null()).spawn().context("cannot start tmux (Debian's package tmux)")?;
        let terminal = Self { server, socket };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let session = [&["new-session", "-d", "-x", &columns, "-y", &rows, "--"], program].concat();
        wait_for("tmux to open a terminal", START_TIMEOUT, || Ok(terminal.tmux(&session).ok()))?;
        Ok(terminal)
    }

    /// Types a text, as it is.
    pub fn types(&self, text: &str) -> Result<()> {
        self.tmux(&["send-keys", "-l", "--", text]).map(drop)
    }

    /// Presses a key, by tmux's name for it: `Enter`, `C-c`, `Space`, `q`.
    pub fn presses(&self, key: &str) -> Result<()> {
        self.tmux(&["send-keys", "--", key]).map(drop)
    }

    /// What the screen shows, without blanks at the ends of lines and of the whole.
    pub fn screen(&self) -> Result<String> {
        let screen = self.tmux(&["capture-pane", "-p"])?;
        Ok(screen.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned())
    }

    /// Waits until the screen is as it is wanted, and returns it.
    pub fn wait_until(&self, what: &str, timeout: Duration, is_so: impl Fn(&str) -> bool) -> Result<String> {
        let mut last = String::new();
        let waited = wait_for(what, timeout, || {
            last = self.screen()?;
            Ok(is_so(&last).then(|| last.clone()))
        });
        waited.with_context(|| format!("the screen shows:\n{last}"))
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        run(Command::new("tmux").args(["-N", "-u", "-S"]).arg(&self.socket).args(arguments).env_remove("TMUX"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that does not answer is killed all the same.
        let _ = self.tmux(&["kill-server"]);
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
