//! The database adapter against a real mongod, named by the environment variable `MONGOD` or found in the lab's cache.
//! Without one the tests say that they are skipped.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::mongod::{PASSWORD, PATIENCE, Server, mongo, mongod, shutdown};
use jiff::SignedDuration;
use mongodb::Client;
use mongodb::bson::{DateTime, Document, doc};
use patchday::host::{Database, DatabaseForensics, DatabaseInsight, HostErrorKind, ShutdownSpec};
use patchday::model::DatabaseAccess;

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

    assert_eq!(mongo().facts(&server.access_by_socket()).await.unwrap(), facts);
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
    mongo().shutdown(&server.access(), shutdown(10)).await.unwrap();
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

    mongo().shutdown(&server.access(), shutdown(10)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
    let proof = mongo().stop_evidence(&facts).await;
    assert_eq!((proof.lock_file_bytes, proof.logged_exit_code), (Some(0), Some(0)));

    // The next start finds nothing to mend, and the end before is no proof any more.
    server.start_again().await;
    assert_eq!(mongo().start_evidence(&facts).await.unclean_shutdown_seen, Some(false));
    assert_eq!(mongo().stop_evidence(&facts).await.logged_exit_code, None);
}

#[tokio::test]
async fn documents_of_the_last_minutes_are_counted_by_their_dates() {
    let Some(program) = mongod() else { return };
    let server = Server::start(program, &[]).await;
    let now = jiff::Timestamp::now();
    let ago = |seconds: i64| DateTime::from_millis(now.as_millisecond() - seconds * 1000);
    let sessions = server.client("shop").await.database("shop").collection::<Document>("sessions");
    let users =
        [doc! { "seen": ago(10) }, doc! { "seen": ago(200) }, doc! { "seen": ago(4000) }, doc! { "seen": "now" }];
    sessions.insert_many(users).await.unwrap();
    for (within, count) in [(60, 1), (300, 2), (86_400, 3)] {
        let since = now - jiff::SignedDuration::from_secs(within);
        let counted = mongo().count_since(&server.access(), "shop.sessions", "seen", since).await;
        assert_eq!(counted, Ok(count), "{within} s");
    }
    assert_eq!(mongo().count_since(&server.access(), "shop.nobody", "seen", now).await, Ok(0));
}

/// The socket's file goes with the server, so that the next try to connect fails without a wait. A driver that tries
/// again without a pause then stops everything on our one thread: hence the second thread here.
#[test]
fn a_server_that_took_its_socket_along_is_waited_for_no_longer() {
    let Some(program) = mongod() else { return };
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut server = Server::start(program, &[]).await;
            let access = server.access_by_socket();
            mongo().shutdown(&access, shutdown(10)).await.unwrap();
            assert_eq!(server.ended().await.code(), Some(0));
            assert!(mongo().facts(&access).await.is_err());
            done.send(()).unwrap();
        });
    });
    ended.recv_timeout(PATIENCE).unwrap();
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
    mongo().shutdown(&server.access(), shutdown(10)).await.unwrap();
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
    mongo().shutdown(&server.access(), shutdown(5)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
}

