//! What a server leaves behind in its files: the lock file, and the records of its log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

use crate::host::command::below;
use crate::model::{DatabaseFacts, DatabaseStartEvidence, DatabaseStopEvidence};

/// Log records by their IDs, the same from MongoDB 4.4 to 8.
const STARTING: u64 = 4_615_611;
const SHUTTING_DOWN: u64 = 23_138;
/// "Detected unclean shutdown" and "Recovering data from the last clean checkpoint".
const UNCLEAN: [u64; 2] = [22_271, 22_302];

/// A log may have grown for years; what matters is at its end.
const TAIL_BYTES: u64 = 8 * 1024 * 1024;

/// The proof of a clean end; what cannot be read is none.
pub(super) fn of_stop(root: &Path, facts: &DatabaseFacts) -> DatabaseStopEvidence {
    let lock = facts.db_path.as_deref().map(|path| below(root, path).join("mongod.lock"));
    DatabaseStopEvidence {
        lock_file_bytes: lock.and_then(|lock| std::fs::metadata(lock).ok()).map(|metadata| metadata.len()),
        logged_exit_code: tail_of_log(root, facts).and_then(|log| exit_code(&log)),
    }
}

/// What the running server found when it started.
pub(super) fn of_start(root: &Path, facts: &DatabaseFacts) -> DatabaseStartEvidence {
    DatabaseStartEvidence { unclean_shutdown_seen: tail_of_log(root, facts).and_then(|log| unclean_start(&log)) }
}

fn tail_of_log(root: &Path, facts: &DatabaseFacts) -> Option<String> {
    let path = below(root, facts.log_path.as_deref()?);
    tail(&path, TAIL_BYTES).ok()
}

/// The last bytes of a file. The first line may have lost its beginning: then it is no record.
fn tail(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    // A server that writes faster than we read must not keep us here.
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

/// `exitCode` of the last "Shutting down"; none where the server has started since, or never ended.
fn exit_code(log: &str) -> Option<i64> {
    let (id, record) = log.lines().rev().find_map(|line| record(line, &[SHUTTING_DOWN, STARTING]))?;
    if id == SHUTTING_DOWN { record.get("attr")?.get("exitCode")?.as_i64() } else { None }
}

/// Whether the last start speaks of an unclean end; none where the log does not reach back to the start and says
/// nothing of it.
fn unclean_start(log: &str) -> Option<bool> {
    let wanted = [UNCLEAN[0], UNCLEAN[1], STARTING];
    // The first of them seen from the end decides: an unclean end is told after the start.
    log.lines().rev().find_map(|line| record(line, &wanted)).map(|(id, _)| UNCLEAN.contains(&id))
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
    fn only_the_end_of_a_huge_log_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mongod.log");
        let mut log = String::new();
        for number in 0..1000 {
            writeln!(log, r#"{{"s":"I","c":"NETWORK","id":22943,"attr":{{"connectionId":{number}}}}}"#).unwrap();
        }
        log.push_str(CLEAN);
        std::fs::write(&path, &log).unwrap();
        let end = tail(&path, CLEAN.len() as u64 + 7).unwrap();
        assert_eq!(end.len(), CLEAN.len() + 7);
        assert_eq!(exit_code(&end), Some(0));
        assert_eq!(tail(&path, 1 << 30).unwrap(), log);
    }
}
