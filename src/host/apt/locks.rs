//! Who holds the locks of apt and dpkg. They are POSIX locks: the kernel tells whose, and asking takes none.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::host::command::below;
use crate::host::sockets::unit_of_cgroup;
use crate::host::{HostError, HostErrorKind, HostResult};
use crate::model::{LockHolder, PACKAGE_LOCKS};

/// Every lock that somebody holds now.
pub(super) fn holders(root: &Path) -> HostResult<Vec<LockHolder>> {
    let holders = PACKAGE_LOCKS.into_iter().filter_map(|path| holder(root, path).transpose());
    holders.collect()
}

/// Takes every lock, and waits behind whoever has it: the kernel wakes who waits here before those that ask again every
/// second, as apt does, have asked. They are kept as long as the files are open.
///
/// # Errors
///
/// The file system's word, and on which file.
pub fn take(root: &Path) -> Result<Vec<File>, String> {
    let one = |path: &str| {
        let path = below(root, path);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        // As apt makes it where it is not there.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(&path);
        let file = file.map_err(failed)?;
        fcntl_lock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(file)
    };
    PACKAGE_LOCKS.into_iter().map(one).collect()
}

fn holder(root: &Path, path: &str) -> HostResult<Option<LockHolder>> {
    let unknown =
        |error: std::io::Error| HostError::new(HostErrorKind::Unknown, format!("look who holds {path}"), error);
    let file = match File::open(below(root, path)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unknown(error)),
    };
    let wanted = Flock::from(FlockType::WriteLock);
    let Some(held) = fcntl_getlk(&file, &wanted).map_err(|error| unknown(error.into()))? else { return Ok(None) };
    // A holder outside of our container has no number here.
    let pid = held.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    let process = |file: &str| {
        let path = below(root, &format!("/proc/{}/{file}", pid?));
        fs::read_to_string(path).ok()
    };
    Ok(Some(LockHolder {
        lock: path.to_owned(),
        pid,
        program: process("comm").map(|comm| comm.trim_end().to_owned()).unwrap_or_default(),
        unit: process("cgroup").and_then(|text| unit_of_cgroup(&text)),
    }))
}
