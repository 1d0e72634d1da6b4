//! Files below a directory that stands for `/`, for the tests of all that read a host's files.

use std::fs;
use std::path::Path;

use super::command::below;

/// Writes a file, and makes the directories that lead to it. The path may begin with a slash.
pub(crate) fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = below(root, path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
