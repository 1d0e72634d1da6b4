//! The configured units, and whether they will come back by themselves.

use super::{Check, CheckInputs, check};
use crate::config::RebootWhen;
use crate::host::HostError;
use crate::model::{Finding, LoadState, Severity, UnitName, UnitState};

/// More restarts than this since the unit was started is a storm, not an accident.
const RESTARTS_LIMIT: u32 = 5;

async fn states(inputs: &CheckInputs<'_>) -> Result<Vec<UnitState>, HostError> {
    let mut states = Vec::new();
    for service in &inputs.settings.services {
        states.push(inputs.host.units.state(&service.unit).await?);
    }
    Ok(states)
}

async fn units_with(
    inputs: &CheckInputs<'_>,
    is_wrong: impl Fn(&UnitState) -> bool,
) -> Result<Vec<(UnitName, UnitState)>, HostError> {
    let units = inputs.settings.services.iter().map(|service| service.unit.clone());
    Ok(units.zip(states(inputs).await?).filter(|(_, state)| is_wrong(state)).collect())
}

check!(UNIT_LOADED, "unit-loaded", Blocker, "every configured unit exists and is loaded", |inputs| {
    let wrong = units_with(inputs, |state| state.load != LoadState::Loaded).await?;
    let Some((first, _)) = wrong.first() else { return Ok(None) };
    let mut finding = Finding::new("unit-loaded", Severity::Blocker, "a configured unit cannot be loaded");
    finding.evidence = wrong.iter().map(|(unit, state)| format!("{unit} is {}", state.load)).collect();
    Ok(Some(finding.remedy("mend the unit, or take it out of the configuration", format!("systemctl status {first}"))))
});

check!(UNIT_ENABLED, "unit-enabled", Blocker, "every configured unit that runs is enabled", |inputs| {
    if inputs.settings.reboot.when == RebootWhen::Never || inputs.options.no_reboot {
        return Ok(None);
    }
    // Static, generated and alias units are started by others; only these two say that nobody starts them.
    let nobody_starts = |state: &UnitState| matches!(state.unit_file.as_str(), "disabled" | "masked");
    let wrong = units_with(inputs, |state| state.is_up() && nobody_starts(state)).await?;
    let Some((first, _)) = wrong.first() else { return Ok(None) };
    let title = "a unit runs but is not enabled: it would not come back after the reboot";
    let mut finding = Finding::new("unit-enabled", Severity::Blocker, title);
    finding.evidence = wrong.iter().map(|(unit, state)| format!("{unit} is {}", state.unit_file)).collect();
    Ok(Some(finding.remedy("enable it", format!("systemctl enable {first}"))))
});

check!(RESUME_ENABLED, "resume-enabled", Blocker, "Patchday itself goes on after the reboot", |inputs| {
    if inputs.settings.reboot.when == RebootWhen::Never || inputs.options.no_reboot {
        return Ok(None);
    }
    let Ok(unit) = "patchday-resume.service".parse::<UnitName>() else { return Ok(None) };
    let state = inputs.host.units.state(&unit).await?;
    if state.load == LoadState::Loaded && state.unit_file == "enabled" {
        return Ok(None);
    }
    let finding = Finding::new("resume-enabled", Severity::Blocker, "nothing would verify the host after the reboot");
    let what = if state.load == LoadState::Loaded { state.unit_file } else { state.load.to_string() };
    let finding = finding.evidence(format!("{unit} is {what}"));
    Ok(Some(finding.remedy("install and enable it", format!("systemctl enable {unit}"))))
});

check!(RESTART_STORM, "restart-storm", Warning, "no configured unit restarts again and again", |inputs| {
    let wrong = units_with(inputs, |state| state.restarts > RESTARTS_LIMIT).await?;
    let Some((first, _)) = wrong.first() else { return Ok(None) };
    let mut finding = Finding::new("restart-storm", Severity::Warning, "a service restarts again and again");
    finding.evidence = wrong.iter().map(|(unit, state)| format!("{unit}: {} restarts", state.restarts)).collect();
    Ok(Some(finding.remedy("read why it ends", format!("journalctl -u {first}"))))
});

check!(ORDER_DECLARED, "order-declared", Warning, "systemd knows the configured order", |inputs| {
    let mut evidence = Vec::new();
    for (service, state) in inputs.settings.services.iter().zip(states(inputs).await?) {
        let missing = service.after.iter().filter(|after| !state.after.contains(after));
        evidence.extend(missing.map(|after| format!("{} lacks After={after}", service.unit)));
    }
    if evidence.is_empty() {
        return Ok(None);
    }
    let title = "systemd may start a service before what it depends on";
    let mut finding = Finding::new("order-declared", Severity::Warning, title);
    finding.evidence = evidence;
    Ok(Some(finding.hint("add the After= lines in a drop-in (systemctl edit UNIT)")))
});

check!(UNITS_FAILED, "units-failed", Info, "no unit has failed already", |inputs| {
    let failed = inputs.host.units.survey().await?.failed;
    if failed.is_empty() {
        return Ok(None);
    }
    let title = format!("{} units failed before the run; they will not count against it", failed.len());
    let mut finding = Finding::new("units-failed", Severity::Info, title);
    finding.evidence = failed.iter().map(ToString::to_string).collect();
    Ok(Some(finding.remedy("mend or reset them", "systemctl --failed")))
});
