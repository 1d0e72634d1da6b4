//! Runs a program that only reads, and gives back what it said. Shared by the adapters that have no library to ask.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::{HostError, HostErrorKind, HostResult};

/// Where programs are looked for: never the caller's `PATH`, which under sudo may be anything.
const PROGRAM_DIRS: [&str; 5] = ["usr/sbin", "usr/bin", "sbin", "bin", "usr/lib/apt"];

/// `PATH` for programs and the scripts that they start: systemd's default for services.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Of util-linux, without which there is no Debian.
const SETSID: &str = "/usr/bin/setsid";

/// What is kept of a program's output. The longest that is wanted, all that dpkg and apt know of a big host, is a tenth.
pub const MOST_OUTPUT: usize = 64 << 20;
/// What is kept of a program's complaints.
const MOST_COMPLAINT: usize = 64 << 10;
/// What is told of one line of them, in characters.
const LONGEST_LINE: usize = 400;

/// The locale of every program: messages in English, file names in UTF-8.
pub const LOCALE: &str = "C.UTF-8";

/// The environment that every program of ours begins with, and most have nothing else: what is read of a program must not
/// depend on who called us, nor on what systemd's manager passes on. gettext follows `LANGUAGE` even where `LC_ALL` is
/// `C.UTF-8`; an empty one counts as none.
pub fn environment() -> Vec<(String, String)> {
    [("PATH", PATH), ("LC_ALL", LOCALE), ("LANGUAGE", "")].map(|(name, value)| (name.into(), value.into())).to_vec()
}

/// The absolute path of a program below `root`; none if it is not installed.
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

/// A program of which nothing of the caller's is left but its rights: an environment of ours, nothing on its input, the
/// root as its directory, and a session of its own. Without that it would keep the terminal of whoever called us, and
/// could type into it (TIOCSTI) what root's shell then runs. It leads its process group, so that its children can be
/// ended with it.
///
/// Every child is made here.
pub fn detached(program: &Path) -> std::process::Command {
    // One that is no leader of a group, as our children are, becomes the session's leader itself, and then the program.
    let mut command = std::process::Command::new(SETSID);
    command.arg("--wait").arg(program);
    command.env_clear().envs(environment()).current_dir("/").stdin(Stdio::null());
    command
}

/// Runs a program below `root` as [`detached`] does, and waits for its end. Its exit status is the caller's to judge.
///
/// `NotFound` where it is not installed; `Unknown` where it does not end within `timeout`: then it is killed, with all
/// that it started, so only programs that change nothing may be run this way. An answer that is longer than
/// [`MOST_OUTPUT`] is an error: half of it must not pass for the whole.
pub async fn read(root: &Path, name: &str, args: &[&str], timeout: Duration) -> HostResult<Output> {
    run(command(root, name, args)?, &words(name, args), timeout).await
}

fn command(root: &Path, name: &str, args: &[&str]) -> HostResult<Command> {
    let program = find(root, name)
        .ok_or_else(|| HostError::new(HostErrorKind::NotFound, words(name, args), "it is not installed"))?;
    let mut command = detached(&program);
    command.args(args);
    Ok(command.into())
}

/// As [`read`], for a command that was made by [`detached`].
pub async fn run(command: Command, what: &str, timeout: Duration) -> HostResult<Output> {
    let said = match tokio::time::timeout(timeout, output(command, None)).await {
        Ok(Ok(said)) => said,
        Ok(Err(error)) => return Err(HostError::failed(what, error)),
        Err(_) => {
            let why = format!("no answer within {} s", timeout.as_secs());
            return Err(HostError::new(HostErrorKind::Unknown, what, why));
        }
    };
    if said.cut {
        let why = format!("it said more than {} MiB, and was not read to the end", MOST_OUTPUT >> 20);
        return Err(HostError::failed(what, why));
    }
    Ok(said.output)
}

/// A command as it is told. The arguments of a long list are not.
fn words(name: &str, args: &[&str]) -> String {
    let told = args.iter().copied().take(12);
    let more = if args.len() > 12 { Some("…") } else { None };
    std::iter::once(name).chain(told).chain(more).collect::<Vec<_>>().join(" ")
}

/// Runs a program of the user's to its end, as [`detached`] does. Whoever stops waiting kills it, with all that it
/// started. Of an endless output the beginning is kept.
pub async fn ask(program: &Path, args: &[String]) -> std::io::Result<Output> {
    let mut command = detached(program);
    command.args(args);
    Ok(output(command.into(), None).await?.output)
}

/// As [`read`], for a program by its path that another user runs, who is in no other group. Only root can become another.
pub async fn ask_as(
    program: &Path,
    args: &[String],
    (user, group): (u32, u32),
    what: &str,
    timeout: Duration,
) -> HostResult<Output> {
    let mut command = detached(program);
    command.args(args);
    let mut command = Command::from(command);
    if rustix::process::geteuid().is_root() {
        command.uid(user).gid(group);
    }
    run(command, what, timeout).await
}

