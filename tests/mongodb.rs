//! The database adapter against a real mongod, named by the environment variable `MONGOD` or found in the lab's cache.
//! Without one the tests say that they are skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of tests fails its test, and tells why it is skipped"
)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use patchday::host::mongodb::Mongo;
use patchday::host::{Database, HostErrorKind};
use patchday::model::{DatabaseAccess, DatabaseFacts};

const PASSWORD: &str = "swordfish";
const PATIENCE: Duration = Duration::from_secs(60);

/// The server's program; none, and says so, where there is no server.
fn mongod() -> Option<PathBuf> {
    static PROGRAM: LazyLock<Option<PathBuf>> = LazyLock::new(|| match std::env::var_os("MONGOD") {
        Some(named) => Some(named.into()),
        None => in_cache(Path::new("/var/cache/patchday-lab"), "mongod-").map(|found| runnable(&found)),
    });
    if PROGRAM.is_none() {
        println!("skipped: no mongod; name one with MONGOD=/path/to/mongod");
    }
    PROGRAM.clone()
}

/// A wheel keeps no permissions, and the lab's copy is not ours to change.
fn runnable(found: &Path) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mongod");
    let size = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
    if size(&copy) != size(found) {
        fs::copy(found, &copy).unwrap();
    }
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

/// The lab unpacks the wheel with the server into a directory that is named for the server's version.
fn in_cache(dir: &Path, prefix: &str) -> Option<PathBuf> {
    fs::read_dir(dir).ok()?.filter_map(|entry| Some(entry.ok()?.path())).find_map(|path| {
        let name = path.file_name()?.to_str()?;
        match path.is_dir() {
            true if name.starts_with(prefix) => in_cache(&path, ""),
            true => None,
            false => (name == "mongod").then_some(path),
        }
    })
}

/// A mongod of its own, with data, log and socket in a directory of its own; killed on drop.
struct Server {
    dir: tempfile::TempDir,
    port: u16,
    program: PathBuf,
    process: Child,
}

impl Server {
    async fn start(program: PathBuf, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("db")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Self::spawn(&program, dir.path(), port, options);
        let server = Self { dir, port, program, process };
        server.wait_until_up().await;
        server
    }

