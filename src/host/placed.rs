//! Puts a file where a person said, which may be a place where others have a say.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use super::way;
use crate::atomic_file;

/// Writes what a person asked for to where that person said, for nobody else to read. A pipe or a terminal
/// (`/dev/stdout`) is written to; the way there may not lead over somebody else's link.
///
/// # Errors
///
/// Somebody else decides where it would end, it is no file, or the file system's word.
pub fn deliver(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    if let Ok(metadata) = fs::metadata(&path)
        && !metadata.is_file()
    {
        is_ours(&path)?;
        if !(metadata.file_type().is_fifo() || metadata.file_type().is_char_device()) {
            return Err(refused("it is not a regular file".to_owned()));
        }
        return OpenOptions::new().write(true).open(&path)?.write_all(content);
    }
    if let Some(directory) = path.parent() {
        is_ours(directory)?;
    }
    atomic_file::replace_shared(&path, content, 0o600)
}

/// Nobody else decides where the way leads: links are root's, ours, or of the owner of what they lead to.
fn is_ours(path: &Path) -> io::Result<()> {
    let me = rustix::process::geteuid().as_raw();
    let places = way::to(path)?;
    let owner = places.last().map(|end| end.metadata.uid());
    let stranger = places.iter().find(|place| {
        let user = place.metadata.uid();
        place.metadata.is_symlink() && user != 0 && user != me && Some(user) != owner
    });
    match stranger {
        Some(link) => Err(refused(format!("{} is a link of user {}", link.path.display(), link.metadata.uid()))),
        None => Ok(()),
    }
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_delivered_is_for_its_reader_alone_and_goes_where_that_one_said() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        deliver(&at("report"), b"text").unwrap();
        assert_eq!(mode(&at("report")), 0o600);
        fs::set_permissions(at("report"), Permissions::from_mode(0o666)).unwrap();
        deliver(&at("report"), b"more").unwrap();
        assert_eq!((mode(&at("report")), fs::read_to_string(at("report")).unwrap()), (0o600, "more".to_owned()));
        deliver(Path::new("/dev/null"), b"text").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert!(deliver(dir.path(), b"text").is_err());
        assert!(deliver(&at("none/report"), b"text").is_err());

        fs::write(at("shadow"), "secret").unwrap();
        symlink(at("shadow"), at("link")).unwrap();
        deliver(&at("link"), b"text").unwrap();
        assert_eq!(fs::read_to_string(at("shadow")).unwrap(), "secret");
        if rustix::process::geteuid().is_root() {
            fs::create_dir(at("roots")).unwrap();
            symlink(at("roots"), at("theirs")).unwrap();
            lchown(at("theirs"), Some(64_001), None).unwrap();
            assert!(
                deliver(&at("theirs/report"), b"text").unwrap_err().to_string().contains("is a link of user 64001")
            );
        }
    }
}
