//! `patchday checks`.

use std::io::stdout;

use serde::Serialize;

use super::app::{App, json_text};
use super::args::ChecksArgs;
use crate::checks::{CATALOGUE, Check, Topic};
use crate::error::Failure;
use crate::exit_code;
use crate::model::Severity;
use crate::ui;
use crate::ui::checks::CheckRow;

/// Version of the shape of `patchday checks --json`.
const CHECKS_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Catalogue {
    format: u32,
    checks: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    topic: Topic,
    label: &'static str,
    severity: Severity,
    deadline_seconds: u64,
    about: &'static str,
    doc: &'static str,
}

pub(super) fn checks(app: &App, args: &ChecksArgs) -> Result<u8, Failure> {
    let wanted = CATALOGUE.iter().filter(|check| args.topic.is_none_or(|topic| topic == check.topic));
    let text = if args.json {
        let row = |check: &Check| Row {
            topic: check.topic,
            label: check.label,
            severity: check.severity,
            deadline_seconds: check.deadline.as_secs(),
            about: check.about,
            doc: check.doc,
        };
        json_text(&Catalogue { format: CHECKS_FORMAT, checks: wanted.map(row).collect() })?
    } else {
        let row = |check: &Check| CheckRow {
            topic: check.topic.title(),
            label: check.label,
            severity: check.severity,
            about: check.about,
        };
        ui::checks::render(&wanted.map(row).collect::<Vec<_>>(), &app.stdout_style())
    };
    ui::print_data(&mut stdout(), &text);
    Ok(exit_code::DONE)
}
