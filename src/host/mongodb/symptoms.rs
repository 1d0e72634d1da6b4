//! Collects what is seen of a mongod that does not start. Asks systemd by its own tools, since a server that cannot be
//! reached has nothing else to tell; nothing is decided here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::files::{self, User};
use super::{command_line, options};
use crate::host::command::{self, below};
use crate::host::{HostError, HostErrorKind, HostResult, exec_line, foreign, sockets};
use crate::model::{LogRecord, MongodSymptoms, UnitName};

const TIMEOUT: Duration = Duration::from_secs(10);
const PROPERTIES: &str = "LoadState,ActiveState,Result,ExecMainStatus,ExecMainCode,ExecMainStartTimestamp,InvocationID,\
                          User,ExecStart,DropInPaths,MainPID,TasksCurrent";

/// Records that tell of trouble although they are told as information or as a warning: 20254 is "Read security file
/// failed".
const TELLING: [u64; 2] = [20_254, NOT_IN_ITS_SET];
/// "Locally stored replica set configuration does not have a valid entry for the current node".
const NOT_IN_ITS_SET: u64 = 21_405;
/// "Replica set state transition".
const NEW_STATE: u64 = 21_358;
/// mongod cuts its times to milliseconds. No more is forgiven: somebody may start it twice within a second.
const LOG_RESOLUTION: SignedDuration = SignedDuration::from_millis(1);
const RECORDS: usize = 40;
const LINES: usize = 40;
/// No configuration is longer.
const CONFIG_BYTES: u64 = 1024 * 1024;

pub(super) async fn symptoms(root: &Path, unit: &UnitName) -> HostResult<MongodSymptoms> {
    let property = format!("--property={PROPERTIES}");
    let args = ["show", unit.as_str(), property.as_str(), "--timestamp=us+utc"];
    let shown = command::read_text(root, "systemctl", &args, TIMEOUT).await?;
    let shown: BTreeMap<&str, &str> = shown.lines().filter_map(|line| line.split_once('=')).collect();
    let property = |name: &str| shown.get(name).copied().unwrap_or_default();
    let words = match exec_line::service_properties(root, unit).await {
        Some(properties) => exec_line::argv(root, &properties),
        // Without its variables a word that names one is no word of the command.
        None => Some(argv(property("ExecStart"))).filter(|argv| argv.iter().all(|word| !word.contains('$'))),
    };
    // The next start is as the unit says. Where that is a script's to decide, the start that runs has to do.
    let own = words.as_deref().and_then(|argv| command_line::of_unit(root, argv));
    let command = own.or_else(|| command_line::of_processes(root, pids_of(root, unit)));
    let is_named_so = unit.as_str().contains("mongod") || property("ExecStart").contains("mongod");
    if property("LoadState") != "masked" && command.is_none() && !(is_named_so && property("LoadState") == "loaded") {
        let why = format!("it is {} and starts no mongod", property("LoadState"));
        return Err(HostError::new(HostErrorKind::NotFound, format!("look at {unit}"), why));
    }
    let started = started(property("ExecMainStartTimestamp"));
    let invocation = format!("_SYSTEMD_INVOCATION_ID={}", property("InvocationID"));
    let lines = LINES.to_string();
    let journal = ["--output=cat", "--no-pager", "--lines", lines.as_str(), invocation.as_str()];
    // The journal may be kept by somebody else: then the log file has to do.
    let journal = command::read_text(root, "journalctl", &journal, TIMEOUT).await.unwrap_or_default();
    let seen = MongodSymptoms {
        unit: unit.to_string(),
        load: property("LoadState").to_owned(),
        active: property("ActiveState").to_owned(),
        result: property("Result").to_owned(),
        // 1 says that the process ended by itself; otherwise the number is a signal's.
        exit_status: property("ExecMainStatus").parse().ok().filter(|_| property("ExecMainCode") == "1"),
        held: property("DropInPaths").contains("patchday"),
        // An init script and `RemainAfterExit=` leave a unit active whose server has ended.
        hollow: property("MainPID") == "0" && !property("TasksCurrent").parse().is_ok_and(|tasks: u64| tasks > 0),
        user: match command.as_ref().and_then(|command| command.user.clone()) {
            Some(user) => user,
            None if property("User").is_empty() => "root".to_owned(),
            None => property("User").to_owned(),
        },
        ..MongodSymptoms::default()
    };
    let argv = command.map(|command| command.argv);
    let root = root.to_owned();
    let read = move || with_files(&root, seen, argv.as_deref(), started, &journal);
    foreign::in_time(foreign::PATIENCE, "read the files of MongoDB", read).await
}