/// What a program said, and whether it said more than was kept.
struct Said {
    output: Output,
    cut: bool,
}

/// Feeds a program, hears it and waits for its end. What is more than is kept is heard all the same: a program that
/// cannot write would not end.
async fn output(mut command: Command, input: Option<&[u8]>) -> std::io::Result<Said> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn()?;
    let mut group = GroupGuard(child.id());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program that does not read to the end says by its exit status what it made of that.
            let _ = stdin.write_all(input).await;
        }
    };
    let (status, (), stdout, stderr) =
        tokio::join!(child.wait(), feed, hear(stdout, MOST_OUTPUT), hear(stderr, MOST_COMPLAINT));
    let (status, (stdout, cut), (stderr, _)) = (status?, stdout?, stderr?);
    // It was waited for: the number may be somebody else's by now.
    group.0 = None;
    Ok(Said { output: Output { status, stdout, stderr }, cut })
}

/// The beginning of what is said, and whether there was more.
async fn hear(from: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let Some(mut from) = from else { return Ok((Vec::new(), false)) };
    let mut heard = Vec::new();
    let mut cut = false;
    let mut part = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut part).await?;
        if length == 0 {
            return Ok((heard, cut));
        }
        let kept = length.min(most - heard.len());
        heard.extend_from_slice(&part[..kept]);
        cut |= kept < length;
    }
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
    let mut command = detached(&program);
    command.args(args);
    match tokio::time::timeout(timeout, output(command.into(), Some(input))).await {
        Ok(Ok(said)) if said.output.status.success() => Ok(()),
        Ok(Ok(said)) => Err(HostError::failed(name, complaint(&said.output))),
        Ok(Err(error)) => Err(HostError::failed(name, error)),
        Err(_) => Err(HostError::new(HostErrorKind::Unknown, name, format!("not done within {} s", timeout.as_secs()))),
    }
}

/// What a failed program said, in one line: its errors, and how it ended.
pub fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let short = |line: &str| match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    };
    let said: Vec<String> = said.lines().map(str::trim).filter(|line| !line.is_empty()).take(5).map(short).collect();
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
        assert_eq!(names, ["LANGUAGE", "LC_ALL", "PATH"]);
    }

    #[tokio::test]
    async fn another_user_is_in_no_group_of_roots() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let id = |what: &str| vec![format!("-{what}")];
        for (what, expected) in [("u", "64001\n"), ("g", "64002\n"), ("G", "64002\n")] {
            let said = ask_as(Path::new("/usr/bin/id"), &id(what), (64_001, 64_002), "ask id", SOON).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&said.stdout), expected);
        }
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

    /// The process that answers has no terminal, is alone in its session with its children, and stands at the root.
    #[tokio::test]
    async fn a_child_is_in_a_session_of_its_own() {
        let stat = read_text(Path::new("/"), "cat", &["/proc/self/stat"], SOON).await.unwrap();
        // pid (comm) state ppid pgrp session tty_nr
        let pid = stat.split(' ').next().unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        assert_eq!(fields[2..5], [pid, pid, "0"], "{stat}");
        assert_eq!(read_text(Path::new("/"), "pwd", &["-P"], SOON).await.unwrap(), "/\n");
    }

    #[tokio::test]
    async fn of_a_flood_the_beginning_is_kept_and_half_an_answer_is_none() {
        let error = read(Path::new("/"), "head", &["-c", "80M", "/dev/zero"], SOON).await.unwrap_err();
        assert!(error.why.contains("more than 64 MiB"), "{error}");
        let flood =
            ["-c".to_owned(), "head -c 80M /dev/zero; head -c 1M /dev/zero | tr '\\0' x >&2; exit 3".to_owned()];
        let seen = ask(Path::new("/bin/sh"), &flood).await.unwrap();
        assert_eq!((seen.stdout.len(), seen.stderr.len()), (MOST_OUTPUT, MOST_COMPLAINT));
        assert!(
            complaint(&seen).len() < 500 && complaint(&seen).ends_with("…(exit status: 3)".trim_start_matches('…'))
        );
    }

    #[tokio::test]
    async fn who_is_not_waited_for_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", pid.display());
        let error = read(Path::new("/"), "sh", &["-c", &script], Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Unknown);
        let child: u32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        let has_ended = || match std::fs::read_to_string(format!("/proc/{child}/stat")) {
            Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')),
            Err(_) => true,
        };
        let until = std::time::Instant::now() + SOON;
        while !has_ended() {
            assert!(std::time::Instant::now() < until, "{child} goes on");
            tokio::task::yield_now().await;
        }
    }

    /// A program that nobody reads to the end would fill the memory of a mail or a wall message's way.
    #[tokio::test]
    async fn what_is_fed_may_answer_as_much_as_it_likes() {
        let script = "cat > /dev/null; head -c 80M /dev/zero";
        feed(Path::new("/"), "sh", &["-c", script], b"text", SOON).await.unwrap();
    }
}
