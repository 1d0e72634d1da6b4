//! Records as mongod 6.0.5 wrote them, when it refused to start for a reason that was made for it.

use super::*;
use crate::model::{FileRole, FileState, LogRecord};

/// One of the fixtures: exit status, records of weight, and what was written besides the log.
fn captured(name: &str) -> MongodSymptoms {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/fixtures/mongodb/refusals-mongod6.0.5.json")).unwrap();
    let one = &all[name];
    let records: Vec<LogRecord> = serde_json::from_value(one["records"].clone()).unwrap();
    MongodSymptoms {
        unit: "mongod.service".into(),
        load: "loaded".into(),
        active: "failed".into(),
        result: "exit-code".into(),
        exit_status: one["exit_status"].as_i64().and_then(|status| i32::try_from(status).ok()),
        user: "mongodb".into(),
        port: 27017,
        records,
        output: serde_json::from_value(one["output"].clone()).unwrap(),
        free_bytes: Some(8 << 30),
        ..MongodSymptoms::default()
    }
}

fn unusable(role: FileRole, path: &str) -> FileState {
    FileState {
        role,
        path: path.into(),
        exists: true,
        owner: "root".into(),
        mode: "0700".into(),
        problem: Some("mongodb may not write it".into()),
    }
}

fn first(symptoms: &MongodSymptoms) -> Finding {
    diagnose(symptoms).into_iter().next().unwrap()
}

#[test]
fn every_captured_refusal_is_recognised() {
    for (name, expected) in [
        ("bad-option", "mongod-option"),
        ("bad-yaml", "mongod-option"),
        ("missing-config", "mongod-config-missing"),
        ("dbpath-missing", "mongod-dbpath-missing"),
        ("dbpath-in-use", "mongod-dbpath-in-use"),
        ("socket-owner", "mongod-socket-owner"),
        ("port-in-use", "mongod-port-in-use"),
        ("bad-bind", "mongod-address"),
        ("keyfile-missing", "mongod-key-file"),
        ("keyfile-open", "mongod-key-file"),
        ("keyfile-owner", "mongod-key-file"),
        ("cert-missing", "mongod-certificate"),
        ("cert-owner", "mongod-certificate"),
        ("cert-garbage", "mongod-certificate"),
        ("log-owner", "mongod-log"),
        ("logfile-owner", "mongod-log"),
        ("corrupt-wt", "mongod-corrupt"),
        ("corrupt-collection", "mongod-corrupt"),
        ("missing-catalog", "mongod-corrupt"),
        ("engine", "mongod-version"),
        ("disk-tiny", "mongod-disk-full"),
        ("memory", "mongod-memory"),
        ("nofile", "mongod-limits"),
    ] {
        let found = diagnose(&captured(name));
        let keys: Vec<String> = found.iter().map(|finding| finding.key.to_string()).collect();
        assert_eq!(keys.first(), Some(&expected.to_owned()), "{name}: {keys:?}");
        assert!(!found[0].evidence.is_empty() && found[0].remedy.is_some(), "{name}: {:?}", found[0]);
    }
}

#[test]
fn what_only_the_host_shows_decides_between_like_records() {
    for name in ["dbpath-owner", "lock-owner", "file-owner"] {
        let mut symptoms = captured(name);
        symptoms.files = vec![unusable(FileRole::Data, "/var/lib/mongodb/mongod.lock")];
        let finding = first(&symptoms);
        assert_eq!(finding.key, "mongod-dbpath-owner", "{name}");
        assert!(finding.evidence.iter().any(|line| line.contains("root, 0700")), "{finding:?}");
    }
    let mut symptoms = captured("disk-full");
    assert_ne!(first(&symptoms).key, "mongod-disk-full");
    symptoms.free_bytes = Some(0);
    assert_eq!(first(&symptoms).key, "mongod-disk-full");
}

