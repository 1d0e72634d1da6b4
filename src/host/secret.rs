//! Secrets from files that only their owner can read. Shared by the adapters that need one.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::command::below;
use super::{HostError, HostErrorKind, HostResult};

/// No secret is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads `name` (as in "the connection string") from a file below `root`. What is checked is the file that is read, so
/// that nobody can put another in its place between. No error repeats it.
pub fn read(root: &Path, owner: u32, path: &str, name: &str) -> HostResult<String> {
    let what = format!("read {name} in {path}");
    let refused = |why: String| HostError::new(HostErrorKind::Refused, &what, why);
    // Without NONBLOCK a pipe in the file's place would hold us up for ever.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(|error| HostError::failed(&what, error))?;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(below(root, path));
    let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::LOOP) => refused("it is a symbolic link, not a regular file".to_owned()),
        _ => HostError::failed(&what, error),
    })?;
    let metadata = file.metadata().map_err(|error| HostError::failed(&what, error))?;
    if !metadata.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    if metadata.uid() != owner {
        return Err(refused(format!("it belongs to user {}, not to user {owner}", metadata.uid())));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(refused(format!("its mode is {mode:04o}: others than its owner may use it; chmod 0600 it")));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| HostError::failed(&what, error))?;
    Ok(text.trim().to_owned())
}
