//! Whether the user of a server may use the files that it needs, by owner and mode: without trying, since root may all.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::options::Options;
use crate::host::command::below;
use crate::model::{FileRole, FileState};

/// A user, with all groups.
pub(super) struct User {
    pub(super) name: String,
    uid: u32,
    groups: BTreeSet<u32>,
}

impl User {
    /// From `/etc/passwd` and `/etc/group`; none if there is no such user.
    pub(super) fn find(root: &Path, name: &str) -> Option<Self> {
        let name = if name.is_empty() { "root" } else { name };
        let passwd = fs::read_to_string(below(root, "/etc/passwd")).ok()?;
        let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let user = line.into_iter().find(|fields| fields.first() == Some(&name) || fields.get(2) == Some(&name))?;
        let name = *user.first()?;
        let mut groups: BTreeSet<u32> = user.get(3)?.parse().ok().into_iter().collect();
        for line in fs::read_to_string(below(root, "/etc/group")).unwrap_or_default().lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if fields.get(3).is_some_and(|members| members.split(',').any(|member| member == name)) {
                groups.extend(fields.get(2).and_then(|gid| gid.parse::<u32>().ok()));
            }
        }
        Some(Self { name: name.to_owned(), uid: user.get(2)?.parse().ok()?, groups })
    }

    /// Whether the mode grants all of `wanted` (4 read, 2 write, 1 enter).
    fn may(&self, wanted: u32, metadata: &Metadata) -> bool {
        let mode = metadata.mode();
        let granted = match () {
            () if self.uid == 0 => 7,
            () if metadata.uid() == self.uid => mode >> 6,
            () if self.groups.contains(&metadata.gid()) => mode >> 3,
            () => mode,
        };
        granted & wanted == wanted
    }
}

/// The name of a user, or its number.
fn owner(root: &Path, uid: u32) -> String {
    let passwd = fs::read_to_string(below(root, "/etc/passwd")).unwrap_or_default();
    let named = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
    named.and_then(|line| line.split(':').next()).map_or_else(|| uid.to_string(), str::to_owned)
}

/// The files that these options name. The data directory may be one that nobody named.
pub(super) fn states(
    root: &Path,
    user: &User,
    config: Option<&str>,
    (options, db_path): (&Options, Option<&str>),
) -> Vec<FileState> {
    let option = |key: &str| options.get(key).map(String::as_str);
    let mut states = Vec::new();
    let mut look = |role, path: &str, wanted| states.push(state(root, user, role, path, wanted));
    if let Some(path) = config {
        look(FileRole::Config, path, READ);
    }
    if let Some(path) = db_path {
        look(FileRole::DbPath, path, READ | WRITE | ENTER);
    }
    if let Some(path) = option("systemLog.path") {
        let exists = below(root, path).exists();
        let directory = Path::new(path).parent().and_then(Path::to_str).unwrap_or("/");
        look(FileRole::Log, if exists { path } else { directory }, if exists { WRITE } else { WRITE | ENTER });
    }
    for (key, role) in [
        ("security.keyFile", FileRole::KeyFile),
        ("net.tls.certificateKeyFile", FileRole::Certificate),
        ("net.tls.CAFile", FileRole::CaFile),
    ] {
        if let Some(path) = option(key) {
            look(role, path, READ);
        }
    }
    let prefix = option("net.unixDomainSocket.pathPrefix").unwrap_or("/tmp");
    let socket = format!("{prefix}/mongodb-{}.sock", option("net.port").unwrap_or("27017"));
    if below(root, &socket).symlink_metadata().is_ok() {
        states.push(socket_state(root, user, &socket));
    }
    states.extend(db_path.into_iter().flat_map(|path| foreign_data(root, user, path)));
    for state in states.iter_mut().filter(|state| state.role == FileRole::KeyFile && state.problem.is_none()) {
        if state.mode.ends_with("00") {
            continue;
        }
        state.problem = Some("others than its owner may use it".to_owned());
    }
    states
}

const READ: u32 = 4;
const WRITE: u32 = 2;
const ENTER: u32 = 1;

fn state(root: &Path, user: &User, role: FileRole, path: &str, wanted: u32) -> FileState {
    let seen = fs::metadata(below(root, path)).ok();
    let problem = closed_parent(root, user, path).or_else(|| match &seen {
        None => Some("it does not exist".to_owned()),
        Some(metadata) if user.may(wanted, metadata) => None,
        Some(_) if wanted & WRITE != 0 => Some(format!("{} may not write it", user.name)),
        Some(_) => Some(format!("{} may not read it", user.name)),
    });
    FileState {
        role,
        path: path.to_owned(),
        exists: seen.is_some(),
        owner: seen.as_ref().map(|metadata| owner(root, metadata.uid())).unwrap_or_default(),
        mode: seen.map(|metadata| format!("{:04o}", metadata.mode() & 0o7777)).unwrap_or_default(),
        problem,
    }
}

