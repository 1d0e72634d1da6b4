//! Configuration files that packages left beside those in use.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::host::{HostError, HostResult};

/// What dpkg and ucf append to the version that they did not install. What they replaced (`.dpkg-old`, `.ucf-old`) was the
/// administrator's, who has nothing to merge from it that is not in use or was given up.
const SUFFIXES: [&str; 3] = [".dpkg-dist", ".dpkg-new", ".ucf-dist"];

/// Deep enough for every package; a loop of mounts ends here.
const DEEPEST: usize = 12;

/// Every file below `/etc` with one of the suffixes.
pub(super) fn to_be_merged(root: &Path) -> HostResult<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open: Vec<(PathBuf, usize)> = vec![(root.join("etc"), 0)];
    while let Some((directory, depth)) = open.pop() {
        let failed = |error| HostError::failed(format!("list {}", directory.display()), error);
        let entries = match fs::read_dir(&directory) {
            // A directory that went away while we looked holds nothing.
            Err(error) if error.kind() == ErrorKind::NotFound && depth > 0 => continue,
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            // Symbolic links are not followed: what they lead to is elsewhere, or below `/etc` anyway.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < DEEPEST {
                    open.push((path, depth + 1));
                }
            } else if let (Some(name), Ok(below)) = (path.to_str(), path.strip_prefix(root))
                && SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
            {
                found.insert(format!("/{}", below.display()));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_wherever_they_are_below_etc() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("etc/ssh/conf.d");
        fs::create_dir_all(&deep).unwrap();
        for name in ["a.conf", "a.conf.dpkg-dist", "b.ucf-dist", "c.dpkg-backup", "d.dpkg-old", "e.ucf-old"] {
            fs::write(deep.join(name), "").unwrap();
        }
        let found = to_be_merged(dir.path()).unwrap();
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["/etc/ssh/conf.d/a.conf.dpkg-dist", "/etc/ssh/conf.d/b.ucf-dist"]
        );
        assert!(to_be_merged(&dir.path().join("none")).is_err());
    }
}
