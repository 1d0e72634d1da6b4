//! The drop-ins of a configuration file: `FILE.d/*.toml`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Dir;

use super::super::error::Problem;
use super::trust::{Refusal, Trust, unreadable};

/// More than any real directory has.
const MOST_FILES: usize = 100;

/// What lies in the directory of drop-ins.
#[derive(Debug, Default)]
pub(super) struct DropIns {
    directory: Option<File>,
    /// What is read, in its order.
    pub(super) read: Vec<PathBuf>,
    /// What is not read for its name.
    pub(super) ignored: Vec<PathBuf>,
}

impl DropIns {
    /// Looks for those of a file. There are none where the directory is missing.
    ///
    /// # Errors
    ///
    /// The directory cannot be read or trusted.
    pub(super) fn of(trust: Trust, file: &Path) -> Result<Self, Problem> {
        let mut path = file.as_os_str().to_owned();
        path.push(".d");
        let path = PathBuf::from(path);
        let refused = |(message, hint): Refusal| Problem::whole(&path, message, hint);
        let Some(directory) = trust.open_directory(&path).map_err(refused)? else { return Ok(Self::default()) };
        let mut names = names(&directory).map_err(|error| refused(unreadable("directory", &path, &error)))?;
        if names.len() > MOST_FILES {
            let message = format!("expected at most {MOST_FILES} files, found more");
            return Err(refused((message, format!("look at it: ls -l {}", path.display()))));
        }
        names.sort();
        let (read, ignored) = names.into_iter().map(|name| path.join(name)).partition(|path| is_drop_in(path));
        Ok(Self { directory: Some(directory), read, ignored })
    }

    /// Opens one of them, in the very directory that was judged.
    pub(super) fn open(&self, trust: Trust, path: &Path) -> Result<File, Refusal> {
        match (&self.directory, path.file_name()) {
            (Some(directory), Some(name)) => trust.open_in(directory, Path::new(name), path, false),
            _ => trust.open(path, false),
        }
    }
}

/// Names in the directory, and no more than it takes to know that they are too many.
fn names(directory: &File) -> io::Result<Vec<OsString>> {
    let name = |entry: rustix::io::Result<rustix::fs::DirEntry>| {
        Ok(OsString::from_vec(entry?.file_name().to_bytes().to_vec()))
    };
    let is_other = |name: &io::Result<OsString>| !matches!(name, Ok(name) if name == "." || name == "..");
    Dir::read_from(directory)?.map(name).filter(is_other).take(MOST_FILES + 1).collect()
}

/// Editors and package managers leave names that begin with a dot, or go on behind the ending.
fn is_drop_in(path: &Path) -> bool {
    let name = path.file_name().map_or(&[][..], OsStr::as_bytes);
    name.ends_with(b".toml") && !name.starts_with(b".")
}
