//! Whether every probe of readiness works: one that never did says nothing of a service that comes back.

use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{CheckInputs, check};
use crate::config::ServiceSettings;
use crate::host::HostResult;
use crate::model::{Readiness, ReadinessProbe, UnitName};

/// Probes at the same time.
const AT_ONCE: usize = 8;
/// A service that was busy for a moment is asked once more.
const ONCE_MORE_AFTER: SignedDuration = SignedDuration::from_secs(1);
/// So long a service is left alone that says it is asked too often; all checks together should not take longer.
const LEFT_ALONE: SignedDuration = SignedDuration::from_secs(10);

/// What the probe of a service that runs says; none if it succeeds.
async fn trouble(inputs: &CheckInputs<'_>, service: &ServiceSettings) -> Option<(UnitName, String)> {
    let ask = || inputs.host.prober.probe(&service.unit, &service.readiness, service.probe_timeout);
    let first = ask().await;
    if matches!(first, Readiness::Ready(_)) {
        return None;
    }
    let pause = first.ask_again_after().map_or(ONCE_MORE_AFTER, |pause| pause.min(LEFT_ALONE));
    inputs.host.clock.sleep(pause).await;
    Some((service.unit.clone(), ask().await.problem()?))
}

/// What does not run is another check's, and so is a database that cannot be asked.
async fn troubles(inputs: &CheckInputs<'_>) -> HostResult<Vec<(UnitName, String)>> {
    let up: Vec<&UnitName> =
        inputs.units().await?.iter().filter(|(_, state)| state.is_up()).map(|(unit, _)| unit).collect();
    let is_asked = |service: &&ServiceSettings| {
        let asks_others = matches!(service.readiness, ReadinessProbe::Unit | ReadinessProbe::Mongodb(_));
        !asks_others && up.contains(&&service.unit)
    };
    let asked: Vec<&ServiceSettings> = inputs.settings.services.iter().filter(is_asked).collect();
    let mut found = Vec::new();
    for some in asked.chunks(AT_ONCE) {
        found.extend(join_all(some.iter().map(|service| trouble(inputs, service))).await.into_iter().flatten());
    }
    Ok(found)
}

check!(
    READINESS,
    Services,
    "readiness",
    Blocker,
    300,
    "every service that runs is ready, by its own probe",
    "A probe that does not succeed before the run does not succeed after it either: the run would wait for it, and call a \
     service failed that is well. Where it is allowed, what it says is known, and does not count against the host.",
    |check, inputs| {
        let found = troubles(inputs).await?;
        let Some((first, _)) = found.first() else { return Ok(None) };
        let finding = check.found("a service runs and is not ready: its probe does not succeed");
        let finding = finding.lines(found.iter().map(|(unit, why)| format!("{unit}: {why}")));
        let hint = "fix the service, or the probe of its [[service]]";
        Ok(Some(finding.remedy(hint, format!("systemctl status {first}"))))
    }
);
