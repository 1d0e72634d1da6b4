//! Reads files that others than root may put there, change or replace: a server's log, its lock, its configuration.
//!
//! Whoever owns the place of a file can put a pipe there, a device, a link to a file of root's, or a file without end,
//! and a file system may hang. None of that may hold up a run, or make root read what it was not meant to. So such files
//! are read here and nowhere else: regular files only, at most so many bytes, and for no longer than the caller says.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::{HostError, HostErrorKind, HostResult, way};

/// How long files of this host may take to be read; one on a disk that hangs is given up then.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a regular file to read it. Nothing else is ever opened: to open a pipe waits, and to open a device may do
/// something. A link of somebody else's than root may lead to files of the same owner only.
///
/// # Errors
///
/// It is not there, it is something else, or it leads elsewhere.
pub fn open(path: &Path) -> io::Result<File> {
    let places = way::to(path)?;
    let end = places.last().ok_or(io::ErrorKind::NotFound)?;
    let owner = end.metadata.uid();
    let stranger = places.iter().find(|place| {
        let metadata = &place.metadata;
        metadata.is_symlink() && metadata.uid() != 0 && metadata.uid() != owner
    });
    if let Some(link) = stranger {
        let why =
            format!("{} is a link of user {}, to a file of user {owner}", link.path.display(), link.metadata.uid());
        return Err(refused(why));
    }
    // A descriptor that only names the file: so what is judged is what is then opened.
    let named = rustix::fs::open(&end.path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let named = File::from(named);
    let metadata = named.metadata()?;
    if !metadata.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    if !is_same(&metadata, &end.metadata) {
        return Err(refused("it was replaced while we looked at it".to_owned()));
    }
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(format!("/proc/self/fd/{}", named.as_raw_fd()))
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// A whole file, of at most so many bytes. Bytes that are no UTF-8 are replaced.
///
/// # Errors
///
/// As [`open`], or it is longer.
pub fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(refused(format!("it is longer than {most} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last bytes of a file. The first line may have lost its beginning.
///
/// # Errors
///
/// As [`open`].
pub fn tail(path: &Path, most: u64) -> io::Result<String> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    // Somebody who writes faster than we read must not keep us here.
    file.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Does what looks at such files on a thread of its own, and gives up on it when the time is over: the thread stays with
/// whatever hangs, and the run goes on.
///
/// # Errors
///
/// `Unknown`: it did not end.
pub async fn in_time<T: Send + 'static>(
    limit: Duration,
    what: &str,
    look: impl FnOnce() -> T + Send + 'static,
) -> HostResult<T> {
    match tokio::time::timeout(limit, tokio::task::spawn_blocking(look)).await {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error)) => Err(HostError::failed(what, error)),
        Err(_) => {
            let why = format!("no answer within {} s: the disk or the file system hangs", limit.as_secs());
            Err(HostError::new(HostErrorKind::Unknown, what, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};
    use std::sync::mpsc;

    use super::*;

    const SOMEBODY: Option<u32> = Some(64_001);

    /// Whoever would wait for ever has a minute.
    fn soon<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, end) = mpsc::channel();
        std::thread::spawn(move || done.send(read()));
        end.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn nothing_but_a_regular_file_is_read_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        symlink("pipe", at("link-to-pipe")).unwrap();
        symlink("/dev/zero", at("link-to-device")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        for name in ["pipe", "link-to-pipe", "link-to-device", "socket", "directory"] {
            let path = at(name);
            let (whole, end) = soon(move || (read(&path, 100), tail(&path, 100)));
            assert!(whole.unwrap_err().to_string().contains("not a regular file"), "{name}");
            assert!(end.is_err(), "{name}");
        }
        assert!(read(&at("none"), 100).is_err());
    }

    #[test]
    fn no_more_is_read_than_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let sparse = dir.path().join("sparse");
        File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        assert!(read(&sparse, 1000).unwrap_err().to_string().contains("longer than 1000 bytes"));
        assert_eq!(tail(&sparse, 1000).unwrap().len(), 1000);
    }

    #[test]
    fn a_link_leads_to_files_of_its_own_owner_or_was_made_by_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (file, owner) in [("secret-of-root", None), ("log", SOMEBODY), ("log-of-another", Some(64_002))] {
            fs::write(at(file), "text").unwrap();
            lchown(at(file), owner, owner).unwrap();
        }
        for (name, target, owner, is_read) in [
            ("1", "log", SOMEBODY, true),
            ("2", "log", None, true),
            ("3", "secret-of-root", None, true),
            ("4", "secret-of-root", SOMEBODY, false),
            ("5", "log-of-another", SOMEBODY, false),
            ("6", "4", None, false),
        ] {
            symlink(target, at(name)).unwrap();
            lchown(at(name), owner, owner).unwrap();
            assert_eq!(read(&at(name), 100).is_ok(), is_read, "{name}: {:?}", read(&at(name), 100));
        }
    }

    #[tokio::test]
    async fn what_hangs_is_given_up() {
        let (release, held) = mpsc::channel::<()>();
        let hung = move || held.recv().is_ok();
        let error = in_time(Duration::from_millis(20), "read the log", hung).await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Unknown);
        drop(release);
    }
}