/// `{ path=/usr/bin/mongod ; argv[]=/usr/bin/mongod --config /etc/mongod.conf ; … }`
fn argv(exec_start: &str) -> Vec<String> {
    let after = exec_start.split_once("argv[]=").map_or("", |(_, after)| after);
    after.split(" ; ").next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// The processes of the unit.
fn pids_of(root: &Path, unit: &UnitName) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(root.join("proc")) else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_its = |pid: &u32| {
        let text = std::fs::read_to_string(root.join(format!("proc/{pid}/cgroup")));
        text.ok().and_then(|text| sockets::unit_of_cgroup(&text)).as_ref() == Some(unit)
    };
    pids.filter(is_its).collect()
}

/// `Tue 2026-11-24 18:25:30.123456 UTC`; none if it never started.
fn started(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(' ')?;
    format!("{}Z", rest.strip_suffix(" UTC")?.replacen(' ', "T", 1)).parse().ok()
}

fn with_files(
    root: &Path,
    mut seen: MongodSymptoms,
    argv: Option<&[String]>,
    started: Option<Timestamp>,
    journal: &str,
) -> MongodSymptoms {
    let is_known = argv.is_some();
    let argv: Vec<&str> = argv.unwrap_or_default().iter().map(String::as_str).collect();
    let config = options::config_path(&argv);
    let file = match config {
        Some(path) => foreign::read(&below(root, path), CONFIG_BYTES).ok(),
        None => Some(String::new()),
    };
    let options = options::options(&argv, file.as_deref().unwrap_or_default());
    // What is not named has its default, where all that could name it was read.
    let default_db_path = (is_known && file.is_some()).then_some("/data/db");
    let option = |key: &str| options.get(key).map(String::as_str);
    seen.port = option("net.port").and_then(|port| port.parse().ok()).unwrap_or(27017);
    seen.port_holder = sockets::listening(root).ok().and_then(|sockets| {
        let own = format!(":{}", seen.port);
        let taken = sockets.into_iter().find(|socket| socket.address.ends_with(&own))?;
        let unit = taken.unit.map(|unit| format!(" ({unit})")).unwrap_or_default();
        Some(format!("{}{unit} on {}", taken.program, taken.address))
    });
    // Whoever answers there may be started by this unit in a control group of another: a container's.
    seen.hollow &= !seen.port_holder.as_ref().is_some_and(|holder| holder.starts_with("mongod"));
    let (records, output) = records(journal, None);
    seen.output = output;
    seen.records = records;
    if let Some(log) = option("systemLog.path").and_then(|path| super::evidence::tail_of(&below(root, path))) {
        // An older start tells nothing of this one.
        seen.records.extend(self::records(&log, started).0);
    }
    seen.records.truncate(RECORDS);
    let db_path = option("storage.dbPath").or(default_db_path);
    match User::find(root, &seen.user) {
        Some(user) => {
            seen.files = files::states(root, &user, config, (&options, db_path));
            seen.user = user.name;
        }
        None => seen.output.push(format!("there is no user {}", seen.user)),
    }
    let space = db_path.and_then(|path| rustix::fs::statvfs(below(root, path)).ok());
    seen.free_bytes = space.map(|space| space.f_bavail.saturating_mul(space.f_frsize));
    seen
}

