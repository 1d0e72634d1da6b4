//! Have a coordinator carry a run, in a service of its own.

use jiff::Timestamp;

use super::app::{App, own_program};
use crate::error::{Failure, FailureKind};
use crate::host::WorkUnits;
use crate::host::bus::{Bus, BusAddress};
use crate::host::systemd::SystemdWork;
use crate::model::{RunId, UnitName};

/// The coordinator lives in a service of its own: neither a lost terminal nor a closed login ends it.
pub(super) async fn start_coordinator(
    app: &App,
    work: &dyn WorkUnits,
    unit: &UnitName,
    verb: Vec<String>,
) -> Result<(), Failure> {
    let mut argv = app.command()?;
    argv.extend(verb);
    Ok(work.start_service(unit, "Patchday: coordinator of a patch and reboot run", &argv).await?)
}

/// The coordinator's unit; `verb` is `run` or `resume`.
pub(super) fn coordinator_unit(verb: &str, id: &RunId) -> Result<UnitName, Failure> {
    let unit = format!("patchday-{verb}-{id}.service").parse();
    unit.map_err(|error: crate::model::InvalidId| Failure::new(FailureKind::Unexpected, error.to_string()))
}

/// The ID of a run that begins now.
pub(super) fn mint() -> RunId {
    RunId::mint(Timestamp::now(), salt())
}

/// Tells apart two runs that are minted in the same second.
fn salt() -> u16 {
    let nanos = Timestamp::now().subsec_nanosecond().unsigned_abs();
    ((nanos >> 8) ^ std::process::id()) as u16
}

/// Starts a coordinator for the open run in a service of its own.
pub(super) async fn resume(app: &App, id: &RunId, abort: bool) -> Result<(), Failure> {
    let work: Box<dyn WorkUnits> = {
        // A configuration that is wrong by now keeps nobody from going on: what it names is not written to then.
        let writable = app.load_config().ok().map(|located| app.writable(&located.settings)).transpose()?;
        let work = SystemdWork::new(Bus::new(BusAddress::System), own_program()?);
        Box::new(work.with_writable(writable.unwrap_or_default()))
    };
    let mut verb = vec!["resume".to_owned(), "--foreground".to_owned()];
    verb.extend(abort.then(|| "--abort".to_owned()));
    start_coordinator(app, work.as_ref(), &coordinator_unit("resume", id)?, verb).await
}
