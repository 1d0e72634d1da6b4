//! The way to a file: everything that is passed from `/` to its end. Who owns any of it decides what the end is.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

/// The kernel follows no more.
const MOST_LINKS: usize = 40;

/// A directory, a link or the file itself, as it was seen.
#[derive(Debug)]
pub struct Place {
    /// Where it is; no part of this path but the last can be a link.
    pub path: PathBuf,
    /// What it is itself, not what it leads to.
    pub metadata: Metadata,
}

/// Every place on the way, in the order in which the kernel passes them: links, and what they lead to. The last one is
/// the end, which is no link.
///
/// # Errors
///
/// Something is missing, or no directory, or the links lead nowhere.
pub fn to(path: &Path) -> io::Result<Vec<Place>> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no absolute path"));
    }
    let look = |path: &Path| Ok::<_, io::Error>(Place { path: path.to_owned(), metadata: fs::symlink_metadata(path)? });
    let mut at = PathBuf::from("/");
    let mut places = vec![look(&at)?];
    let mut ahead: VecDeque<OsString> = parts(path);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let place = look(&at.join(&name))?;
        if place.metadata.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(rustix::io::Errno::LOOP.into());
            }
            let target = fs::read_link(&place.path)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for part in parts(&target).into_iter().rev() {
                ahead.push_front(part);
            }
        } else {
            at.push(&name);
        }
        places.push(place);
    }
    // The end of a link to a directory above is none of the places that were added last.
    if places.last().is_none_or(|last| last.path != at) {
        places.push(look(&at)?);
    }
    Ok(places)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_passed_with_all_that_they_lead_through() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        fs::write(root.join("real/deep/file"), "").unwrap();
        symlink("real", root.join("relative")).unwrap();
        symlink(root.join("relative/deep"), root.join("absolute")).unwrap();
        let passed = |path: &str| {
            let places = to(&root.join(path)).unwrap();
            let below = places.iter().filter_map(|place| place.path.strip_prefix(&root).ok());
            below.map(|path| path.display().to_string()).filter(|path| !path.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(passed("real/deep/file"), ["real", "real/deep", "real/deep/file"]);
        assert_eq!(passed("absolute/file"), ["absolute", "relative", "real", "real/deep", "real/deep/file"]);
        assert_eq!(passed("real/deep/.."), ["real", "real/deep", "real"]);
        assert_eq!(to(&root.join("absolute/file")).unwrap()[0].path, Path::new("/"));

        symlink("loop", root.join("loop")).unwrap();
        assert!(to(&root.join("loop")).unwrap_err().to_string().contains("symbolic links"));
        assert!(to(&root.join("none/file")).is_err());
        assert!(to(Path::new("file")).is_err());
    }
}
