//! Runs a program that only reads, and gives back what it said. Shared by the adapters that have no library to ask.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{HostError, HostErrorKind, HostResult};

/// Where programs are looked for: never the caller's `PATH`, which under sudo may be anything.
const PROGRAM_DIRS: [&str; 5] = ["usr/sbin", "usr/bin", "sbin", "bin", "usr/lib/apt"];

/// `PATH` for programs and the scripts that they start: systemd's default for services.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The locale of every program: messages in English, file names in UTF-8.
pub const LOCALE: &str = "C.UTF-8";

/// The absolute path of a program below `root`; none where it is not installed.
pub fn find(root: &Path, name: &str) -> Option<PathBuf> {
    PROGRAM_DIRS.iter().map(|dir| root.join(dir).join(name)).find(|path| path.is_file())
}

/// The absolute path of a program, installed or not: for a command line that somebody else runs, and whose failure
/// then names the program.
pub fn find_or_default(root: &Path, name: &str) -> String {
    find(root, name).unwrap_or_else(|| root.join(PROGRAM_DIRS[1]).join(name)).display().to_string()
}

/// The path of a host's file below `root`.
pub fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Whom a program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The user's number.
    pub user: u32,
    /// The group's number; the program is in no other group.
    pub group: u32,
}

/// Runs a program below `root` with an environment of ours and nothing on its input, and waits for its end. Its exit
/// status is the caller's to judge.
///
/// `NotFound` where it is not installed; `Unknown` where it does not end within `timeout`: then it is killed, so only
/// programs that change nothing may be run this way.
pub async fn read(root: &Path, name: &str, args: &[&str], timeout: Duration) -> HostResult<Output> {
    run(command(root, name, args)?, name, args, timeout).await
}

/// As [`read`], as somebody else and with more in the environment. Only root can be somebody else: for anybody else
/// this is [`read`].
pub async fn read_as(
    root: &Path,
    name: &str,
    args: &[&str],
    environment: &[(&str, &str)],
    identity: Identity,
    timeout: Duration,
) -> HostResult<Output> {
    let mut command = command(root, name, args)?;
    command.envs(environment.iter().copied());
    if rustix::process::geteuid().is_root() {
        command.uid(identity.user).gid(identity.group);
    }
    run(command, name, args, timeout).await
}

fn command(root: &Path, name: &str, args: &[&str]) -> HostResult<Command> {
    let program = find(root, name)
        .ok_or_else(|| HostError::new(HostErrorKind::NotFound, words(name, args), "it is not installed"))?;
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", PATH).env("LC_ALL", LOCALE).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

async fn run(mut command: Command, name: &str, args: &[&str], timeout: Duration) -> HostResult<Output> {
    match tokio::time::timeout(timeout, command.output()).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(HostError::failed(words(name, args), error)),
        Err(_) => {
            let why = format!("no answer within {} s", timeout.as_secs());
            Err(HostError::new(HostErrorKind::Unknown, words(name, args), why))
        }
    }
}

/// A command as it is told. The arguments of a long list are not.
fn words(name: &str, args: &[&str]) -> String {
    let told = args.iter().copied().take(12);
    let more = if args.len() > 12 { Some("…") } else { None };
    std::iter::once(name).chain(told).chain(more).collect::<Vec<_>>().join(" ")
}

/// Runs a program of the user's to its end, with an environment of ours, nothing on its input and no terminal. Whoever
/// stops waiting kills it, with all that it started.
pub async fn ask(program: &Path, args: &[String]) -> std::io::Result<Output> {
    // In a session of its own it has no terminal, whoever looks. Its children are in its process group then.
    let child = Command::new("/usr/bin/setsid")
        .arg("--wait")
        .arg(program)
        .args(args)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", LOCALE)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut group = GroupGuard(child.id());
    let output = child.wait_with_output().await;
    // It was waited for: the number may be somebody else's by now.
    group.0 = None;
    output
}

/// Kills a process group when it is dropped.
struct GroupGuard(Option<u32>);

impl Drop for GroupGuard {
    fn drop(&mut self) {
        let group = self.0.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            // A group that has ended is what is wanted.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// As [`read`], for a program that must succeed: gives its output as text. Bytes that are no UTF-8 are replaced.
pub async fn read_text(root: &Path, name: &str, args: &[&str], timeout: Duration) -> HostResult<String> {
    let output = read(root, name, args, timeout).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(HostError::failed(words(name, args), complaint(&output)))
}

/// Runs a program that takes `input` and must succeed. It is killed where it does not end within `timeout`, and may
/// then have done its work or not.
pub async fn feed(root: &Path, name: &str, args: &[&str], input: &[u8], timeout: Duration) -> HostResult<()> {
    let program =
        find(root, name).ok_or_else(|| HostError::new(HostErrorKind::NotFound, name, "it is not installed"))?;
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", PATH).env("LC_ALL", LOCALE);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let run = async {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read to the end says by its exit status what it made of that.
            let _ = stdin.write_all(input).await;
        }
        child.wait_with_output().await
    };
    match tokio::time::timeout(timeout, run).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => Err(HostError::failed(name, complaint(&output))),
        Ok(Err(error)) => Err(HostError::failed(name, error)),
        Err(_) => Err(HostError::new(HostErrorKind::Unknown, name, format!("not done within {} s", timeout.as_secs()))),
    }
}

/// What a failed program said, in one line: its errors, and how it ended.
pub fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).take(5).collect();
    let status = output.status;
    if said.is_empty() { status.to_string() } else { format!("{} ({status})", said.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn runs_with_an_environment_of_ours_only() {
        let text = read_text(Path::new("/"), "env", &[], SOON).await.unwrap();
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
    }

    #[tokio::test]
    async fn says_what_failed_and_why() {
        let error = read_text(Path::new("/"), "no-such-program", &["-x"], SOON).await.unwrap_err();
        assert_eq!((error.kind, error.what.as_str()), (HostErrorKind::NotFound, "no-such-program -x"));

        let error = read_text(Path::new("/"), "cat", &["/no/such/file"], SOON).await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Failed);
        assert!(error.why.contains("No such file or directory (exit status: 1)"), "{error}");

        let error = read(Path::new("/"), "sleep", &["60"], Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Unknown);
    }
}
