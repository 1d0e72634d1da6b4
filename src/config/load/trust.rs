//! Whose files are trusted, and how one is opened.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

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
    pub fn open(self, path: &Path, secret: bool) -> Result<File, (String, String)> {
        // Opening a FIFO would wait for its writer.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = opened.map_err(|error| unreadable(path, &error))?;
        let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
        self.judge(path, &metadata, secret)?;
        Ok(file)
    }

    fn judge(self, path: &Path, metadata: &Metadata, secret: bool) -> Result<(), (String, String)> {
        let (path, mode) = (path.display(), metadata.mode() & 0o7777);
        if !metadata.is_file() {
            return Err((
                "expected a regular file, found something else".to_owned(),
                format!("look at it: ls -ld {path}"),
            ));
        }
        if metadata.uid() != self.uid {
            let owner = if self.uid == 0 { "root".to_owned() } else { format!("uid {}", self.uid) };
            let message = format!("expected a file owned by {owner}, found uid {}", metadata.uid());
            return Err((
                message,
                format!("chown {} {path}", if self.uid == 0 { "root".to_owned() } else { self.uid.to_string() }),
            ));
        }
        if secret && mode & 0o077 != 0 {
            return Err((
                format!("expected a file that only its owner can read, found mode {mode:04o}"),
                format!("chmod 0600 {path}"),
            ));
        }
        if mode & 0o022 != 0 {
            return Err((
                format!("expected a file that only its owner can write, found mode {mode:04o}"),
                format!("chmod go-w {path}"),
            ));
        }
        Ok(())
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> (String, String) {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "run it as root".to_owned(),
        _ => format!("look at it: ls -ld {}", path.display()),
    };
    (format!("cannot read the file: {error}"), hint)
}
