//! One coordinator at a time.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{StoreError, StoreResult};

/// Proof that this process holds the lock. Everything that writes below the state directory is reached through it.
/// The lock is an flock of an open file: the kernel drops it when the process ends, however it ends.
#[derive(Debug)]
pub struct LockedState {
    pub(super) root: PathBuf,
    file: File,
}

/// Who holds the lock, as far as the host tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LockHolder {
    pub pid: Option<u32>,
    /// What the holder wrote about itself.
    pub note: String,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("a process that cannot be named")?,
        }
        match self.note.as_str() {
            "" => Ok(()),
            note => write!(f, " ({note})"),
        }
    }
}

impl LockedState {
    pub(super) fn acquire(root: &Path, note: &str) -> StoreResult<Self> {
        let path = lock_path(root);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(holder(root).unwrap_or_default())),
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
        }
        // For people only: the lock itself is the flock.
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
        written.map_err(StoreError::io("write", &path))?;
        Ok(Self { root: root.to_owned(), file })
    }
}

impl Drop for LockedState {
    fn drop(&mut self) {
        // A stale note would name a holder that is gone; without it, nothing is lost.
        let _ = self.file.set_len(0);
        // Closing would not do: a process that is being spawned still has a copy of the descriptor, and with it the lock.
        let _ = self.file.unlock();
    }
}

fn lock_path(root: &Path) -> PathBuf {
    root.join("lock")
}

/// Who holds the lock now. Reads `/proc/locks` (proc_locks(5)), so that looking never takes the lock from anybody.
pub(super) fn holder(root: &Path) -> Option<LockHolder> {
    let path = lock_path(root);
    let inode = fs::metadata(&path).ok()?.ino();
    let pid = (0..LOOKS).find_map(|_| read_locks().ok()?.lines().find_map(|line| holder_in(line, inode)))?;
    let note = fs::read_to_string(&path).unwrap_or_default();
    Some(LockHolder { pid: (pid > 0).then(|| u32::try_from(pid).ok()).flatten(), note })
}

/// How often `/proc/locks` is read before a lock that is not in it counts as free.
const LOOKS: u32 = 5;

/// The kernel lists the locks anew for each read, by their position: whoever reads in small pieces while others come and
/// go misses some. One piece holds the locks of most hosts; where it does not, several looks must do.
fn read_locks() -> std::io::Result<String> {
    let mut file = File::open("/proc/locks")?;
    let mut buffer = vec![0; 1 << 16];
    let mut text = Vec::new();
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            length => text.extend_from_slice(&buffer[..length]),
        }
    }
}

/// The process of a line of `/proc/locks` that holds a write flock on the inode; 0 or less where the process belongs to
/// another PID namespace. Lines of waiters have an arrow (`->`) in the second field.
fn holder_in(line: &str, inode: u64) -> Option<i64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields.as_slice() {
        [_, "FLOCK", _, "WRITE", pid, file, ..] => {
            let (_, number) = file.rsplit_once(':')?;
            (number.parse::<u64>().ok()? == inode).then(|| pid.parse().ok()).flatten()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_holder_of_this_file_is_named() {
        let cases = [
            ("1: FLOCK  ADVISORY  WRITE 812 fe:00:4242 0 EOF", Some(812)),
            ("2: -> FLOCK  ADVISORY  WRITE 813 fe:00:4242 0 EOF", None),
            ("3: POSIX  ADVISORY  WRITE 814 fe:00:4242 0 EOF", None),
            ("4: FLOCK  ADVISORY  WRITE 815 fe:00:42 0 EOF", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(holder_in(line, 4242), expected, "{line}");
        }
    }
}
