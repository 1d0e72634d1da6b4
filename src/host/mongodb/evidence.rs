//! What a server leaves behind in its files: the lock file, and the records of its log.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::host::command::below;
use crate::host::foreign;
use crate::model::{ClientConnection, DatabaseFacts, DatabaseStartEvidence, DatabaseStopEvidence};

/// Log records by their IDs, the same from MongoDB 4.4 to 8.
const STARTING: u64 = 4_615_611;
const SHUTTING_DOWN: u64 = 23_138;
const WIREDTIGER_CLOSED: u64 = 4_795_901;
const WAITING_FOR_CONNECTIONS: u64 = 23_016;
const CONNECTION_ACCEPTED: u64 = 22_943;
/// "Detected unclean shutdown" and "Recovering data from the last clean checkpoint".
const UNCLEAN: [u64; 2] = [22_271, 22_302];

/// A log may have grown for years; what matters is at its end.
const TAIL_BYTES: u64 = 8 * 1024 * 1024;

/// The proof of a clean end; what cannot be read is none.
pub(super) fn of_stop(root: &Path, facts: &DatabaseFacts) -> DatabaseStopEvidence {
    let lock = facts.db_path.as_deref().map(|path| below(root, path).join("mongod.lock"));
    let log = tail_of_log(root, facts);
    DatabaseStopEvidence {
        lock_file_bytes: lock.and_then(|lock| foreign::open(&lock).ok()?.metadata().ok()).map(|lock| lock.len()),
        logged_exit_code: log.as_deref().and_then(exit_code),
        storage_closed: log.as_deref().map(storage_closed),
    }
}

/// What the running server found when it started.
pub(super) fn of_start(root: &Path, facts: &DatabaseFacts) -> DatabaseStartEvidence {
    let Some(log) = tail_of_log(root, facts) else { return DatabaseStartEvidence::default() };
    DatabaseStartEvidence {
        unclean_shutdown_seen: unclean_start(&log),
        ready_after: ready_after(&log),
        ready_at: ready_at(&log),
    }
}

/// Each client with the time since the log says that its connection was accepted. A port is used again, so that the
/// last record counts.
pub(super) fn with_ages(
    root: &Path,
    facts: &DatabaseFacts,
    mut clients: Vec<ClientConnection>,
    now: Timestamp,
) -> Vec<ClientConnection> {
    let Some(log) = tail_of_log(root, facts) else { return clients };
    for (_, record) in log.lines().rev().filter_map(|line| record(line, &[CONNECTION_ACCEPTED])) {
        let Some(remote) = record["attr"]["remote"].as_str() else { continue };
        let Some(client) = clients.iter_mut().find(|one| one.client == remote && one.age.is_none()) else { continue };
        client.age = time(&record).map(|at| now.duration_since(at).max(SignedDuration::ZERO));
        if clients.iter().all(|one| one.age.is_some() || one.client.is_empty()) {
            break;
        }
    }
    clients
}

fn tail_of_log(root: &Path, facts: &DatabaseFacts) -> Option<String> {
    let path = below(root, facts.log_path.as_deref()?);
    tail_of(&path)
}

/// The end of a log; none if it cannot be read. Its first line may have lost its beginning: then it is no record.
pub(super) fn tail_of(path: &Path) -> Option<String> {
    foreign::tail(path, TAIL_BYTES).ok()
}

/// `exitCode` of the last "Shutting down"; none if the server has started since, or never ended.
fn exit_code(log: &str) -> Option<i64> {
    let (id, record) = log.lines().rev().find_map(|line| record(line, &[SHUTTING_DOWN, STARTING]))?;
    if id == SHUTTING_DOWN { record.get("attr")?.get("exitCode")?.as_i64() } else { None }
}

/// Whether the last start speaks of an unclean end; none if the log does not reach back to the start and says
/// nothing of it.
fn unclean_start(log: &str) -> Option<bool> {
    let wanted = [UNCLEAN[0], UNCLEAN[1], STARTING];
    // The first of them seen from the end decides: an unclean end is told after the start.
    log.lines().rev().find_map(|line| record(line, &wanted)).map(|(id, _)| UNCLEAN.contains(&id))
}

/// Whether the storage engine was closed since the last start.
fn storage_closed(log: &str) -> bool {
    let last = log.lines().rev().find_map(|line| record(line, &[WIREDTIGER_CLOSED, STARTING]));
    last.is_some_and(|(id, _)| id == WIREDTIGER_CLOSED)
}

/// When the server took connections since its last start, by the wall's clock.
fn ready_at(log: &str) -> Option<Timestamp> {
    let last = log.lines().rev().find_map(|line| record(line, &[WAITING_FOR_CONNECTIONS, STARTING]))?;
    if last.0 == WAITING_FOR_CONNECTIONS { time(&last.1) } else { None }
}

/// From the last start until the server took connections.
fn ready_after(log: &str) -> Option<SignedDuration> {
    let mut ready = None;
    for (id, record) in log.lines().rev().filter_map(|line| record(line, &[WAITING_FOR_CONNECTIONS, STARTING])) {
        if id == STARTING {
            return Some(time(&ready?)?.duration_since(time(&record)?));
        }
        ready = Some(record);
    }
    None
}

fn time(record: &Value) -> Option<Timestamp> {
    record["t"]["$date"].as_str()?.parse().ok()
}