#[test]
fn the_holder_of_the_port_is_named() {
    let mut symptoms = captured("port-in-use");
    symptoms.port_holder = Some("nginx (nginx.service)".into());
    let finding = first(&symptoms);
    assert!(finding.evidence.contains(&"port 27017: nginx (nginx.service)".to_owned()), "{finding:?}");
    assert_eq!(finding.remedy.unwrap().command.as_deref(), Some("ss -ltnp sport = :27017"));
}

/// Seen in a container without the right to lock memory.
fn secure_memory() -> LogRecord {
    let text = "Fatal assertion: src/mongo/base/secure_allocator.cpp".to_owned();
    LogRecord { id: 23_089, severity: "F".into(), text }
}

#[test]
fn states_of_systemd_are_causes_too() {
    let down = || MongodSymptoms { active: "inactive".into(), unit: "mongod.service".into(), ..Default::default() };
    for (symptoms, expected) in [
        (MongodSymptoms { held: true, ..down() }, "mongod-held"),
        (MongodSymptoms { load: "masked".into(), ..down() }, "mongod-masked"),
        (MongodSymptoms { exit_status: Some(203), ..down() }, "mongod-program"),
        (MongodSymptoms { result: "oom-kill".into(), ..down() }, "mongod-memory"),
        (MongodSymptoms { result: "timeout".into(), ..down() }, "mongod-timeout"),
        (MongodSymptoms { exit_status: Some(62), ..down() }, "mongod-version"),
        (MongodSymptoms { records: vec![secure_memory()], ..down() }, "mongod-memlock"),
        (down(), "mongod-unknown"),
    ] {
        assert_eq!(first(&symptoms).key, expected);
    }
    assert_eq!(diagnose(&MongodSymptoms { active: "active".into(), held: true, ..down() }), []);
}

#[test]
fn a_file_alone_is_only_a_warning() {
    let mut symptoms = MongodSymptoms { active: "inactive".into(), ..Default::default() };
    symptoms.files = vec![unusable(FileRole::Socket, "/tmp/mongodb-27017.sock")];
    let found = diagnose(&symptoms);
    let brief: Vec<_> = found.iter().map(|finding| (finding.key.to_string(), finding.severity)).collect();
    // Nobody knows whether that is the cause.
    assert_eq!(brief, [("mongod-files".into(), Severity::Warning), ("mongod-unknown".into(), Severity::Blocker)]);
}

#[test]
fn an_active_unit_without_a_server_does_not_run() {
    for (active, hollow, key) in [
        ("active", false, None),
        ("reloading", false, None),
        ("active", true, Some("mongod-hollow")),
        ("failed", true, Some("mongod-unknown")),
    ] {
        let symptoms = MongodSymptoms {
            unit: "mongod.service".into(),
            active: active.into(),
            hollow,
            port: 27017,
            free_bytes: Some(8 << 30),
            ..MongodSymptoms::default()
        };
        let found = diagnose(&symptoms);
        let found = found.last();
        assert_eq!(found.map(|finding| finding.key.to_string()).as_deref(), key, "{active}, hollow: {hollow}");
        if active == "active" && hollow {
            let command = found.and_then(|finding| finding.remedy.as_ref()?.command.as_deref());
            assert_eq!(command, Some("systemctl restart mongod.service"));
        }
    }
}

/// A server that runs has no reason not to start, and may serve nobody all the same.
#[test]
fn a_server_that_runs_may_have_left_its_set() {
    let mut symptoms =
        MongodSymptoms { unit: "mongod.service".into(), active: "active".into(), ..MongodSymptoms::default() };
    assert!(diagnose(&symptoms).is_empty());
    let text = "Locally stored replica set configuration does not have a valid entry for the current node";
    symptoms.records = vec![LogRecord { id: 21_405, severity: "W".into(), text: text.into() }];
    let finding = first(&symptoms);
    assert_eq!(finding.key, "mongod-left-set");
    assert!(finding.evidence[0].contains("valid entry"), "{finding:?}");
    assert_eq!(finding.remedy.unwrap().command.as_deref(), Some("systemctl restart mongod.service"));
}
