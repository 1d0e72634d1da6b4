//! Whether the state directory is ours alone. What lies there is obeyed: settings name programs that root runs.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{StoreError, StoreResult};

const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Everybody may make files in such a directory, and only their owners may replace them.
const STICKY: u32 = 0o1000;

/// Refuses a directory that somebody else than root or this user owns or could write, and one on the way to which
/// somebody else could put another in its place. One that is not there yet is judged by the way to it.
///
/// # Errors
///
/// [`StoreError::Foreign`], with what to do.
pub(super) fn check(root: &Path) -> StoreResult<()> {
    // The way as it is named, and the way on which the links lead: whoever can change either decides where it ends.
    let named = root.ancestors().filter(|path| !path.as_os_str().is_empty());
    for path in named {
        if let Ok(metadata) = fs::symlink_metadata(path) {
            judge(path, &metadata, path == root)?;
        }
    }
    let Some(real) = root.ancestors().find_map(|path| fs::canonicalize(path).ok()) else { return Ok(()) };
    let is_there = root.exists();
    for (at, path) in real.ancestors().enumerate() {
        let metadata = fs::symlink_metadata(path).map_err(StoreError::io("look at", path))?;
        judge(path, &metadata, at == 0 && is_there)?;
    }
    for inner in [root.join("runs"), root.join("lock"), root.join("open-run")] {
        if let Ok(metadata) = fs::symlink_metadata(&inner) {
            judge(&inner, &metadata, true)?;
        }
    }
    Ok(())
}

/// Nobody writes a link: it is replaced, which its directory allows or not.
fn judge(path: &Path, metadata: &Metadata, is_end: bool) -> StoreResult<()> {
    let refused = |why: String, remedy: String| Err(StoreError::Foreign { path: path.to_owned(), why, remedy });
    let me = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    if owner != 0 && owner != me {
        let why = format!("belongs to user {owner}, who could tell root what to run");
        return refused(why, format!("chown root: {0}; look what is in it first: ls -lR {0}", path.display()));
    }
    let may_replace = is_end || metadata.mode() & STICKY == 0;
    if !metadata.is_symlink() && metadata.mode() & WRITABLE_BY_OTHERS != 0 && may_replace {
        let why = "is writable by others, who could tell root what to run".to_owned();
        return refused(why, format!("chmod go-w {0}; look what is in it first: ls -lR {0}", path.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};

    use super::*;
    use crate::store::StateDir;

    const SOMEBODY: Option<u32> = Some(64_001);

    #[test]
    fn a_directory_that_others_can_change_is_not_obeyed() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        type Make = fn(&Path);
        let cases: [(&str, Make, &str); 7] = [
            ("ours", |_| {}, ""),
            ("somebody's", |state| chown(state, SOMEBODY, None).unwrap(), "belongs to user 64001"),
            ("open to all", |state| mode(state, 0o777), "is writable by others"),
            ("open to a group", |state| mode(state, 0o770), "is writable by others"),
            (
                "somebody's runs",
                |state| {
                    fs::create_dir(state.join("runs")).unwrap();
                    chown(state.join("runs"), SOMEBODY, None).unwrap();
                },
                "belongs to user 64001",
            ),
            (
                "below somebody's",
                |state| chown(state.parent().unwrap(), SOMEBODY, None).unwrap(),
                "belongs to user 64001",
            ),
            (
                "by somebody's link",
                |state| {
                    let elsewhere = state.with_file_name("elsewhere");
                    fs::rename(state, &elsewhere).unwrap();
                    symlink(&elsewhere, state).unwrap();
                    lchown(state, SOMEBODY, None).unwrap();
                },
                "belongs to user 64001",
            ),
        ];
        for (name, make, why) in cases {
            let dir = tempfile::tempdir().unwrap();
            let above = dir.path().join("above");
            let state = above.join("state");
            fs::create_dir_all(&state).unwrap();
            make(&state);
            let locked = StateDir::new(&state).lock("test");
            match &locked {
                Ok(_) => assert!(why.is_empty(), "{name}: obeyed"),
                Err(error) => assert!(!why.is_empty() && error.to_string().contains(why), "{name}: {error}"),
            }
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}