/// A directory above the path that the user may not enter.
fn closed_parent(root: &Path, user: &User, path: &str) -> Option<String> {
    let parents: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
    parents.into_iter().rev().filter_map(Path::to_str).find_map(|parent| {
        let metadata = fs::metadata(below(root, parent)).ok()?;
        (!user.may(ENTER, &metadata)).then(|| format!("{} may not enter {parent}", user.name))
    })
}

/// In a directory where only the owner of a file may remove it, the socket of another user stays for ever.
fn socket_state(root: &Path, user: &User, path: &str) -> FileState {
    let mut state = state(root, user, FileRole::Socket, path, 0);
    let own = fs::symlink_metadata(below(root, path)).is_ok_and(|metadata| metadata.uid() == user.uid);
    if !own && user.uid != 0 {
        state.problem = Some(format!("it does not belong to {}", user.name));
    }
    state
}

/// The first files in the data directory that the user may not write; subdirectories are looked at themselves.
fn foreign_data(root: &Path, user: &User, db_path: &str) -> Vec<FileState> {
    let Ok(entries) = fs::read_dir(below(root, db_path)) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let path = |name: &String| format!("{db_path}/{name}");
    let wanted = |path: &str| if below(root, path).is_dir() { READ | WRITE | ENTER } else { READ | WRITE };
    // WiredTiger.lock and WiredTiger.basecfg may be read-only for all; those of another owner are what matters.
    let states = names.iter().map(path).map(|path| state(root, user, FileRole::Data, &path, wanted(&path)));
    states.filter(|state| state.problem.is_some() && state.owner != user.name).take(3).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::host::tree;

    #[test]
    fn owners_and_modes_decide_what_a_user_may_use() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let write = |path: &str, text: &str, mode: u32| {
            tree::write(root, path, text);
            fs::set_permissions(below(root, path), fs::Permissions::from_mode(mode)).unwrap();
        };
        let me = rustix::process::getuid().as_raw();
        write("/etc/passwd", &format!("me:x:{me}:{me}::/:/bin/sh\nmongod:x:64000:64000::/:/bin/sh\n"), 0o644);
        write("/etc/group", "ssl-cert:x:64001:mongod\n", 0o644);
        write("/db/mongod.lock", "", 0o600);
        write("/key", "secret", 0o644);
        write("/cert", "secret", 0o600);
        write("/tmp/mongodb-1.sock", "", 0o700);
        fs::set_permissions(below(root, "/db"), fs::Permissions::from_mode(0o755)).unwrap();
        let user = User::find(root, "mongod").unwrap();
        assert!(user.groups.contains(&64001));
        assert!(User::find(root, "nobody-here").is_none());
        let options: Options = [
            ("storage.dbPath", "/db"),
            ("security.keyFile", "/key"),
            ("net.tls.certificateKeyFile", "/cert"),
            ("net.port", "1"),
            ("systemLog.path", "/none/mongod.log"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let seen = states(root, &user, Some("/etc/passwd"), (&options, Some("/db")));
        let problem = |path: &str| {
            let state = seen.iter().find(|state| state.path == path).unwrap_or_else(|| panic!("no {path} in {seen:?}"));
            state.problem.clone().unwrap_or_default()
        };
        assert_eq!(problem("/etc/passwd"), "");
        assert_eq!(problem("/db"), "mongod may not write it");
        assert_eq!(problem("/db/mongod.lock"), "mongod may not write it");
        assert_eq!(problem("/key"), "others than its owner may use it");
        assert_eq!(problem("/cert"), "mongod may not read it");
        assert_eq!(problem("/tmp/mongodb-1.sock"), "it does not belong to mongod");
        assert_eq!(problem("/none"), "it does not exist");

        fs::set_permissions(below(root, "/db"), fs::Permissions::from_mode(0o700)).unwrap();
        let closed = state(root, &user, FileRole::Data, "/db/mongod.lock", READ);
        assert_eq!(closed.problem.as_deref(), Some("mongod may not enter /db"));
        // Root may everything.
        let root_user = User { name: "root".into(), uid: 0, groups: BTreeSet::new() };
        assert_eq!(state(root, &root_user, FileRole::DbPath, "/db", 7).problem, None);
    }
}
