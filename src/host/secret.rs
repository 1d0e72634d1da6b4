//! Secrets from files that only their owner can read, and from systemd's credentials. Shared by the adapters that need
//! one.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{self, below};
use super::{HostError, HostErrorKind, HostResult};

/// No secret is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// A key in a TPM takes its time.
const DECRYPT_TIMEOUT: Duration = Duration::from_secs(30);

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
    text_of(file).map_err(|error| HostError::failed(&what, error))
}

/// Reads a credential that systemd gave to this very service (its directory is `given`), or one of the places where
/// systemd itself would look for it: a run that was started from a terminal is no service that was given any.
pub async fn credential(
    root: &Path,
    owner: u32,
    given: Option<&PathBuf>,
    name: &str,
    meaning: &str,
) -> HostResult<String> {
    let what = format!("read the credential {name}");
    if let Some(given) = given.map(|dir| dir.join(name)).filter(|path| path.exists()) {
        // The directory is systemd's, and only this service sees it: the file's mode is not ours to judge.
        return File::open(given).and_then(text_of).map_err(|error| HostError::failed(what, error));
    }
    let plain = format!("/etc/credstore/{name}");
    if below(root, &plain).exists() {
        return read(root, owner, &plain, meaning);
    }
    let encrypted = format!("/etc/credstore.encrypted/{name}");
    if below(root, &encrypted).exists() {
        let args = ["decrypt", encrypted.as_str(), "-"];
        let text = command::read_text(root, "systemd-creds", &args, DECRYPT_TIMEOUT).await?;
        return Ok(text.trim().to_owned());
    }
    let why = format!("systemd gave us none, and there is neither {plain} nor {encrypted}");
    Err(HostError::new(HostErrorKind::NotFound, what, why))
}

fn text_of(file: File) -> std::io::Result<String> {
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}
