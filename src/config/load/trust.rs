//! Whose files are trusted, and how one is opened.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

/// Why a file is not read, and what to do about it.
pub(in crate::config) type Refusal = (String, String);

/// Whose files are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    pub uid: u32,
}

impl Trust {
    pub const ROOT: Self = Self { uid: 0 };

    /// Opens a file that only its owner can change; a `secret` one is also unreadable for everybody else. What was
    /// checked is what is read: the open file is judged, not its name.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and the command that helps.
    pub fn open(self, path: &Path, secret: bool) -> Result<File, Refusal> {
        self.open_in(CWD, path, path, secret)
    }

    /// The same of a name in an open directory; `path` is for the errors.
    pub(super) fn open_in(self, directory: impl AsFd, name: &Path, path: &Path, secret: bool) -> Result<File, Refusal> {
        let (file, metadata) =
            opened(directory, name, OFlags::empty()).map_err(|error| unreadable("file", path, &error))?;
        if !metadata.is_file() {
            let message = "expected a regular file, found something else".to_owned();
            return Err((message, format!("look at it: ls -ld {}", path.display())));
        }
        self.judge("file", path, &metadata, secret)?;
        Ok(file)
    }

    /// Opens a directory in which only its owner can put files. None if it is not there.
    pub(super) fn open_directory(self, path: &Path) -> Result<Option<File>, Refusal> {
        let (directory, metadata) = match opened(CWD, path, OFlags::DIRECTORY) {
            // A link that leads nowhere is there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_missing(path) => return Ok(None),
            opened => opened.map_err(|error| unreadable("directory", path, &error))?,
        };
        self.judge("directory", path, &metadata, false)?;
        Ok(Some(directory))
    }

    fn judge(self, what: &str, path: &Path, metadata: &Metadata, secret: bool) -> Result<(), Refusal> {
        let (path, mode) = (path.display(), metadata.mode() & 0o7777);
        if metadata.uid() != self.uid {
            let owner = if self.uid == 0 { "root".to_owned() } else { format!("uid {}", self.uid) };
            let message = format!("expected a {what} owned by {owner}, found uid {}", metadata.uid());
            return Err((
                message,
                format!("chown {} {path}", if self.uid == 0 { "root".to_owned() } else { self.uid.to_string() }),
            ));
        }
        if secret && mode & 0o077 != 0 {
            return Err((
                format!("expected a {what} that only its owner can read, found mode {mode:04o}"),
                format!("chmod 0600 {path}"),
            ));
        }
        if mode & 0o022 != 0 {
            return Err((
                format!("expected a {what} that only its owner can write, found mode {mode:04o}"),
                format!("chmod go-w {path}"),
            ));
        }
        Ok(())
    }
}

/// Whether there is nothing of that name, not even a link.
pub(super) fn is_missing(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn opened(directory: impl AsFd, name: &Path, flags: OFlags) -> io::Result<(File, Metadata)> {
    // Opening a FIFO would wait for its writer.
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

pub(super) fn unreadable(what: &str, path: &Path, error: &io::Error) -> Refusal {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "run it as root".to_owned(),
        _ => format!("look at it: ls -ld {}", path.display()),
    };
    (format!("cannot read the {what}: {error}"), hint)
}
