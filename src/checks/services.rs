//! The configured units, and whether they will come back by themselves.

use super::{CheckInputs, check};
use crate::config::RebootWhen;
use crate::host::HostError;
use crate::model::{LoadState, UnitName, UnitState};

/// More restarts than this since the unit was started is a storm, not an accident.
const RESTARTS_LIMIT: u32 = 5;

async fn units_with<'a>(
    inputs: &'a CheckInputs<'_>,
    is_wrong: impl Fn(&UnitState) -> bool,
) -> Result<Vec<&'a (UnitName, UnitState)>, HostError> {
    Ok(inputs.units().await?.iter().filter(|(_, state)| is_wrong(state)).collect())
}

check!(
    UNIT_LOADED,
    Services,
    "unit-loaded",
    Blocker,
    30,
    "every configured unit exists and is loaded",
    "A unit that systemd cannot load can neither be stopped cleanly nor be started again.",
    |check, inputs| {
        let wrong = units_with(inputs, |state| state.load != LoadState::Loaded).await?;
        let Some((first, _)) = wrong.first() else { return Ok(None) };
        let mut finding = check.found("a configured unit cannot be loaded");
        finding.evidence = wrong.iter().map(|(unit, state)| format!("{unit} is {}", state.load)).collect();
        Ok(Some(
            finding.remedy("mend the unit, or take it out of the configuration", format!("systemctl status {first}")),
        ))
    }
);

check!(
    UNIT_ENABLED,
    Services,
    "unit-enabled",
    Blocker,
    30,
    "every configured unit that runs is enabled",
    "A unit that runs but is not enabled was started by hand. After the reboot nobody starts it.",
    |check, inputs| {
        if inputs.settings.reboot.when == RebootWhen::Never || inputs.options.no_reboot {
            return Ok(None);
        }
        // Static, generated and alias units are started by others; only these two say that nobody starts them.
        let nobody_starts = |state: &UnitState| matches!(state.unit_file.as_str(), "disabled" | "masked");
        let wrong = units_with(inputs, |state| state.is_up() && nobody_starts(state)).await?;
        let Some((first, _)) = wrong.first() else { return Ok(None) };
        let title = "a unit runs but is not enabled: it would not come back after the reboot";
        let mut finding = check.found(title);
        finding.evidence = wrong.iter().map(|(unit, state)| format!("{unit} is {}", state.unit_file)).collect();
        Ok(Some(finding.remedy("enable it", format!("systemctl enable {first}"))))
    }
);

check!(
    RESUME_ENABLED,
    Services,
    "resume-enabled",
    Blocker,
    30,
    "Patchday itself goes on after the reboot",
    "The run goes on after the reboot only if its resume service starts with the host.",
    |check, inputs| {
        if inputs.settings.reboot.when == RebootWhen::Never || inputs.options.no_reboot {
            return Ok(None);
        }
        let Ok(unit) = "patchday-resume.service".parse::<UnitName>() else { return Ok(None) };
        let state = inputs.host.units.state(&unit).await?;
        if state.load == LoadState::Loaded && state.unit_file == "enabled" {
            return Ok(None);
        }
        let finding = check.found("nothing would verify the host after the reboot");
        let what = if state.load == LoadState::Loaded { state.unit_file } else { state.load.to_string() };
        let finding = finding.evidence(format!("{unit} is {what}"));
        Ok(Some(finding.remedy("install and enable it", format!("systemctl enable {unit}"))))
    }
);

check!(
    RESTART_STORM,
    Services,
    "restart-storm",
    Warning,
    30,
    "no configured unit restarts again and again",
    "A service that ends again and again is broken now. After the reboot it would look as if the upgrade had done it.",
    |check, inputs| {
        let wrong = units_with(inputs, |state| state.restarts > RESTARTS_LIMIT).await?;
        let Some((first, _)) = wrong.first() else { return Ok(None) };
        let mut finding = check.found("a service restarts again and again");
        finding.evidence = wrong.iter().map(|(unit, state)| format!("{unit}: {} restarts", state.restarts)).collect();
        Ok(Some(finding.remedy("read why it ends", format!("journalctl -u {first}"))))
    }
);

check!(
    ORDER_DECLARED,
    Services,
    "order-declared",
    Warning,
    30,
    "systemd knows the configured order",
    "At boot systemd starts the services, and knows only the order that their units declare.",
    |check, inputs| {
        let mut evidence = Vec::new();
        for (service, (_, state)) in inputs.settings.services.iter().zip(inputs.units().await?) {
            let missing = service.after.iter().filter(|after| !state.after.contains(after));
            evidence.extend(missing.map(|after| format!("{} lacks After={after}", service.unit)));
        }
        if evidence.is_empty() {
            return Ok(None);
        }
        let title = "systemd may start a service before what it depends on";
        let mut finding = check.found(title);
        finding.evidence = evidence;
        Ok(Some(finding.hint("add the After= lines in a drop-in (systemctl edit UNIT)")))
    }
);

check!(
    UNITS_FAILED,
    Services,
    "units-failed",
    Info,
    30,
    "no unit has failed already",
    "What has failed before the run is not held against it. Mended first, it cannot hide a new failure.",
    |check, inputs| {
        let failed = &inputs.survey().await?.failed;
        if failed.is_empty() {
            return Ok(None);
        }
        let title = format!("{} units failed before the run; they will not count against it", failed.len());
        let mut finding = check.found(title);
        finding.evidence = failed.iter().map(ToString::to_string).collect();
        Ok(Some(finding.remedy("mend or reset them", "systemctl --failed")))
    }
);
