//! Who runs git in a checkout, and within which fence.
//!
//! git runs programs that the configuration of a checkout names. Whoever may write that configuration decides what is
//! run: so it is never root who runs it, and what runs reaches nothing, changes nothing and ends soon.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::host::{HostError, HostErrorKind, HostResult, foreign, trusted, way};

/// How long one question may take, on a cold disk.
pub(super) const SECONDS: u32 = 30;

/// No file that says where a repository is is longer.
const LONGEST_POINTER: u64 = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asker {
    /// The owner of the checkout, in a unit of its own: what its configuration names, the owner could run anyway.
    Owner {
        user: u32,
        /// git refuses a directory of another user than its repository. This one is root's, and so is the way to it, as
        /// that of a mount point is.
        is_mount_point: bool,
    },
    /// A user of the moment, who may read everything and write nothing: for root's own checkouts, of which nobody but
    /// root can change what git obeys.
    Nobody,
    /// Whoever runs us, who is not root and owns the checkout.
    Ourselves,
}

impl Asker {
    /// Looks whose the checkout at `place` is, called `told` by the configuration.
    pub(super) fn of(place: &Path, told: &str) -> HostResult<Self> {
        let what = || format!("look at the checkout {told}");
        let refused = |why: String| HostError::new(HostErrorKind::Refused, what(), why);
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => HostError::new(HostErrorKind::NotFound, what(), "there is nothing"),
            _ => HostError::failed(what(), error),
        };
        let places = way::to(place).map_err(failed)?;
        let Some(directory) = places.last() else { return Err(refused("there is nothing".to_owned())) };
        // The directory itself may be root's, as a mount point is; what git obeys is in `.git`.
        let inner = directory.path.join(".git");
        let repository = fs::symlink_metadata(&inner).ok();
        let user = repository.as_ref().unwrap_or(&directory.metadata).uid();
        let me = rustix::process::geteuid();
        if !me.is_root() {
            let why = || format!("it belongs to user {user}, whom only root can ask");
            return if user == me.as_raw() { Ok(Self::Ourselves) } else { Err(refused(why())) };
        }
        if user != 0 {
            let is_roots = |metadata: &Metadata| metadata.uid() == 0;
            let is_mount_point =
                repository.is_some_and(|git| git.is_dir()) && places.iter().all(|place| is_roots(&place.metadata));
            return Ok(Self::Owner { user, is_mount_point });
        }
        // What root's git would obey must be root's, to the last file: its configuration may name any of them.
        trusted::check_owner(place).map_err(refused)?;
        let repository =
            repository.ok_or_else(|| refused("it has no .git; name the directory that has it".to_owned()))?;
        for directory in repositories(&inner, &repository).map_err(failed)? {
            trusted::check_tree(&directory).map_err(refused)?;
        }
        Ok(Self::Nobody)
    }

    /// The words before git's own: what makes the unit. None if git runs as it is.
    pub(super) fn words(&self) -> Option<Vec<String>> {
        let capabilities = match self {
            Self::Nobody => "CAP_DAC_READ_SEARCH",
            _ => "",
        };
        let who = match self {
            Self::Ourselves => return None,
            Self::Owner { user, .. } => vec![format!("User={user}")],
            Self::Nobody => vec!["DynamicUser=yes".to_owned(), format!("AmbientCapabilities={capabilities}")],
        };
        let bounds = [
            format!("CapabilityBoundingSet={capabilities}"),
            format!("RuntimeMaxSec={SECONDS}"),
            // It has nothing to finish.
            "KillSignal=SIGKILL".to_owned(),
        ];
        let fence = FENCE.iter().map(|&property| property.to_owned());
        let properties = who.into_iter().chain(bounds).chain(fence).map(|property| format!("--property={property}"));
        Some(HOW.iter().map(|&word| word.to_owned()).chain(properties).chain(["--".to_owned()]).collect())
    }
}

/// The output comes through pipes: the unit has no terminal, not even ours.
const HOW: [&str; 6] =
    ["--quiet", "--pipe", "--wait", "--collect", "--service-type=exec", "--description=Patchday: asks a checkout"];

const FENCE: [&str; 27] = [
    "PrivateNetwork=yes",
    // Over D-Bus nobody can say "none".
    "RestrictAddressFamilies=~AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK AF_ALG AF_BLUETOOTH",
    "IPAddressDeny=any",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "KeyringMode=private",
    "UMask=0077",
    "MemoryMax=1G",
    "MemorySwapMax=0",
    "TasksMax=64",
];