    fn spawn(program: &Path, dir: &Path, port: u16, options: &[&str]) -> Child {
        Command::new(program)
            .arg("--dbpath")
            .arg(dir.join("db"))
            .arg("--logpath")
            .arg(dir.join("mongod.log"))
            .arg("--unixSocketPrefix")
            .arg(dir)
            .args(["--logappend", "--bind_ip", "127.0.0.1", "--port", &port.to_string()])
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn start_again(&mut self) {
        self.process = Self::spawn(&self.program, self.dir.path(), self.port, &[]);
        self.wait_until_up().await;
    }

    async fn wait_until_up(&self) {
        let began = Instant::now();
        while let Err(error) = mongo().facts(&self.access()).await {
            assert!(began.elapsed() < PATIENCE, "mongod does not come up: {error}");
        }
    }

    fn uri(&self, user: &str) -> String {
        format!("mongodb://{user}127.0.0.1:{}/?directConnection=true", self.port)
    }

    fn access(&self) -> DatabaseAccess {
        DatabaseAccess { uri: Some(self.uri("")), uri_file: None }
    }

    /// Access as a user, whose password is in a file.
    fn access_as(&self, user: &str, password: &str) -> DatabaseAccess {
        let path = self.dir.path().join(format!("uri-{user}-{password}"));
        fs::write(&path, self.uri(&format!("{user}:{password}@"))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        DatabaseAccess { uri: None, uri_file: Some(path.to_str().unwrap().to_owned()) }
    }

    async fn client(&self, app_name: &str) -> Client {
        Client::with_uri_str(format!("{}&appName={app_name}&serverSelectionTimeoutMS=2000", self.uri("")))
            .await
            .unwrap()
    }

    async fn facts(&self) -> DatabaseFacts {
        mongo().facts(&self.access()).await.unwrap()
    }

    /// Waits for the end of the process.
    async fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "mongod does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_before = self.process.kill();
        let _reaped_before = self.process.wait();
    }
}

fn mongo() -> Mongo {
    Mongo::new("/".into(), rustix::process::getuid().as_raw())
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn the_facts_are_those_of_the_server() {
    let Some(program) = mongod() else { return };
    let server = Server::start(program, &[]).await;
    let facts = server.facts().await;
    assert!(facts.version.starts_with(|c: char| c.is_ascii_digit()), "{}", facts.version);
    assert_eq!(facts.pid, Some(server.process.id()));
    assert_eq!(facts.role, "standalone");
    assert_eq!(facts.db_path.as_deref(), server.dir.path().join("db").to_str());
    assert_eq!(facts.log_path.as_deref(), server.dir.path().join("mongod.log").to_str());

    let socket = server.dir.path().join(format!("mongodb-{}.sock", server.port));
    let socket = socket.to_str().unwrap().replace('/', "%2F");
    let access = DatabaseAccess { uri: Some(format!("mongodb://{socket}/")), uri_file: None };
    assert_eq!(mongo().facts(&access).await.unwrap(), facts);
}

#[tokio::test]
async fn clients_are_everybody_but_us() {
    let Some(program) = mongod() else { return };
    let server = Server::start(program, &[]).await;
    assert_eq!(mongo().clients(&server.access()).await.unwrap(), []);

    let client = server.client("sample-api").await;
    client.database("shop").collection::<Document>("orders").insert_one(doc! { "x": 1 }).await.unwrap();
    let clients = mongo().clients(&server.access()).await.unwrap();
    assert!(!clients.is_empty());
    for connection in &clients {
        assert_eq!(connection.app_name, "sample-api");
        assert!(connection.client.starts_with("127.0.0.1:"), "{}", connection.client);
        assert!(!connection.active, "an idle client is not at work");
    }

    let socket = server.dir.path().join(format!("mongodb-{}.sock", server.port));
    let socket = socket.to_str().unwrap().replace('/', "%2F");
    let local = Client::with_uri_str(format!("mongodb://{socket}/?directConnection=true&appName=local")).await.unwrap();
    local.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
    let clients = mongo().clients(&server.access()).await.unwrap();
    let over_socket: Vec<_> = clients.iter().filter(|connection| connection.app_name == "local").collect();
    assert!(!over_socket.is_empty());
    assert!(over_socket.iter().all(|connection| connection.client.is_empty()), "{over_socket:?}");
}

#[tokio::test]
async fn a_running_operation_is_seen_at_work() {
    let Some(program) = mongod() else { return };
    let server = Server::start(program, &[]).await;
    let client = server.client("sample-api").await;
    let orders = client.database("shop").collection::<Document>("orders");
    orders.insert_one(doc! { "x": 1 }).await.unwrap();
    let slow = tokio::spawn(async move { orders.find_one(doc! { "$where": "sleep(20000) || true" }).await });
    let began = Instant::now();
    loop {
        let clients = mongo().clients(&server.access()).await.unwrap();
        if clients.iter().any(|connection| connection.active) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{clients:?}");
    }
    // A standalone server does not wait for the operation.
    mongo().shutdown(&server.access(), seconds(10)).await.unwrap();
    assert!(slow.await.unwrap().is_err());
}

#[tokio::test]
async fn an_idle_server_ends_cleanly_and_the_proof_says_so() {
    let Some(program) = mongod() else { return };
    let mut server = Server::start(program, &[]).await;
    let facts = server.facts().await;
    let running = mongo().stop_evidence(&facts).await;
    assert!(running.lock_file_bytes.is_some_and(|bytes| bytes > 0), "{running:?}");
    assert_eq!(running.logged_exit_code, None);
    assert_eq!(mongo().start_evidence(&facts).await.unclean_shutdown_seen, Some(false));

    mongo().shutdown(&server.access(), seconds(10)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
    let proof = mongo().stop_evidence(&facts).await;
    assert_eq!((proof.lock_file_bytes, proof.logged_exit_code), (Some(0), Some(0)));

    // The next start finds nothing to mend, and the end before is no proof any more.
    server.start_again().await;
    assert_eq!(mongo().start_evidence(&facts).await.unclean_shutdown_seen, Some(false));
    assert_eq!(mongo().stop_evidence(&facts).await.logged_exit_code, None);
}

#[tokio::test]
async fn a_server_with_writing_clients_ends_cleanly() {
    let Some(program) = mongod() else { return };
    let mut server = Server::start(program, &[]).await;
    let facts = server.facts().await;
    let mut writers = Vec::new();
    for _ in 0..5 {
        let client = server.client("sample-api").await;
        let orders = client.database("shop").collection::<Document>("orders");
        orders.insert_one(doc! { "x": 0 }).await.unwrap();
        writers.push(tokio::spawn(async move { while orders.insert_one(doc! { "x": 1 }).await.is_ok() {} }));
    }
    mongo().shutdown(&server.access(), seconds(10)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
    let proof = mongo().stop_evidence(&facts).await;
    assert_eq!((proof.lock_file_bytes, proof.logged_exit_code), (Some(0), Some(0)));
    writers.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_killed_server_leaves_no_proof_and_the_next_start_says_so() {
    let Some(program) = mongod() else { return };
    let mut server = Server::start(program, &[]).await;
    let facts = server.facts().await;
    server.process.kill().unwrap();
    server.ended().await;
    let left = mongo().stop_evidence(&facts).await;
    assert!(left.lock_file_bytes.is_some_and(|bytes| bytes > 0), "{left:?}");
    assert_eq!(left.logged_exit_code, None);

    server.start_again().await;
    assert_eq!(mongo().start_evidence(&facts).await.unclean_shutdown_seen, Some(true));
}

#[tokio::test]
async fn a_replica_set_member_is_asked_directly() {
    let Some(program) = mongod() else { return };
    let mut server = Server::start(program, &["--replSet", "rs0"]).await;
    assert_eq!(server.facts().await.role, "other");
    let admin = server.client("setup").await.database("admin");
    let member = doc! { "_id": 0, "host": format!("127.0.0.1:{}", server.port) };
    admin.run_command(doc! { "replSetInitiate": { "_id": "rs0", "members": [member] } }).await.unwrap();
    let began = Instant::now();
    while server.facts().await.role != "primary" {
        assert!(began.elapsed() < PATIENCE, "no primary");
    }
    mongo().shutdown(&server.access(), seconds(5)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_role_that_may_not_is_told_what_it_lacks() {
    let Some(program) = mongod() else { return };
    let mut server = Server::start(program, &["--auth"]).await;
    // The first user may be made from this host without a login.
    let admin = server.client("setup").await.database("admin");
    let create = |name: &str, roles: &[&str]| doc! { "createUser": name, "pwd": PASSWORD, "roles": roles.to_vec() };
    admin.run_command(create("root", &["root"])).await.unwrap();
    let root = Client::with_uri_str(server.uri(&format!("root:{PASSWORD}@"))).await.unwrap().database("admin");
    root.run_command(create("reader", &["readAnyDatabase"])).await.unwrap();
    root.run_command(create("stopper", &["hostManager"])).await.unwrap();

    let mut told = Vec::new();
    for access in [server.access(), server.access_as("reader", PASSWORD)] {
        let facts = mongo().facts(&access).await.unwrap();
        assert_eq!((facts.role.as_str(), facts.pid, facts.db_path), ("standalone", None, None));
        assert_ne!(facts.version, "unknown");
        told.push(mongo().clients(&access).await.unwrap_err());
        told.push(mongo().shutdown(&access, seconds(5)).await.unwrap_err());
    }
    for error in &told {
        assert_eq!(error.kind, HostErrorKind::Refused, "{error}");
        let needed =
            if error.what.starts_with("shut") { "the action shutdown on the cluster" } else { "the action inprog" };
        assert!(error.why.contains("(code 13)") && error.why.contains(needed), "{error}");
    }
    let wrong = server.access_as("root", "wrong-password");
    told.push(mongo().facts(&wrong).await.unwrap_err());
    assert_eq!(told.last().unwrap().kind, HostErrorKind::Refused);
    told.push(mongo().shutdown(&wrong, seconds(5)).await.unwrap_err());
    for error in &told {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(PASSWORD) && !text.contains("wrong-password") && !text.contains("mongodb://"), "{text}");
        println!("{error}");
    }

    mongo().shutdown(&server.access_as("stopper", PASSWORD), seconds(5)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
}

/// The actions of the role in docs/operations.md.
const DOCUMENTED: [&str; 4] = ["shutdown", "serverStatus", "inprog", "getCmdLineOpts"];

#[tokio::test]
async fn the_documented_role_is_enough() {
    let list = DOCUMENTED.map(|action| format!("\"{action}\"")).join(", ");
    assert!(include_str!("../docs/operations.md").contains(&format!("actions: [ {list} ]")));
    let Some(program) = mongod() else { return };
    let mut server = Server::start(program, &["--auth"]).await;
    let admin = server.client("setup").await.database("admin");
    let create = |name: &str, role: &str| doc! { "createUser": name, "pwd": PASSWORD, "roles": [role] };
    admin.run_command(create("root", "root")).await.unwrap();
    let root = Client::with_uri_str(server.uri(&format!("root:{PASSWORD}@"))).await.unwrap().database("admin");
    let privilege = doc! { "resource": { "cluster": true }, "actions": DOCUMENTED.to_vec() };
    let role = doc! { "createRole": "patchday", "privileges": [privilege], "roles": [] };
    root.run_command(role).await.unwrap();
    root.run_command(create("patchday", "patchday")).await.unwrap();

    let access = server.access_as("patchday", PASSWORD);
    let facts = mongo().facts(&access).await.unwrap();
    assert!(facts.pid.is_some() && facts.db_path.is_some(), "{facts:?}");
    mongo().clients(&access).await.unwrap();
    mongo().shutdown(&access, seconds(5)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_unknown() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let access = DatabaseAccess { uri: Some(format!("mongodb://127.0.0.1:{port}/")), uri_file: None };
    let began = Instant::now();
    for error in [
        mongo().facts(&access).await.unwrap_err(),
        mongo().clients(&access).await.unwrap_err(),
        mongo().shutdown(&access, seconds(5)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, HostErrorKind::Unknown, "{error}");
        assert_eq!(error.why, "no server can be reached: Connection refused (os error 111)");
    }
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_server_that_never_answers_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let access = DatabaseAccess { uri: Some(format!("mongodb://127.0.0.1:{port}/")), uri_file: None };
    let began = Instant::now();
    let error = mongo().shutdown(&access, seconds(5)).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Unknown, "{error}");
    assert_eq!(error.why, "no server can be reached: it does not answer");
    assert!(began.elapsed() < Duration::from_secs(15));
}
