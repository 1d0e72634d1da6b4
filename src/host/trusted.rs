//! Whether a program that root is told to run is root's own.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Permission bits that let others than the owner write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Everybody may make files in such a directory, and only their owners may replace them.
const STICKY: u32 = 0o1000;

/// Refuses a program that somebody else than root could replace: it, and every directory on the way to it, must belong
/// to root and be writable by nobody else. Links are followed first.
///
/// # Errors
///
/// Why it is not trusted.
pub fn check(program: &Path) -> Result<(), String> {
    let metadata = fs::metadata(program).map_err(|error| format!("{}: {error}", program.display()))?;
    if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
        return Err(format!("{} is no program", program.display()));
    }
    check_owner(program)
}

/// The same for a file that root reads its orders from, as a makefile.
///
/// # Errors
///
/// Why it is not trusted.
pub fn check_owner(file: &Path) -> Result<(), String> {
    let real = fs::canonicalize(file).map_err(|error| format!("{}: {error}", file.display()))?;
    for (at, path) in real.ancestors().enumerate() {
        let told = path.display();
        let metadata = fs::metadata(path).map_err(|error| format!("{told}: {error}"))?;
        if metadata.uid() != 0 {
            return Err(format!("{told} does not belong to root"));
        }
        let may_replace = at == 0 || metadata.mode() & STICKY == 0;
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 && may_replace {
            return Err(format!("{told} is writable by others than root"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_roots_own_programs_are_trusted() {
        assert_eq!(check(Path::new("/bin/true")), Ok(()));
        assert!(check(Path::new("/nonexistent")).is_err());
        assert!(check(Path::new("/etc/passwd")).unwrap_err().ends_with("is no program"));
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("probe");
        fs::write(&program, "#!/bin/true\n").unwrap();
        for (mode, trusted) in [(0o755, true), (0o775, false), (0o757, false)] {
            fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check(&program).is_ok(), trusted, "{mode:o}: {:?}", check(&program));
        }
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(check(&program).unwrap_err().contains("writable by others"));
    }
}
