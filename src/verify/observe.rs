//! Look at all of the host that a verification compares.

use std::collections::BTreeMap;

use futures_util::future::{join3, join4};
use jiff::SignedDuration;

use super::compare::{self, GoneUnit, Now};
use super::{Verifying, old_code, relations};
use crate::host::HostResult;
use crate::model::{Inventory, Outdated, Reading, UnitName, UnitSurvey, lasting_mounts};

/// A clock that was in time is given this long after a boot to be so again.
const CLOCK_PATIENCE: SignedDuration = SignedDuration::from_secs(60);
const CLOCK_LOOKS: SignedDuration = SignedDuration::from_secs(2);

/// The host as it is now.
pub(super) async fn observe(with: &Verifying<'_>, services: &[UnitName]) -> Now {
    let host = with.host;
    let units: Reading<UnitSurvey> = host.units.survey().await.into();
    let mut gone = BTreeMap::new();
    if let Some(survey) = units.known() {
        let asked = compare::ran_and_does_not(with.baseline, survey, services);
        if let Ok(mut relations) = relations::of_each(host, &asked).await {
            for unit in asked {
                if let (Some(relations), Ok(state)) = (relations.remove(&unit), host.units.state(&unit).await) {
                    gone.insert(unit, GoneUnit { relations, state });
                }
            }
        }
    }
    // Each asks somebody else: side by side they take as long as the slowest.
    let (sockets, mounts, kernel, inventory) =
        join4(host.system.listening_sockets(), host.system.mounts(), host.kernels.facts(), inventory(with)).await;
    let (packages, installed, outdated) = join3(host.packages.state(), host.packages.installed(), outdated(with)).await;
    Now {
        units,
        gone,
        sockets: sockets.into(),
        mounts: mounts.map(lasting_mounts).into(),
        kernel: kernel.into(),
        inventory,
        packages: packages.into(),
        installed: installed.into(),
        outdated: outdated.into(),
    }
}

/// Asked where packages were changed, with the services back: it looks at every process.
async fn outdated(with: &Verifying<'_>) -> HostResult<Option<Outdated>> {
    if with.changes.is_empty() {
        return Ok(None);
    }
    let outdated = with.host.package_survey.outdated().await?;
    let seen = old_code::look_knowing(with.host, with.settings, &[], outdated.as_ref()).await?;
    Ok(Some(Outdated { services: seen.names(), ..outdated.unwrap_or_default() }))
}

/// A clock needs its servers to answer, which takes a while after a boot.
async fn inventory(with: &Verifying<'_>) -> Inventory {
    let clock = &with.host.clock;
    let was_in_time =
        with.baseline.inventory.as_ref().is_some_and(|before| before.clock_synchronized == Reading::Known(true));
    let began = clock.now();
    loop {
        let inventory = with.host.system.inventory().await;
        let is_behind = was_in_time && inventory.clock_synchronized == Reading::Known(false);
        if !is_behind || clock.now().duration_since(began) > CLOCK_PATIENCE {
            return inventory;
        }
        clock.sleep(CLOCK_LOOKS).await;
    }
}
