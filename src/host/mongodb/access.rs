//! From the configuration's way to the server to the driver's options, without letting a password out.

use std::time::Duration;

use mongodb::options::{AuthMechanism, ClientOptions, Credential, ServerMonitoringMode};

use super::Mongo;
use crate::host::{HostError, HostResult, secret};
use crate::model::DatabaseAccess;

const WHAT: &str = "connect to MongoDB";

/// What is read, in words.
const NAME: &str = "the connection string";

/// A server on this host answers in milliseconds; the driver's own limit is 30 s.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(3);

/// The driver's own limit for one connection.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// Options for one server, asked directly, under our name. Errors never repeat the connection string.
pub(super) async fn options(mongo: &Mongo, access: &DatabaseAccess) -> HostResult<ClientOptions> {
    let (uri, is_secret) = match (&access.uri, &access.uri_file, &access.uri_credential) {
        (Some(uri), None, None) => (uri.clone(), false),
        (None, Some(file), None) => (secret::read(&mongo.root, mongo.secrets_owner, file, NAME)?, true),
        (None, None, Some(name)) => {
            let given = mongo.credentials.as_ref();
            (secret::credential(&mongo.root, mongo.secrets_owner, given, name, NAME).await?, true)
        }
        _ => return Err(HostError::failed(WHAT, "exactly one of uri, uri_file and uri_credential must be set")),
    };
    if uri.starts_with("mongodb+srv:") {
        return Err(HostError::failed(
            WHAT,
            "mongodb+srv names a whole cluster; name this host's server with mongodb://",
        ));
    }
    // The driver quotes parts of what it cannot read, and a misplaced sign may make that the password.
    let mut options = ClientOptions::parse(&uri).await.map_err(|_| {
        let source = if is_secret { "its content" } else { "uri" };
        HostError::failed(WHAT, format!("{source} is no valid connection string, as in mongodb://127.0.0.1:27017/"))
    })?;
    // A certificate is no secret of the string: with it nothing but the mechanism is named.
    let has_password = |credential: &Credential| {
        credential.password.is_some() || credential.mechanism != Some(AuthMechanism::MongoDbX509)
    };
    if !is_secret && options.credential.as_ref().is_some_and(has_password) {
        return Err(HostError::failed(WHAT, "uri holds credentials; move it to a file and name it in uri_file"));
    }
    if options.hosts.len() != 1 {
        return Err(HostError::failed(WHAT, "the connection string names several servers; name only this host's"));
    }
    options.app_name = Some(mongo.app_name.clone());
    options.direct_connection = Some(true);
    options.repl_set_name = None;
    options.load_balanced = None;
    let patience = access.patience.and_then(|patience| Duration::try_from(patience).ok()).unwrap_or_default();
    options.server_selection_timeout = Some(patience.max(SERVER_SELECTION_TIMEOUT));
    // A connection that comes about and then is silent is given up for another one in time.
    options.connect_timeout = Some((patience / 4).clamp(SERVER_SELECTION_TIMEOUT, LONGEST_CONNECT));
    options.min_pool_size = None;
    // One question needs no stream of the server's states. Moreover the driver's stream brings a task along that, once
    // it is told to end, tries to connect until another task has run: where that fails without a wait, as over a Unix
    // socket whose file is gone, our one thread would never get there (RttMonitor::execute, driver 3.9).
    options.server_monitoring_mode = Some(ServerMonitoringMode::Poll);
    Ok(options)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;
    use crate::host::HostErrorKind;

    const SECRET: &str = "swordfish";

    fn uri(uri: &str) -> DatabaseAccess {
        DatabaseAccess { uri: Some(uri.to_owned()), ..DatabaseAccess::default() }
    }

    fn file(path: &str) -> DatabaseAccess {
        DatabaseAccess { uri_file: Some(path.to_owned()), ..DatabaseAccess::default() }
    }

    async fn options(root: &Path, owner: u32, access: &DatabaseAccess) -> HostResult<ClientOptions> {
        super::options(&Mongo::new(root.to_owned(), owner), access).await
    }

    #[tokio::test]
    async fn a_credential_is_found_where_systemd_looks_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let given = dir.path().join("given");
        let store = dir.path().join("etc/credstore");
        fs::create_dir_all(&store).unwrap();
        fs::create_dir(&given).unwrap();
        let access = DatabaseAccess { uri_credential: Some("db".into()), ..DatabaseAccess::default() };
        let mongo = Mongo::new(dir.path().to_owned(), user()).with_credentials(Some(given.clone()));
        let error = super::options(&mongo, &access).await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::NotFound, "{error}");

        fs::write(store.join("db"), format!("mongodb://admin:{SECRET}@127.0.0.1:1/")).unwrap();
        fs::set_permissions(store.join("db"), fs::Permissions::from_mode(0o644)).unwrap();
        let error = super::options(&mongo, &access).await.unwrap_err();
        assert!(error.why.contains("0644") && !error.why.contains(SECRET), "{error}");
        fs::set_permissions(store.join("db"), fs::Permissions::from_mode(0o600)).unwrap();
        let port = |options: ClientOptions| options.hosts[0].to_string();
        assert_eq!(port(super::options(&mongo, &access).await.unwrap()), "127.0.0.1:1");

        // What systemd gave to this service comes first.
        fs::write(given.join("db"), format!("mongodb://admin:{SECRET}@127.0.0.1:2/\n")).unwrap();
        assert_eq!(port(super::options(&mongo, &access).await.unwrap()), "127.0.0.1:2");
    }

    #[tokio::test]
    async fn a_certificate_needs_no_file() {
        let x509 = "mongodb://127.0.0.1/?tls=true&authMechanism=MONGODB-X509";
        let options = options(Path::new("/"), 0, &uri(x509)).await.unwrap();
        assert_eq!(options.credential.unwrap().mechanism, Some(AuthMechanism::MongoDbX509));
    }

    fn user() -> u32 {
        rustix::process::getuid().as_raw()
    }

    #[tokio::test]
    async fn who_is_patient_waits_longer_for_each_question() {
        for (patience, selection, connect) in [(1, 3, 3), (20, 20, 5), (120, 120, 10)] {
            let access = uri("mongodb://127.0.0.1/").patient(jiff::SignedDuration::from_secs(patience));
            let options = options(Path::new("/"), 0, &access).await.unwrap();
            assert_eq!(options.server_selection_timeout, Some(Duration::from_secs(selection)));
            assert_eq!(options.connect_timeout, Some(Duration::from_secs(connect)));
        }
    }

    #[tokio::test]
    async fn the_one_server_is_asked_directly_and_soon() {
        let options =
            options(Path::new("/"), 0, &uri("mongodb://127.0.0.1:27018/?replicaSet=rs0&appName=other")).await.unwrap();
        assert_eq!(options.direct_connection, Some(true));
        let names = [
            options.app_name.clone(),
            super::options(&Mongo::new("/".into(), 0), &uri("mongodb://127.0.0.1/")).await.unwrap().app_name,
        ];
        assert!(names.iter().flatten().all(|name| name.starts_with("patchday ") && name.len() == 45), "{names:?}");
        assert_ne!(names[0], names[1], "nobody else knows it");
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
        let error = options(dir.path(), 0, &DatabaseAccess::default()).await.unwrap_err();
        assert!(error.why.contains("exactly one"), "{error}");
    }
}
