//! The tree that is built: the administrator's own, or one that is unpacked from a tarball and ours.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::host::command;
use crate::model::KernelSource;

/// Where tarballs are unpacked. All of it can be made again.
pub(super) const CACHE: &str = "/var/cache/patchday/kernel";

/// Says which tarball the tree was unpacked from.
const ORIGIN: &str = "origin";

/// Where the tree is, or will be.
pub(super) fn place(source: &KernelSource, cache: &Path) -> PathBuf {
    if is_tarball(source) { cache.join("tree") } else { source.path.clone() }
}

pub(super) fn is_tarball(source: &KernelSource) -> bool {
    !source.path.is_dir()
}

/// The tree, where it is there already.
pub(super) fn ready(source: &KernelSource, cache: &Path) -> Option<PathBuf> {
    let is_unpacked = || {
        let known = fs::read_to_string(cache.join(ORIGIN)).ok()?;
        (known == origin(&source.path).ok()?).then_some(())
    };
    if is_tarball(source) {
        is_unpacked()?;
    }
    Some(place(source, cache))
}

fn origin(tarball: &Path) -> std::io::Result<String> {
    let file = fs::metadata(tarball)?;
    Ok(format!("{} {} {}.{}\n", tarball.display(), file.len(), file.mtime(), file.mtime_nsec()))
}

/// The tree, unpacked where that is needed. One of another tarball goes, and with it what was built of it.
pub(super) fn prepare(source: &KernelSource, cache: &Path) -> Result<PathBuf, String> {
    if let Some(tree) = ready(source, cache) {
        return Ok(tree);
    }
    let tree = place(source, cache);
    let failed = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
    let origin = origin(&source.path).map_err(|error| failed(&source.path, error))?;
    if cache.exists() {
        fs::remove_dir_all(cache).map_err(|error| failed(cache, error))?;
    }
    fs::create_dir_all(&tree).map_err(|error| failed(&tree, error))?;
    let mut tar = command::detached(Path::new(&command::find_or_default(Path::new("/"), "tar")));
    tar.args(["--extract", "--no-same-owner", "--strip-components=1", "--file"]).arg(&source.path);
    run(tar.arg("--directory").arg(&tree))?;
    // Last: a tree that was cut off while it was unpacked has no origin, and is unpacked again.
    fs::write(cache.join(ORIGIN), origin).map_err(|error| failed(&cache.join(ORIGIN), error))?;
    Ok(tree)
}

/// Runs a program to its end. Its output is ours.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    let told = told(command);
    let status = command.status().map_err(|error| format!("{told}: {error}"))?;
    judged(&told, status)
}

pub(super) fn judged(told: &str, status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("{told}: {status}")) }
}

/// The program and its arguments, without what puts it into a session of its own.
pub(super) fn told(command: &Command) -> String {
    let mut words = command.get_args().skip(1);
    let program = words.next().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    let words = std::iter::once(program).chain(words);
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