/// The directories that git obeys: that of `.git`, or those that it leads to where it is a file.
fn repositories(inner: &Path, metadata: &Metadata) -> std::io::Result<Vec<PathBuf>> {
    if metadata.is_dir() {
        return Ok(vec![inner.to_owned()]);
    }
    let text = foreign::read(inner, LONGEST_POINTER)?;
    let Some(path) = text.strip_prefix("gitdir:") else {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "its .git says not where the repository is"));
    };
    let directory = inner.parent().unwrap_or(inner).join(path.trim());
    // A worktree of another repository has its configuration there.
    let common = match foreign::read(&directory.join("commondir"), LONGEST_POINTER) {
        Ok(path) => Some(directory.join(path.trim())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok([directory].into_iter().chain(common).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    const SOMEBODY: Option<u32> = Some(64_001);

    /// Every way in which somebody else decides what root's git obeys.
    #[test]
    fn roots_own_checkout_is_asked_where_nobody_else_can_change_what_git_obeys() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        type Make = fn(&Path);
        let git = |path: &Path| fs::create_dir_all(path.join(".git/hooks")).unwrap();
        let cases: [(&str, Make, &str); 8] = [
            ("roots", |_| {}, ""),
            (
                "somebody's configuration",
                |at| {
                    fs::write(at.join(".git/config"), "").unwrap();
                    chown(at.join(".git/config"), SOMEBODY, None).unwrap();
                },
                "does not belong to root",
            ),
            (
                "a configuration that others write",
                |at| {
                    fs::write(at.join(".git/config"), "").unwrap();
                    fs::set_permissions(at.join(".git/config"), fs::Permissions::from_mode(0o646)).unwrap();
                },
                "writable by others",
            ),
            (
                "a group that may write .git",
                |at| {
                    chown(at.join(".git"), None, SOMEBODY).unwrap();
                    fs::set_permissions(at.join(".git"), fs::Permissions::from_mode(0o2775)).unwrap();
                },
                "writable by others",
            ),
            (
                "a directory that others replace",
                |at| {
                    fs::set_permissions(at, fs::Permissions::from_mode(0o777)).unwrap();
                },
                "writable by others",
            ),
            (
                "a file that leads to somebody's repository",
                |at| {
                    fs::remove_dir_all(at.join(".git")).unwrap();
                    let elsewhere = at.parent().unwrap().join("elsewhere.git");
                    fs::create_dir_all(&elsewhere).unwrap();
                    chown(&elsewhere, SOMEBODY, None).unwrap();
                    fs::write(at.join(".git"), format!("gitdir: {}\n", elsewhere.display())).unwrap();
                },
                "does not belong to root",
            ),
            (
                "a worktree of somebody's repository",
                |at| {
                    fs::remove_dir_all(at.join(".git")).unwrap();
                    let common = at.parent().unwrap().join("common.git");
                    fs::create_dir_all(common.join("worktrees/one")).unwrap();
                    fs::write(common.join("worktrees/one/commondir"), "../..\n").unwrap();
                    fs::write(common.join("config"), "").unwrap();
                    chown(common.join("config"), SOMEBODY, None).unwrap();
                    fs::write(at.join(".git"), "gitdir: ../common.git/worktrees/one\n").unwrap();
                },
                "does not belong to root",
            ),
            (
                "a link to somebody's repository",
                |at| {
                    fs::remove_dir_all(at.join(".git")).unwrap();
                    let elsewhere = at.parent().unwrap().join("linked.git");
                    fs::create_dir_all(&elsewhere).unwrap();
                    symlink(&elsewhere, at.join(".git")).unwrap();
                },
                "regular file",
            ),
        ];
        for (name, make, why) in cases {
            let dir = tempfile::tempdir().unwrap();
            let at = dir.path().join("app");
            git(&at);
            make(&at);
            match Asker::of(&at, "/srv/app") {
                Ok(asker) => assert!(why.is_empty() && asker == Asker::Nobody, "{name}: {asker:?}"),
                Err(error) => assert!(!why.is_empty() && error.why.contains(why), "{name}: {error}"),
            }
        }
    }

    #[test]
    fn somebodys_checkout_is_asked_by_its_owner_and_never_by_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("app");
        fs::create_dir_all(at.join(".git")).unwrap();
        chown(at.join(".git"), SOMEBODY, None).unwrap();
        let owner = |is_mount_point| Asker::Owner { user: 64_001, is_mount_point };
        assert_eq!(Asker::of(&at, "/srv/app").unwrap(), owner(true));
        // The directory above is somebody's: it could be another one by the time when it is used.
        chown(dir.path(), Some(64_002), None).unwrap();
        assert_eq!(Asker::of(&at, "/srv/app").unwrap(), owner(false));
        chown(&at, SOMEBODY, None).unwrap();
        assert_eq!(Asker::of(&at, "/srv/app").unwrap(), owner(false));
        for asker in [owner(false), owner(true), Asker::Nobody] {
            let words = asker.words().unwrap();
            let has = |wanted: &str| words.iter().any(|word| word == &format!("--property={wanted}"));
            assert!(has("User=64001") != has("DynamicUser=yes"), "{words:?}");
            for property in
                ["PrivateNetwork=yes", "NoNewPrivileges=yes", "MemoryMax=1G", "RuntimeMaxSec=30", "TasksMax=64"]
            {
                assert!(has(property), "{property}: {words:?}");
            }
            assert!(words.contains(&"--pipe".to_owned()) && words.last().is_some_and(|word| word == "--"));
        }
        let error = Asker::of(&dir.path().join("none"), "/srv/none").unwrap_err();
        assert_eq!((error.kind, error.why.as_str()), (HostErrorKind::NotFound, "there is nothing"));
    }
}
