//! A real mongod for one test, named by the environment variable `MONGOD` or found in the lab's cache.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use mongodb::Client;
use patchday::host::mongodb::Mongo;
use patchday::host::{Database, ShutdownSpec};
use patchday::model::{DatabaseAccess, DatabaseFacts};

pub const PASSWORD: &str = "swordfish";
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The server's program; none, and says so, where there is no server.
pub fn mongod() -> Option<PathBuf> {
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
pub struct Server {
    pub dir: tempfile::TempDir,
    pub port: u16,
    program: PathBuf,
    pub process: Child,
}

impl Server {
    pub async fn start(program: PathBuf, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("db")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Self::spawn(&program, dir.path(), port, options);
        let server = Self { dir, port, program, process };
        server.wait_until_up().await;
        server
    }

    /// As [`Self::start`], where a plain connection is not enough to ask it: waits until it listens.
    pub async fn start_closed(program: PathBuf, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("db")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Self::spawn(&program, dir.path(), port, options);
        let server = Self { dir, port, program, process };
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "mongod does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
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

    pub async fn start_again(&mut self) {
        self.start_again_with(&[]).await;
    }

    pub async fn start_again_with(&mut self, options: &[&str]) {
        self.process = Self::spawn(&self.program, self.dir.path(), self.port, options);
        self.wait_until_up().await;
    }

    async fn wait_until_up(&self) {
        let began = Instant::now();
        while let Err(error) = mongo().facts(&self.access()).await {
            assert!(began.elapsed() < PATIENCE, "mongod does not come up: {error}");
        }
    }

    pub fn uri(&self, user: &str) -> String {
        format!("mongodb://{user}127.0.0.1:{}/?directConnection=true", self.port)
    }

    pub fn access(&self) -> DatabaseAccess {
        DatabaseAccess { uri: Some(self.uri("")), ..DatabaseAccess::default() }
    }

    pub fn access_by_socket(&self) -> DatabaseAccess {
        let socket = self.dir.path().join(format!("mongodb-{}.sock", self.port));
        let socket = socket.to_str().unwrap().replace('/', "%2F");
        DatabaseAccess { uri: Some(format!("mongodb://{socket}/")), ..DatabaseAccess::default() }
    }

    /// Access as a user, whose password is in a file.
    pub fn access_as(&self, user: &str, password: &str) -> DatabaseAccess {
        let path = self.dir.path().join(format!("uri-{user}-{password}"));
        fs::write(&path, self.uri(&format!("{user}:{password}@"))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        DatabaseAccess { uri_file: Some(path.to_str().unwrap().to_owned()), ..DatabaseAccess::default() }
    }

    pub async fn client(&self, app_name: &str) -> Client {
        Client::with_uri_str(format!("{}&appName={app_name}&serverSelectionTimeoutMS=2000", self.uri("")))
            .await
            .unwrap()
    }

    pub async fn facts(&self) -> DatabaseFacts {
        mongo().facts(&self.access()).await.unwrap()
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> ExitStatus {
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

pub fn mongo() -> Mongo {
    Mongo::new("/".into(), rustix::process::getuid().as_raw())
}

pub fn shutdown(seconds: i64) -> ShutdownSpec {
    let patience = SignedDuration::from_secs(seconds + 30);
    ShutdownSpec { quiesce: SignedDuration::from_secs(seconds), force: false, patience }
}
