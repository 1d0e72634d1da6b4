//! Runs commands inside a machine, and reaches its files.

use super::Machine;
use crate::process::shown;
use anyhow::{Context, Result, bail};
use std::env;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Starts the command as a child and waits for it, staying outside the machine's process IDs itself.
///
/// nsenter can fork and wait too, but then it stops itself when its child is stopped. A machine that shuts down first
/// stops all its processes: nsenter would never collect its dead child, and the machine would never end.
///
/// `env` makes sure that a program is run, never the shell's builtin of that name: `kill`, run by the shell itself,
/// would hit a process of the host.
///
/// Only the command gets standard error: the shell would remark there that its child was killed.
const WAIT_FOR_CHILD: &str = "exec 3>&2 2>/dev/null; env -- \"$@\" 2>&3 3>&-; exit $?";

/// How a command inside a machine ended, and what it said.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; 128 and the signal's number when a signal ended the command, as when the machine goes down.
    pub status: ExitStatus,
    /// What it wrote to standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Whether the exit code is 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// The exit code; none when the waiting shell was killed.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl Machine {
    /// A command that will run inside, as root, with a clean environment and `/` as its directory. It belongs to
    /// the machine's process IDs, mounts and so on, but to no unit and no session of it.
    ///
    /// The child is a shell that waits for the command, so a signal that ends the command shows as exit code 128 and
    /// its number. Killing the child leaves the command running: that is what a lost connection looks like.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let Some((program, rest)) = arguments.split_first() else { bail!("no command to run in {}", self.name()) };
        let leader = self.leader()?.to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &leader, "--all", "--no-fork", "--", "sh", "-c", WAIT_FOR_CHILD, "sh", program]);
        command.args(rest);
        command.env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", "/root").env("USER", "root").env("LANG", "C.UTF-8");
        command.stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a command to its end. A failing command is no error here: look at [`Output::status`].
    pub fn exec(&self, arguments: &[&str]) -> Result<Output> {
        self.exec_with_env(arguments, &[])
    }

    /// As [`exec`](Self::exec), with environment variables added.
    pub fn exec_with_env(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
        let mut command = self.command(arguments)?;
        command.envs(environment.iter().copied());
        let output = command.output().with_context(|| format!("cannot run `{}`", shown(&command)))?;
        Ok(Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command that must succeed, and returns its standard output.
    pub fn exec_ok(&self, arguments: &[&str]) -> Result<String> {
        let output = self.exec(arguments)?;
        if !output.success() {
            let said = output.stderr.trim();
            bail!("`{}` failed in {} ({}): {said}", arguments.join(" "), self.name(), output.status);
        }
        Ok(output.stdout)
    }

    /// Starts a command and leaves it running; standard output and standard error are pipes.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.command(arguments)?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().with_context(|| format!("cannot start `{}`", shown(&command)))
    }

    /// Runs a command in the caller's terminal, to its end.
    pub fn exec_tty(&self, arguments: &[&str]) -> Result<ExitStatus> {
        let mut command = self.command(arguments)?;
        for variable in ["TERM", "COLORTERM", "NO_COLOR"] {
            if let Some(value) = env::var_os(variable) {
                command.env(variable, value);
            }
        }
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        command.status().with_context(|| format!("cannot run `{}`", shown(&command)))
    }

    /// Sends a signal (`KILL`, `TERM`, `STOP`, …) to a process, by its ID inside the machine.
    pub fn kill(&self, pid: u32, signal: &str) -> Result<()> {
        self.exec_ok(&["kill", "-s", signal, &pid.to_string()]).map(drop)
    }

    /// Reads a text file.
    pub fn read_file(&self, path: &str) -> Result<String> {
        let content = self.files()?.read(path)?;
        String::from_utf8(content).with_context(|| format!("{path} in {} is no UTF-8", self.name()))
    }

    /// Writes a file with mode 0644, replacing an old one, and makes the directories above it.
    pub fn write_file(&self, path: &str, content: &str) -> Result<()> {
        self.files()?.write(path, content.as_bytes(), 0o644)
    }

    /// Writes an executable file.
    pub fn write_program(&self, path: &str, content: &[u8]) -> Result<()> {
        self.files()?.write(path, content, 0o755)
    }

    /// Whether a path exists.
    pub fn exists(&self, path: &str) -> Result<bool> {
        self.files()?.exists(path)
    }
}
