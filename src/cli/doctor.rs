//! `patchday doctor UNIT`.

use std::io::stdout;

use serde::Serialize;

use super::app::{App, json_text, require_root};
use super::args::DoctorArgs;
use crate::doctor::diagnose;
use crate::error::Failure;
use crate::exit_code;
use crate::host::DatabaseForensics;
use crate::host::mongodb::Mongo;
use crate::model::{Finding, UnitName};
use crate::ui;

/// Version of the shape of `patchday doctor --json`.
const DOCTOR_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Diagnosis<'a> {
    format: u32,
    unit: &'a UnitName,
    active: &'a str,
    findings: &'a [Finding],
}

pub(super) async fn doctor(app: &App, args: &DoctorArgs) -> Result<u8, Failure> {
    require_root("doctor")?;
    let symptoms = Mongo::new("/".into(), 0).symptoms(&args.unit).await?;
    let findings = diagnose(&symptoms);
    let text = if args.json {
        let diagnosis =
            Diagnosis { format: DOCTOR_FORMAT, unit: &args.unit, active: &symptoms.active, findings: &findings };
        json_text(&diagnosis)?
    } else {
        ui::doctor::render(&args.unit, &findings, &app.stdout_style())
    };
    ui::print_data(&mut stdout(), &text);
    Ok(if findings.is_empty() { exit_code::DONE } else { exit_code::NOT_VERIFIED })
}
