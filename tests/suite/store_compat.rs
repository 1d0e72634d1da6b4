//! The format of `run.json`: what an older Patchday wrote is read in full, what a newer one wrote is refused, and what
//! nobody wrote is named.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use patchday::model::{ClockAnchor, DkmsModule, DkmsState, ExpectedProof, ProofSource, Run, Standstill, Step};
use patchday::store::{FORMAT, StoreError, decode, encode};
use serde_json::{Value, json};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state")
}

/// Every fixture that any version wrote: its name and its text. They are never edited.
fn written() -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut written: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    written.sort();
    written
}

fn read(name: &str, text: &[u8]) -> Run {
    decode(text, Path::new(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn decode_value(value: &Value) -> Result<Run, StoreError> {
    decode(&serde_json::to_vec(value).unwrap(), Path::new("altered/run.json"))
}

/// Writes the fixtures of the current format where they are missing; run by hand, once, when the format grows:
/// `cargo test --test suite store_compat -- --ignored write_the_fixtures`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_fixtures() {
    for (name, run) in crate::sample_runs::all() {
        let path = fixtures().join(format!("v{FORMAT}-{name}.json"));
        if !path.exists() {
            fs::write(path, encode(&run).unwrap()).unwrap();
        }
    }
}

#[test]
fn every_version_is_read() {
    let written = written();
    for format in 1..=FORMAT {
        let names = written.iter().filter(|(name, _)| name.starts_with(&format!("v{format}-")));
        assert!(names.count() >= crate::sample_runs::all().len(), "fixtures of format {format} are missing");
    }
    for (name, text) in &written {
        let run = read(name, text);
        // Written by this version and read again, it is the same run.
        assert_eq!(read(name, &encode(&run).unwrap()), run, "{name}");
    }
}

#[test]
fn this_version_writes_what_its_fixtures_say() {
    for (name, run) in crate::sample_runs::all() {
        let path = fixtures().join(format!("v{FORMAT}-{name}.json"));
        let text = fs::read(&path).unwrap();
        assert_eq!(read(name, &text), run, "{name}");
        let same = encode(&run).unwrap() == text;
        // An older Patchday refuses what it does not know, so every change of the shape is a new format.
        assert!(
            same,
            "the shape of run.json changed ({name}): raise FORMAT, keep the old fixtures, and write new ones"
        );
    }
}

/// Every place in a JSON value, as a pointer.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            places(inner, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), into);
        }),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, inner)| places(inner, &format!("{at}/{n}"), into)),
        _ => {}
    }
}

fn all_places(value: &Value) -> Vec<String> {
    let mut into = Vec::new();
    places(value, "", &mut into);
    into
}

/// Changes each saved value in turn: a reader that does not notice has not read it.
#[test]
fn every_saved_field_is_read_back() {
    for (name, text) in written() {
        let run = read(&name, &text);
        let value: Value = serde_json::from_slice(&text).unwrap();
        for place in all_places(&value).iter().filter(|place| *place != "/format") {
            let mut altered = value.clone();
            let target = altered.pointer_mut(place).unwrap();
            *target = match &*target {
                Value::Bool(flag) => json!(!flag),
                Value::Number(number) => json!(number.as_u64().unwrap() + 1),
                Value::String(text) if text.ends_with('Z') => json!(text.replace("2026", "2025")),
                Value::String(text) if text.starts_with("PT") => json!("PT7M"),
                Value::String(text) if text.ends_with(".service") => json!(format!("x{text}")),
                Value::String(text) => json!(format!("{text}x")),
                Value::Array(list) if !list.is_empty() => json!([]),
                Value::Null | Value::Array(_) | Value::Object(_) => continue,
            };
            if let Ok(other) = decode_value(&altered) {
                assert_ne!(other, run, "{name}: nobody reads {place}");
            }
        }
    }
}

/// Between them the samples leave no field empty, so that the test above speaks for all of them.
#[test]
fn no_field_is_empty_in_every_fixture() {
    let is_empty = |value: &Value| matches!(value, Value::Null) || *value == json!([]) || *value == json!(0);
    let values: Vec<Value> =
        crate::sample_runs::all().iter().map(|(_, run)| serde_json::to_value(run).unwrap()).collect();
    for key in values[0].as_object().unwrap().keys() {
        assert!(values.iter().any(|value| !is_empty(&value[key])), "{key} is empty in every sample");
    }
}