/// One record of the log, if it is one of those wanted. Most lines are not, and are not parsed.
fn record(line: &str, wanted: &[u64]) -> Option<(u64, Value)> {
    let (_, after) = line.split_once("\"id\":")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    let id: u64 = digits.parse().ok().filter(|id| wanted.contains(id))?;
    // The text of a client's command could hold the same letters: the record's own field decides.
    let record: Value = serde_json::from_str(line).ok()?;
    (record.get("id")?.as_u64()? == id).then_some((id, record))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    const CLEAN: &str = include_str!("../../../tests/fixtures/mongodb/clean-mongod6.0.5.log");
    const KILLED: &str = include_str!("../../../tests/fixtures/mongodb/restart-after-kill-mongod6.0.5.log");

    #[test]
    fn a_clean_end_is_proven_by_the_log() {
        assert_eq!(exit_code(CLEAN), Some(0));
        assert_eq!(unclean_start(CLEAN), Some(false));
        assert_eq!(exit_code(&CLEAN.replace("\"exitCode\":0", "\"exitCode\":14")), Some(14));
    }

    #[test]
    fn a_start_after_a_kill_says_so() {
        assert_eq!(unclean_start(KILLED), Some(true));
        assert_eq!(exit_code(KILLED), None);
        // The next, clean start forgets it.
        assert_eq!(unclean_start(&format!("{KILLED}{CLEAN}")), Some(false));
        // A server that ended cleanly and started again has not ended since.
        assert_eq!(exit_code(&format!("{CLEAN}{KILLED}")), None);
    }

    #[test]
    fn what_the_log_does_not_hold_is_not_made_up() {
        assert_eq!((exit_code(""), unclean_start("")), (None, None));
        let chatter = CLEAN.lines().filter(|line| record(line, &[STARTING, SHUTTING_DOWN]).is_none());
        let chatter: String = chatter.fold(String::new(), |text, line| text + line + "\n");
        assert_eq!((exit_code(&chatter), unclean_start(&chatter)), (None, None));
        let forged =
            r#"{"s":"I","c":"COMMAND","id":51803,"attr":{"command":{"find":"x","filter":{"a":"\"id\":23138"}}}}"#;
        assert_eq!(exit_code(forged), None);
    }

    #[test]
    fn the_time_until_it_was_ready_is_the_logs() {
        assert!(storage_closed(CLEAN));
        assert!(!storage_closed(KILLED));
        let took = ready_after(KILLED).unwrap();
        assert!(took > SignedDuration::ZERO && took < SignedDuration::from_secs(30), "{took:?}");
        assert_eq!(ready_after(""), None);
        let at = ready_at(KILLED).unwrap().to_string();
        assert!(KILLED.lines().any(|line| line.contains("23016") && line.contains(at.trim_end_matches('Z'))), "{at}");
        let starts = KILLED.lines().find(|line| line.contains("4615611")).unwrap();
        assert_eq!((ready_at(&format!("{KILLED}{starts}\n")), ready_at("")), (None, None));
    }

    #[test]
    fn a_connection_is_as_old_as_its_record() {
        let dir = tempfile::tempdir().unwrap();
        let accepted = |second: u32, remote: &str| {
            format!(
                r#"{{"t":{{"$date":"2026-11-24T03:00:{second:02}.000+00:00"}},"id":22943,"attr":{{"remote":"{remote}"}}}}"#
            )
        };
        let log = [accepted(1, "127.0.0.1:1"), accepted(5, "127.0.0.1:1"), accepted(9, "127.0.0.1:2")].join("\n");
        std::fs::write(dir.path().join("log"), log).unwrap();
        let facts = DatabaseFacts { log_path: Some("/log".into()), ..DatabaseFacts::default() };
        let client = |client: &str| ClientConnection { client: client.into(), ..ClientConnection::default() };
        let clients = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", ""].map(client).to_vec();
        let now: Timestamp = "2026-11-24T03:01:00Z".parse().unwrap();
        let ages: Vec<_> =
            with_ages(dir.path(), &facts, clients, now).iter().map(|one| one.age.map(|age| age.as_secs())).collect();
        assert_eq!(ages, [Some(55), Some(51), None, None]);
    }

    #[test]
    fn only_the_end_of_a_huge_log_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mongod.log");
        let mut log = String::new();
        for number in 0..1000 {
            writeln!(log, r#"{{"s":"I","c":"NETWORK","id":22943,"attr":{{"connectionId":{number}}}}}"#).unwrap();
        }
        log.push_str(CLEAN);
        std::fs::write(&path, &log).unwrap();
        let end = foreign::tail(&path, CLEAN.len() as u64 + 7).unwrap();
        assert_eq!(end.len(), CLEAN.len() + 7);
        assert_eq!(exit_code(&end), Some(0));
        assert_eq!(foreign::tail(&path, 1 << 30).unwrap(), log);
    }

    /// The server's user owns its directories: what lies there in place of its files proves nothing, and holds up nobody.
    #[test]
    fn a_pipe_in_place_of_the_log_or_the_lock_is_no_evidence() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        std::fs::create_dir(root.join("db")).unwrap();
        for name in ["log", "db/mongod.lock"] {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, root.join(name), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }
        let facts =
            DatabaseFacts { log_path: Some("/log".into()), db_path: Some("/db".into()), ..DatabaseFacts::default() };
        let (done, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send((of_stop(&root, &facts), of_start(&root, &facts))));
        let (stop, start) = end.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert_eq!((stop.lock_file_bytes, stop.logged_exit_code, stop.storage_closed), (None, None, None));
        assert_eq!((start.unclean_shutdown_seen, start.ready_after), (None, None));
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [CLEAN, KILLED];
        crate::host::hostile::survives(&samples, |text| {
            let _ = (exit_code(text), unclean_start(text), storage_closed(text), ready_after(text), ready_at(text));
        });
    }
}
