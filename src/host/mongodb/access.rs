//! From the configuration's way to the server to the driver's options, without letting a password out.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use mongodb::options::ClientOptions;

use super::APP_NAME;
use crate::host::command::below;
use crate::host::{HostError, HostErrorKind, HostResult};
use crate::model::DatabaseAccess;

const WHAT: &str = "connect to MongoDB";

/// A server on this host answers in milliseconds; the driver's own limit is 30 s.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(3);

/// No connection string is longer.
const MAX_URI_BYTES: u64 = 64 * 1024;

/// Options for one server, asked directly, under our name. Errors never repeat the connection string.
pub(super) async fn options(root: &Path, secrets_owner: u32, access: &DatabaseAccess) -> HostResult<ClientOptions> {
    let (uri, from_file) = match (&access.uri, &access.uri_file) {
        (Some(uri), None) => (uri.clone(), false),
        (None, Some(file)) => (read_secret(root, secrets_owner, file)?, true),
        _ => return Err(HostError::failed(WHAT, "exactly one of uri and uri_file must be set")),
    };
    if uri.starts_with("mongodb+srv:") {
        return Err(HostError::failed(
            WHAT,
            "mongodb+srv names a whole cluster; name this host's server with mongodb://",
        ));
    }
    // The driver quotes parts of what it cannot read, and a misplaced sign may make that the password.
    let mut options = ClientOptions::parse(&uri).await.map_err(|_| {
        let source = if from_file { "the file's content" } else { "uri" };
        HostError::failed(WHAT, format!("{source} is no valid connection string, as in mongodb://127.0.0.1:27017/"))
    })?;
    if !from_file && options.credential.is_some() {
        return Err(HostError::failed(WHAT, "uri holds credentials; move it to a file and name it in uri_file"));
    }
    if options.hosts.len() != 1 {
        return Err(HostError::failed(WHAT, "the connection string names several servers; name only this host's"));
    }
    options.app_name = Some(APP_NAME.to_owned());
    options.direct_connection = Some(true);
    options.repl_set_name = None;
    options.load_balanced = None;
    options.server_selection_timeout = Some(SERVER_SELECTION_TIMEOUT);
    options.connect_timeout = Some(SERVER_SELECTION_TIMEOUT);
    options.min_pool_size = None;
    Ok(options)
}

/// Reads a connection string from a file that only its owner can read. What is checked is the file that is read, so
/// that nobody can put another in its place between.
fn read_secret(root: &Path, owner: u32, path: &str) -> HostResult<String> {
    let what = format!("read the connection string in {path}");
    let refused = |why: String| HostError::new(HostErrorKind::Refused, &what, why);
    // Without NONBLOCK a pipe in the file's place would hold us up for ever.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(|error| HostError::failed(&what, error))?;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(below(root, path));
    let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::LOOP) => refused("it is a symbolic link, not a regular file".to_owned()),
        _ => HostError::failed(&what, error),
    })?;
    let metadata = file.metadata().map_err(|error| HostError::failed(&what, error))?;
    if !metadata.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    if metadata.uid() != owner {
        return Err(refused(format!("it belongs to user {}, not to user {owner}", metadata.uid())));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(refused(format!("its mode is {mode:04o}: others than its owner may use it; chmod 0600 it")));
    }
    read_line(file).map_err(|error| HostError::failed(&what, error))
}

fn read_line(file: File) -> std::io::Result<String> {
    let mut text = String::new();
    file.take(MAX_URI_BYTES).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const SECRET: &str = "swordfish";

    fn uri(uri: &str) -> DatabaseAccess {
        DatabaseAccess { uri: Some(uri.to_owned()), uri_file: None }
    }

    fn file(path: &str) -> DatabaseAccess {
        DatabaseAccess { uri: None, uri_file: Some(path.to_owned()) }
    }

    fn user() -> u32 {
        rustix::process::getuid().as_raw()
    }

    #[tokio::test]
    async fn the_one_server_is_asked_directly_and_soon() {
        let options =
            options(Path::new("/"), 0, &uri("mongodb://127.0.0.1:27018/?replicaSet=rs0&appName=other")).await.unwrap();
        assert_eq!(options.direct_connection, Some(true));
        assert_eq!(options.app_name.as_deref(), Some("patchday"));
        assert_eq!(options.server_selection_timeout, Some(SERVER_SELECTION_TIMEOUT));
        mongodb::Client::with_options(options).unwrap();
    }

    #[tokio::test]
    async fn a_private_file_may_hold_credentials() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("uri");
        fs::write(&path, format!("mongodb://admin:{SECRET}@127.0.0.1/admin\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let options = options(dir.path(), user(), &file("/uri")).await.unwrap();
        assert_eq!(options.credential.unwrap().password.as_deref(), Some(SECRET));
    }

    #[tokio::test]
    async fn a_file_that_others_could_read_or_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("uri");
        fs::write(&path, format!("mongodb://admin:{SECRET}@127.0.0.1/")).unwrap();
        symlink(&path, dir.path().join("link")).unwrap();
        fs::create_dir(dir.path().join("dir")).unwrap();
        for (mode, owner, name, expected) in [
            (0o640, user(), "/uri", "its mode is 0640"),
            (0o602, user(), "/uri", "its mode is 0602"),
            (0o600, user() + 1, "/uri", "it belongs to user"),
            (0o600, user(), "/link", "symbolic link"),
            (0o600, user(), "/dir", "not a regular file"),
            (0o600, user(), "/none", "No such file"),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = options(dir.path(), owner, &file(name)).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains(SECRET), "{error}");
        }
    }

    #[tokio::test]
    async fn no_error_repeats_the_connection_string() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("uri");
        for text in [
            format!("mongodb://admin:{SECRET}@127.0.0.1:1/?{SECRET}=1"),
            format!("mongodb://admin:{SECRET}@a@127.0.0.1/"),
            format!("mongodb://admin:{SECRET}/@127.0.0.1/"),
            format!("mongodb://admin:{SECRET}@127.0.0.1:port/"),
            format!("mongodb://admin:{SECRET}@one,two/"),
            format!("mongodb+srv://admin:{SECRET}@example.org/"),
            format!("mongodb://admin:{SECRET}@127.0.0.1/?authMechanism={SECRET}"),
            SECRET.to_owned(),
            String::new(),
        ] {
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            for access in [file("/uri"), uri(&text)] {
                let error = options(dir.path(), user(), &access).await.unwrap_err();
                assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
            }
        }
        let error = options(dir.path(), 0, &uri(&format!("mongodb://a:{SECRET}@127.0.0.1/"))).await.unwrap_err();
        assert!(error.why.contains("uri_file") && !error.why.contains(SECRET), "{error}");
        let error = options(dir.path(), 0, &DatabaseAccess { uri: None, uri_file: None }).await.unwrap_err();
        assert!(error.why.contains("exactly one"), "{error}");
    }
}
