//! `patchday doctor UNIT`.

use super::app::{App, require_root};
use super::args::DoctorArgs;
use crate::doctor::diagnose;
use crate::error::Failure;
use crate::exit_code;
use crate::host::DatabaseForensics;
use crate::host::mongodb::Mongo;
use crate::ui::doctor::{Diagnosis, FORMAT};

pub(super) async fn doctor(app: &App, args: &DoctorArgs) -> Result<u8, Failure> {
    require_root("doctor")?;
    let symptoms = Mongo::new("/".into(), 0).symptoms(&args.unit).await?;
    let findings = diagnose(&symptoms);
    let diagnosis = Diagnosis { format: FORMAT, unit: &args.unit, active: &symptoms.active, findings: &findings };
    app.answer(&diagnosis, args.json)?;
    Ok(if findings.is_empty() { exit_code::DONE } else { exit_code::NOT_VERIFIED })
}
