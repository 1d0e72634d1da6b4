//! `patchday witness`: is there before the services of a boot, and sees them become ready, for the run that goes on after
//! it. It belongs to a boot, which it may neither hold up nor fail: whatever is wrong, the verification sees for itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::app::{App, require_root};
use super::coordinate::say_ready;
use crate::config::Settings;
use crate::error::Failure;
use crate::exit_code;
use crate::host::bus::{Bus, BusAddress};
use crate::host::clock::SystemClock;
use crate::host::mongodb::Mongo;
use crate::host::probe::Probe;
use crate::host::system::HostSystem;
use crate::host::systemd::SystemdUnits;
use crate::host::witness::WitnessFile;
use crate::host::{UnitChanges, Units as _, Witness as _};
use crate::verify::{Witnessing, witness as watch};

/// The boot waits no longer for its witness; `TimeoutStartSec=` of the unit is longer.
const BEGIN_WITHIN: Duration = Duration::from_secs(1);

pub(super) async fn witness(app: &App) -> Result<u8, Failure> {
    require_root("witness")?;
    let root = PathBuf::from("/");
    let units = SystemdUnits::new(Bus::new(BusAddress::Systemd), root.clone()).in_haste();
    let file = WitnessFile::new(root.clone());
    let begun = tokio::time::timeout(BEGIN_WITHIN, begin(app, &units, &file)).await;
    // From here on nothing starts unheard: what systemd says meanwhile is kept.
    say_ready();
    let (settings, mut ears) = match begun {
        Ok(Ok(Some(begun))) => begun,
        Ok(Ok(None)) => return Ok(exit_code::DONE),
        Ok(Err(failure)) => return Ok(without_witness(&failure.message)),
        Err(_) => return Ok(without_witness("systemd did not answer in time")),
    };
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let database = Arc::new(Mongo::new(root.clone(), 0).with_credentials(credentials));
    let prober = Probe::new(Arc::new(units.clone()), database);
    let start_timeout = settings.services.iter().map(|service| service.start_timeout).max().unwrap_or_default();
    let with = Witnessing {
        units: &units,
        prober: &prober,
        system: &HostSystem::new(root),
        witness: &file,
        clock: &SystemClock,
        services: &settings.services,
        patience: settings.verify.boot_timeout + start_timeout,
    };
    watch(&with, &mut *ears).await;
    Ok(exit_code::DONE)
}

/// The settings of the open run, and what systemd tells from now on; none if no run is open.
async fn begin(
    app: &App,
    units: &SystemdUnits,
    file: &WitnessFile,
) -> Result<Option<(Settings, Box<dyn UnitChanges>)>, Failure> {
    let Some(id) = app.state.open_run()? else { return Ok(None) };
    let settings = app.state.settings(&id)?;
    let ears = units.listen().await?;
    file.begin().await?;
    Ok(Some((settings, ears)))
}

fn without_witness(why: &str) -> u8 {
    tracing::warn!("nobody watches the services of this boot from its beginning: {why}");
    exit_code::DONE
}
