//! What the kernel tells of a process that runs: its program, its directory and its files, by names that this host has.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::host::command::below;

/// Where a link of the process leads, as `exe`, `cwd` or `fd/2`. Only the very same file counts: in a container, or with
/// mounts of its own, the process sees others by the same names.
pub(super) fn place(root: &Path, pid: u32, link: &str) -> Result<(PathBuf, Metadata), String> {
    let link = root.join("proc").join(pid.to_string()).join(link);
    let failed = |error: std::io::Error| format!("{}: {error}", link.display());
    let target = fs::read_link(&link).map_err(failed)?;
    let theirs = fs::metadata(&link).map_err(failed)?;
    let ours = fs::metadata(below(root, &target.to_string_lossy()));
    match ours {
        Ok(ours) if (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()) => Ok((target, ours)),
        _ => Err(format!("process {pid} has {}, which this host does not have by that name", target.display())),
    }
}

/// The program of the process, whether or not a package has replaced it since.
pub(super) fn program(root: &Path, pid: u32) -> Result<PathBuf, String> {
    let link = root.join("proc").join(pid.to_string()).join("exe");
    let target = fs::read_link(&link).map_err(|error| format!("{}: {error}", link.display()))?;
    let text = target.to_string_lossy();
    Ok(PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text)))
}

/// The process that has begun it; none where it has ended meanwhile.
pub(super) fn parent(root: &Path, pid: u32) -> Option<u32> {
    let status = fs::read_to_string(root.join("proc").join(pid.to_string()).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
