//! Opens the file, if nobody but root can have written it: Patchday acts as root on what it says.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::error::{ConfigError, Problem};
use super::keys::Key;
use super::located::Located;
use super::parse::parse;
use super::place::Position;

/// Where the file is unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/patchday/patchday.toml";

/// More than any real file; keeps a wrong path from filling the memory.
const MAX_BYTES: u64 = 1024 * 1024;

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

fn unreadable(path: &Path, error: &io::Error) -> (String, String) {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "run it as root".to_owned(),
        _ => format!("look at it: ls -ld {}", path.display()),
    };
    (format!("cannot read the file: {error}"), hint)
}

/// Reads a configuration file that root owns and nobody else can write, and the [`parse`]d settings of it. Files that
/// hold secrets must be there and be root's alone.
///
/// # Errors
///
/// The file cannot be read or trusted, or is wrong.
pub fn load(path: &Path, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
    load_trusting(Trust::ROOT, path, cpus, known_checks)
}

/// As [`load`], for files of another owner.
///
/// # Errors
///
/// As [`load`].
pub fn load_trusting(trust: Trust, path: &Path, cpus: u32, known_checks: &[&str]) -> Result<Located, ConfigError> {
    let refused = |(message, hint): (String, String)| {
        let missing = matches!(path.try_exists(), Ok(false));
        let hint = if missing { "write one with: patchday init".to_owned() } else { hint };
        ConfigError::whole(path, message, hint)
    };
    let file = trust.open(path, false).map_err(refused)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| refused(unreadable(path, &error)))?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("expected at most {MAX_BYTES} bytes, found more");
        return Err(ConfigError::whole(path, message, format!("look at it: ls -l {}", path.display())));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = Some(Position::of(error.as_bytes(), error.utf8_error().valid_up_to()));
        let message = "expected text in UTF-8, found another byte".to_owned();
        let hint = format!("convert it: iconv -f ISO-8859-1 -t UTF-8 {}", path.display());
        ConfigError::one(path, Problem { at, key: None, message, hint })
    })?;
    let located = parse(&text, path, cpus, known_checks)?;
    let problems = secret_files(trust, &located);
    if problems.is_empty() { Ok(located) } else { Err(ConfigError::sorted(path, problems)) }
}

/// What is wrong with the files that hold secrets.
fn secret_files(trust: Trust, located: &Located) -> Vec<Problem> {
    let files = located.positions.secret_files.iter();
    let problem = |(file, key, at): &(String, &'static Key, Position)| {
        let (message, hint) = trust.open(Path::new(file), true).err()?;
        Some(Problem { at: Some(*at), key: Some(key.path()), message: format!("{file}: {message}"), hint })
    };
    files.filter_map(problem).collect()
}