/// As after a boot on which its name did not resolve: here it is the port that leads to nobody.
#[tokio::test]
async fn a_member_that_left_its_set_says_so() {
    let Some(program) = mongod() else { return };
    let mut server = Server::start(program, &["--replSet", "rs0"]).await;
    let why = server.facts().await.outside.unwrap();
    assert!(why.contains("was never initiated"), "{why}");
    let admin = server.client("setup").await.database("admin");
    let name = format!("127.0.0.1:{}", server.port);
    let member = doc! { "_id": 0, "host": &name };
    admin.run_command(doc! { "replSetInitiate": { "_id": "rs0", "members": [member] } }).await.unwrap();
    let began = Instant::now();
    while server.facts().await.role != "primary" {
        assert!(began.elapsed() < PATIENCE, "no primary");
    }
    mongo().shutdown(&server.access(), ShutdownSpec { force: true, ..shutdown(1) }).await.unwrap();
    server.ended().await;
    server.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    server.start_again_with(&["--replSet", "rs0"]).await;
    let began = Instant::now();
    while server.facts().await.outside.is_none() {
        assert!(began.elapsed() < PATIENCE, "{:?}", server.facts().await);
    }
    let facts = server.facts().await;
    let why = facts.outside.unwrap();
    assert!(why.contains("has left its replica set rs0") && why.contains(&name), "{why}");
    assert_eq!((facts.role.as_str(), facts.set_name), ("other", None));
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
        told.push(mongo().shutdown(&access, shutdown(5)).await.unwrap_err());
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
    told.push(mongo().shutdown(&wrong, shutdown(5)).await.unwrap_err());
    for error in &told {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(PASSWORD) && !text.contains("wrong-password") && !text.contains("mongodb://"), "{text}");
        println!("{error}");
    }

    mongo().shutdown(&server.access_as("stopper", PASSWORD), shutdown(5)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
}

/// The actions of the role in docs/mongodb.md.
const DOCUMENTED: [&str; 8] = [
    "shutdown",
    "serverStatus",
    "inprog",
    "getCmdLineOpts",
    "getParameter",
    "replSetGetStatus",
    "replSetGetConfig",
    "replSetStateChange",
];

#[tokio::test]
async fn the_documented_role_is_enough() {
    let page = include_str!("../../docs/mongodb.md");
    let list = page.split_once("actions: [\n").unwrap().1.split_once(']').unwrap().0;
    let listed: Vec<&str> = list.split(',').map(|word| word.trim().trim_matches('"')).collect();
    assert_eq!(listed, DOCUMENTED);
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
    mongo().operations(&access).await.unwrap();
    let condition = mongo().condition(&access).await.unwrap();
    assert_eq!(condition.lacks(&DOCUMENTED), Vec::<&str>::new());
    assert_eq!(condition.lacks(&["killop"]), ["killop"]);
    assert_eq!((condition.authorization, condition.journaled), (Some(true), Some(true)));
    assert_eq!(condition.fsync_locked, Some(false));
    assert!(condition.compatibility.is_some() && condition.connections.is_some(), "{condition:?}");
    mongo().shutdown(&access, shutdown(5)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_unknown() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let access = DatabaseAccess { uri: Some(format!("mongodb://127.0.0.1:{port}/")), ..DatabaseAccess::default() };
    let began = Instant::now();
    for error in [
        mongo().facts(&access).await.unwrap_err(),
        mongo().clients(&access).await.unwrap_err(),
        mongo().shutdown(&access, shutdown(5)).await.unwrap_err(),
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
    let access = DatabaseAccess { uri: Some(format!("mongodb://127.0.0.1:{port}/")), ..DatabaseAccess::default() };
    let began = Instant::now();
    let error = mongo().shutdown(&access, shutdown(5)).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Unknown, "{error}");
    assert_eq!(error.why, "no server can be reached: it does not answer");
    assert!(began.elapsed() < Duration::from_secs(15));
}

/// As while it writes its last checkpoint: whoever asks then waits for as long as the stop may take.
#[tokio::test]
async fn a_server_that_is_silent_for_a_while_is_waited_for() {
    let Some(program) = mongod() else { return };
    let mut server = Server::start(program, &[]).await;
    let signal = |signal| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(server.process.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    let (mongo, patient) = (mongo(), server.access().patient(SignedDuration::from_secs(60)));
    let silence = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        signal(rustix::process::Signal::CONT);
    };
    signal(rustix::process::Signal::STOP);
    let (facts, ()) = tokio::join!(mongo.facts(&patient), silence);
    assert!(facts.unwrap().pid.is_some());
    signal(rustix::process::Signal::STOP);
    let error = mongo.facts(&server.access()).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Unknown, "{error}");
    signal(rustix::process::Signal::CONT);
    mongo.shutdown(&patient, shutdown(5)).await.unwrap();
    assert_eq!(server.ended().await.code(), Some(0));
}
