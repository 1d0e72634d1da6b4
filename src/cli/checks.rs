//! `patchday checks`.

use super::app::App;
use super::args::ChecksArgs;
use crate::checks::{CATALOGUE, Check};
use crate::error::Failure;
use crate::exit_code;
use crate::ui::checks::{CheckRow, Checks, FORMAT};

pub(super) fn checks(app: &App, args: &ChecksArgs) -> Result<u8, Failure> {
    let wanted = CATALOGUE.iter().filter(|check| args.topic.is_none_or(|topic| topic == check.topic));
    let row = |check: &Check| CheckRow {
        topic: check.topic.name(),
        heading: check.topic.title(),
        label: check.label,
        severity: check.severity,
        deadline_seconds: check.deadline.as_secs(),
        about: check.about,
        doc: check.doc,
    };
    app.answer(&Checks { format: FORMAT, checks: wanted.map(row).collect() }, args.json)?;
    Ok(exit_code::DONE)
}