/// The records that tell of trouble since then, and the lines that are no records.
fn records(text: &str, since: Option<Timestamp>) -> (Vec<LogRecord>, Vec<String>) {
    let mut records: Vec<LogRecord> = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Ok(record) = serde_json::from_str::<Value>(line) else {
            lines.push(line.chars().take(300).collect());
            continue;
        };
        let (Some(id), Some(severity)) = (record["id"].as_u64(), record["s"].as_str()) else { continue };
        if id == NEW_STATE && matches!(record["attr"]["newState"].as_str(), Some("PRIMARY" | "SECONDARY" | "ARBITER")) {
            records.retain(|known| known.id != NOT_IN_ITS_SET);
        }
        let at: Option<Timestamp> = record["t"]["$date"].as_str().and_then(|at| at.parse().ok());
        let is_old = since.is_some_and(|since| at.is_some_and(|at| at < since - LOG_RESOLUTION));
        let is_telling = matches!(severity, "E" | "F") || TELLING.contains(&id) || is_corruption(id);
        if is_old || !is_telling || record["tags"][0] == "startupWarnings" {
            continue;
        }
        let mut texts = vec![record["msg"].as_str().unwrap_or_default().trim().to_owned()];
        leaves(&record["attr"], &mut texts);
        let text: String = texts.join("; ").replacen("; ", ": ", 1).chars().take(400).collect();
        if !records.iter().any(|known| known.id == id && known.text == text) {
            records.push(LogRecord { id, severity: severity.to_owned(), text });
        }
    }
    (records, lines)
}

/// "Failed to start up WiredTiger under any compatibility version", "WiredTiger metadata corruption detected".
fn is_corruption(id: u64) -> bool {
    [22_347, 22_348].contains(&id)
}

/// The texts in a record's attributes, in their order.
fn leaves(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.trim().is_empty() => texts.push(text.trim().to_owned()),
        Value::Array(values) => values.iter().for_each(|value| leaves(value, texts)),
        Value::Object(values) => values.values().for_each(|value| leaves(value, texts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemds_words_are_read() {
        let exec = "{ path=/usr/bin/mongod ; argv[]=/usr/bin/mongod --config /etc/mongod.conf ; ignore_errors=no ; }";
        assert_eq!(argv(exec), ["/usr/bin/mongod", "--config", "/etc/mongod.conf"]);
        assert_eq!(argv(""), Vec::<String>::new());
        let at = started("Tue 2026-11-24 18:25:30.123456 UTC").unwrap();
        assert_eq!(at.to_string(), "2026-11-24T18:25:30.123456Z");
        assert_eq!(started("n/a"), None);
    }

    #[test]
    fn only_trouble_of_the_last_start_is_taken() {
        let record = |second: u32, severity: &str, id: u64| {
            format!(
                r#"{{"t":{{"$date":"2026-11-24T03:00:{second:02}.000+00:00"}},"s":"{severity}","id":{id},"msg":"Terminating","attr":{{"error":{{"errmsg":"why"}}}}}}"#
            )
        };
        let log = [
            record(8, "E", 1),
            "Unrecognized option: x".to_owned(),
            record(10, "I", 2),
            record(11, "E", 20557),
            record(11, "E", 20557),
            record(12, "I", 20254),
        ]
        .join("\n");
        let since = "2026-11-24T03:00:08.900Z".parse().ok();
        let (records, lines) = records(&log, since);
        assert_eq!(records.iter().map(|record| record.id).collect::<Vec<_>>(), [20557, 20254]);
        assert_eq!(records[0].text, "Terminating: why");
        assert_eq!(lines, ["Unrecognized option: x"]);
    }

    #[test]
    fn a_member_that_left_its_set_counts_until_it_is_back() {
        let left = r#"{"s":"W","id":21405,"msg":"no valid entry","attr":{"error":{"codeName":"NodeNotFound"}}}"#;
        let state = |name: &str| format!(r#"{{"s":"I","id":21358,"msg":"transition","attr":{{"newState":"{name}"}}}}"#);
        for (states, counts) in [(vec![], true), (vec!["REMOVED"], true), (vec!["REMOVED", "SECONDARY"], false)] {
            let lines: Vec<String> =
                [left.to_owned()].into_iter().chain(states.iter().map(|name| state(name))).collect();
            assert_eq!(records(&lines.join("\n"), None).0.len(), usize::from(counts), "{states:?}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            include_str!("../../../tests/fixtures/mongodb/clean-mongod6.0.5.log"),
            include_str!("../../../tests/fixtures/mongodb/restart-after-kill-mongod6.0.5.log"),
            "{ path=/usr/bin/mongod ; argv[]=/usr/bin/mongod --config /etc/mongod.conf ; ignore_errors=no ; start_time=[Thu 2026-11-26 14:03:00 UTC] }",
        ];
        crate::host::hostile::survives(&samples, |text| {
            let (records, _) = records(text, None);
            assert!(records.len() <= text.lines().count());
            let _ = (argv(text), started(text));
        });
    }
}
