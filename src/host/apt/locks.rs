//! Who holds the locks of apt and dpkg. They are POSIX locks: the kernel tells whose, and asking takes none.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::host::command::below;
use crate::host::sockets::unit_of_cgroup;
use crate::host::{HostError, HostErrorKind, HostResult};
use crate::model::LockHolder;

/// Of dpkg as it is run by apt, of dpkg itself, of the package lists, of the download cache.
const LOCKS: [&str; 4] =
    ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"];

/// Every lock that somebody holds now.
pub(super) fn holders(root: &Path) -> HostResult<Vec<LockHolder>> {
    let holders = LOCKS.into_iter().filter_map(|path| holder(root, path).transpose());
    holders.collect()
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
