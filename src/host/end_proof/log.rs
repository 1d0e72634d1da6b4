//! Where a server's log is, how far it went, and what it says since. Nothing that stood there before the stop is read as a
//! proof of it.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::{Server, process};
use crate::host::command::{self, below};
use crate::host::{HostError, HostResult, foreign};
use crate::model::{LogMark, LogPlace};

pub(super) const STDOUT: &str = "fd/1";
pub(super) const STDERR: &str = "fd/2";

/// What is read of what was written since; the proof is at its end.
const MOST: u64 = 8 * 1024 * 1024;
/// The same of the journal, in records.
const RECORDS: &str = "2000";

/// A journal of gigabytes on a slow disk takes a while.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The log that one of the server's own descriptors leads to.
pub(super) fn of_descriptor(root: &Path, server: &Server, descriptor: &str) -> Result<LogPlace, String> {
    let pid = server.pid;
    let link = root.join("proc").join(pid.to_string()).join(descriptor);
    let target = std::fs::read_link(&link).map_err(|error| format!("{}: {error}", link.display()))?;
    if target.to_string_lossy().starts_with("socket:") {
        return Ok(LogPlace::Journal { invocation: server.invocation.clone(), pid });
    }
    let (path, _) = process::place(root, pid, descriptor)?;
    of_file(root, &path.to_string_lossy())
}

/// A log by its name. One that is not there is made by its first line.
pub(super) fn of_file(root: &Path, path: &str) -> Result<LogPlace, String> {
    let mark = match foreign::open(&below(root, path)).and_then(|file| file.metadata()) {
        Ok(found) => Some(LogMark { device: found.dev(), inode: found.ino(), length: found.len() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{path}: {error}")),
    };
    Ok(LogPlace::File { path: path.to_owned(), mark })
}

/// What was written to a log since it was found: all of one that was put in its place, or was cut.
pub(super) fn since(root: &Path, path: &str, mark: Option<LogMark>) -> Result<String, String> {
    let read = || -> io::Result<String> {
        let mut file = foreign::open(&below(root, path))?;
        let found = file.metadata()?;
        let goes_on =
            |mark: &LogMark| (mark.device, mark.inode) == (found.dev(), found.ino()) && mark.length <= found.len();
        let from = mark.filter(goes_on).map_or(0, |mark| mark.length);
        file.seek(SeekFrom::Start(from.max(found.len().saturating_sub(MOST))))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| format!("{path}: {error}")),
    }
}

/// Whether the journal keeps anything; a file was opened when it was found.
pub(super) async fn can_be_read(root: &Path, log: &LogPlace) -> HostResult<()> {
    if !matches!(log, LogPlace::Journal { .. }) {
        return Ok(());
    }
    let args = ["--quiet", "--no-pager", "--output=json", "--lines=1"];
    let said = command::read_text(root, "journalctl", &args, TIMEOUT).await?;
    if said.trim().is_empty() {
        return Err(HostError::failed("read the journal", "it keeps nothing (Storage= in journald.conf)"));
    }
    Ok(())
}

/// What one process has written to the journal under one start of its unit. journald itself says whose a record is.
pub(super) async fn of_journal(root: &Path, invocation: &str, pid: u32) -> HostResult<String> {
    // What was written right before the end may still be on its way. Where journald does not answer, that is not there yet.
    let _synced = command::read_text(root, "journalctl", &["--sync"], TIMEOUT).await;
    let whose = [format!("_SYSTEMD_INVOCATION_ID={invocation}"), format!("_PID={pid}")];
    let how = ["--quiet", "--no-pager", "--all", "--output=cat", "--lines", RECORDS];
    command::read_text(root, "journalctl", &[&how[..], &[&whose[0], &whose[1]]].concat(), TIMEOUT).await
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::host::tree;

    const LOG: &str = "/var/log/redis.log";

    fn mark(root: &Path) -> Option<LogMark> {
        match of_file(root, LOG).unwrap() {
            LogPlace::File { mark, .. } => mark,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_stood_there_before_is_no_proof() {
        type Deed = fn(&Path);
        let append = |root: &Path| tree::write(root, LOG, "before\nafter\n");
        let cases: [(&str, Deed, &str); 5] = [
            ("goes on", append, "after\n"),
            ("stays", |_| (), ""),
            (
                "is rotated",
                |root| {
                    fs::rename(below(root, LOG), below(root, "/var/log/redis.log.1")).unwrap();
                    tree::write(root, LOG, "after the rotation\n");
                },
                "after the rotation\n",
            ),
            (
                "is rotated, and nothing follows",
                |root| {
                    fs::rename(below(root, LOG), below(root, "/var/log/redis.log.1")).unwrap();
                },
                "",
            ),
            ("is cut", |root| tree::write(root, LOG, "cut\n"), "cut\n"),
        ];
        for (case, deed, expected) in cases {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path();
            tree::write(root, LOG, "before\n");
            let mark = mark(root);
            assert!(mark.is_some());
            deed(root);
            assert_eq!(since(root, LOG, mark).unwrap(), expected, "{case}");
        }
    }

    #[test]
    fn a_log_is_made_by_its_first_line_and_only_its_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert_eq!(mark(root), None);
        assert_eq!(since(root, LOG, None).unwrap(), "");
        tree::write(root, LOG, "first\n");
        assert_eq!(since(root, LOG, None).unwrap(), "first\n");
        fs::OpenOptions::new().write(true).open(below(root, LOG)).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(since(root, LOG, None).unwrap().len() as u64, MOST);
        fs::remove_file(below(root, LOG)).unwrap();
        fs::create_dir(below(root, LOG)).unwrap();
        assert!(of_file(root, LOG).unwrap_err().contains("not a regular file"));
        assert!(since(root, LOG, None).unwrap_err().contains("not a regular file"));
    }

    /// A host below `root` whose process 7 writes its errors to a file, to the journal, and to what nobody can read.
    #[test]
    fn a_descriptor_leads_to_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        tree::write(root, "/var/log/mysql/error.log", "2026\n");
        let server = Server { pid: 7, own_pid: 7, invocation: "a1".into() };
        let fd = below(root, "/proc/7/fd");
        fs::create_dir_all(&fd).unwrap();
        let journal = LogPlace::Journal { invocation: "a1".into(), pid: 7 };
        symlink("socket:[4711]", fd.join("2")).unwrap();
        assert_eq!(of_descriptor(root, &server, STDERR).unwrap(), journal);
        for (target, text) in [("pipe:[4711]", "No such file"), ("/dev/null", "does not have by that name")] {
            symlink(target, fd.join("1")).unwrap();
            let why = of_descriptor(root, &server, STDOUT).unwrap_err();
            assert!(why.contains(text), "{target}: {why}");
            fs::remove_file(fd.join("1")).unwrap();
        }
        assert!(of_descriptor(root, &server, STDOUT).is_err(), "it is closed");
    }
}
