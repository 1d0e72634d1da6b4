//! The published schema knows every report that a machine gives.
#![allow(dead_code, unreachable_pub)]

use serde_json::Value;

pub fn assert_is_report(report: &Value) {
    let schema = serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.validate(report).unwrap_or_else(|error| panic!("at {}: {error}\n{report:#}", error.instance_path()));
}

pub fn assert_text_is_report(text: &str) {
    assert_is_report(&serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}")));
}