#[test]
fn a_field_that_nobody_knows_is_refused() {
    let value = serde_json::to_value(json!({ "format": FORMAT, "run": crate::sample_runs::mid_upgrade() })).unwrap();
    for place in ["/run", "/run/attempt", "/run/history/0", "/run/history/0/attempt"] {
        let mut altered = value.clone();
        altered.pointer_mut(place).unwrap()["surprise"] = json!(1);
        match decode_value(&altered) {
            Err(StoreError::Unreadable { why, .. }) => assert!(why.contains("surprise"), "{why}"),
            other => panic!("{place}: {other:?}"),
        }
    }
}

#[test]
fn a_newer_format_is_refused_whatever_its_shape() {
    for newer in
        [json!({ "format": FORMAT + 1, "run": crate::sample_runs::healthy() }), json!({ "format": 99, "pass": 7 })]
    {
        let error = decode_value(&newer).unwrap_err();
        let found = newer["format"].as_u64().unwrap();
        assert!(matches!(&error, StoreError::Newer { found: told, .. } if *told == found), "{error:?}");
        let told = error.to_string();
        for part in ["altered/run.json".to_owned(), format!("format {found}"), format!("reads {FORMAT}")] {
            assert!(told.contains(&part), "{told}");
        }
    }
}

fn assert_unreadable(text: &[u8], context: &str) {
    match decode(text, Path::new("state/run.json")) {
        Err(error @ StoreError::Unreadable { .. }) => assert!(error.to_string().contains("state/run.json"), "{error}"),
        other => panic!("{context}: {other:?}"),
    }
}

#[test]
fn what_is_no_run_is_named() {
    for garbage in ["", " ", "\n", "null", "7", "[]", "{}", "\"run\"", "{\"format\":1}", "{\"format\":-1,\"run\":{}}"] {
        assert_unreadable(garbage.as_bytes(), garbage);
    }
    assert_unreadable(&[0; 4096], "zeros, as a power cut leaves them");
    assert_unreadable(&[0xff, 0xfe], "no text");
    let no_format = serde_json::to_vec(&json!({ "run": crate::sample_runs::planned_at(0) })).unwrap();
    assert_unreadable(&no_format, "no format");
    for missing in ["phase", "steps", "boot", "changes", "history"] {
        let mut value = json!({ "format": FORMAT, "run": crate::sample_runs::healthy() });
        value["run"].as_object_mut().unwrap().remove(missing);
        assert_unreadable(&serde_json::to_vec(&value).unwrap(), missing);
    }
}

/// The modules of the kernel before are what the next one must have, also for who resumes the run.
#[test]
fn the_modules_of_the_baseline_are_read_back() {
    let mut run = crate::sample_runs::mid_upgrade();
    let module = DkmsModule {
        module: "zfs/2.1.11".into(),
        kernel: Some("6.1.0-39-amd64".into()),
        state: DkmsState::Other("broken".into()),
    };
    run.baseline.as_mut().unwrap().dkms = Some(vec![module]);
    assert_eq!(decode(&encode(&run).unwrap(), Path::new("run.json")).unwrap(), run);
}

#[test]
fn half_a_run_is_no_run() {
    let text = encode(&crate::sample_runs::mid_upgrade()).unwrap();
    let whole = text.len() - 1; // Without the last newline it is still whole.
    for length in (0..whole).step_by(7).chain(whole - 8..whole) {
        assert_unreadable(&text[..length], &format!("cut after {length} bytes"));
    }
    let twice = [text.clone(), text].concat();
    assert_unreadable(&twice, "written twice");
}

/// Older versions wrote none of them: a standstill or a clock that is lost is a wait without end, and a proof is none.
#[test]
fn how_time_goes_on_and_what_stands_still_is_read_back() {
    let (_, plain) = crate::sample_runs::all().pop().unwrap();
    let mut run = plain.clone();
    run.clock = Some(ClockAnchor {
        boot: run.boot.clone(),
        at: run.planned,
        since_boot: SignedDuration::from_millis(7_500),
        wall_ahead: SignedDuration::from_hours(-24),
    });
    run.asked_again_from = Some(3);
    run.expected_proofs.push(ExpectedProof {
        unit: "redis-server.service".parse().unwrap(),
        invocation: "a1".into(),
        source: ProofSource::Command,
    });
    run.standstills.push(Standstill {
        step: Step::Upgrade,
        attempt: 2,
        work: "upgrade".into(),
        why: "postinst of shop-db (process 51) waits".into(),
    });
    let text = encode(&run).unwrap();
    assert_eq!(read("later", &text), run);
    let value: Value = serde_json::from_slice(&text).unwrap();
    for field in ["clock", "asked_again_from", "expected_proofs", "standstills"] {
        let mut without = value.clone();
        assert!(without["run"].as_object_mut().unwrap().remove(field).is_some(), "{field} is not saved");
        assert_ne!(decode_value(&without).unwrap(), run, "nobody reads {field}");
    }
}
