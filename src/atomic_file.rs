//! Replacing a file so that after a power cut either the old or the new one is there, whole.
//!
//! A new file under a name of its own is written, synced and renamed into its place, and the directory is synced. So no link
//! is followed, readers see the old content or the new one, and the mode is the one that was meant, whatever the umask.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Replaces a file that no other process writes at the same time. A link that is there is replaced itself, not what it leads
/// to; what a crash left half written goes.
///
/// # Errors
///
/// The file system's word. What was there before is there still, unless the last sync is what failed.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_by(&unfinished(path), path, content, mode)
}

/// As [`replace`], for a file that several processes may write: the last one wins, and none ends what another has begun.
///
/// # Errors
///
/// As [`replace`].
pub fn replace_shared(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_by(&beside(path, &format!("{}.new", std::process::id())), path, content, mode)
}

/// Where [`replace`] writes a file until it is whole; a process that is killed leaves it behind.
pub fn unfinished(path: &Path) -> PathBuf {
    beside(path, "new")
}

/// Hidden, and with an end of its own: not a name that systemd, or whoever else collects such files, would read.
fn beside(path: &Path, end: &str) -> PathBuf {
    path.with_file_name(format!(".{}.{end}", path.file_name().unwrap_or_default().to_string_lossy()))
}

fn replace_by(temporary: &Path, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    if path.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
    }
    remove_if_there(temporary)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    let written = file
        .set_permissions(Permissions::from_mode(mode))
        .and_then(|()| file.write_all(content))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(temporary, path));
    if written.is_err() {
        // The first error is the one to show.
        let _ = fs::remove_file(temporary);
    }
    written?;
    sync_directory_of(path)
}

/// Removes a file, or a link, durably; says whether it was there.
///
/// # Errors
///
/// The file system's word.
pub fn remove(path: &Path) -> io::Result<bool> {
    let was_there = remove_if_there(path)?;
    if was_there {
        sync_directory_of(path)?;
    }
    Ok(was_there)
}

fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames a directory whose files are synced, and syncs both itself and the one above.
///
/// # Errors
///
/// The file system's word.
pub fn rename_directory(from: &Path, to: &Path) -> io::Result<()> {
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    sync_directory_of(to)
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn modes_are_what_was_meant_and_links_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
        // Every umask that is used takes some of these away.
        replace(&at("metrics"), b"1", 0o666).unwrap();
        assert_eq!(mode("metrics"), 0o666);

        fs::write(at("shadow"), "secret").unwrap();
        for (replace, end) in [
            (replace as fn(&Path, &[u8], u32) -> _, "new".to_owned()),
            (replace_shared, format!("{}.new", std::process::id())),
        ] {
            let _ = fs::remove_file(at("motd"));
            symlink(at("shadow"), at("motd")).unwrap();
            symlink(at("shadow"), at(&format!(".motd.{end}"))).unwrap();
            replace(&at("motd"), b"hello", 0o644).unwrap();
            assert_eq!(fs::read_to_string(at("shadow")).unwrap(), "secret");
            assert!(!fs::symlink_metadata(at("motd")).unwrap().is_symlink());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left beside");
        }
        assert!(replace(Path::new("/"), b"", 0o600).is_err());
    }

    #[test]
    fn what_fails_leaves_nothing_half_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in/the/way");
        fs::create_dir_all(&path).unwrap();
        replace(&path, b"text", 0o600).unwrap_err();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(remove(&path).is_err() && !remove(&path.join("none")).unwrap());
    }
}
