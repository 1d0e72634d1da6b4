//! The configured units, and whether they will come back by themselves.

use jiff::SignedDuration;

use super::{CheckInputs, check};
use crate::host::HostResult;
use crate::model::{ActiveState, DependencyGraph, LoadState, RestartRule, ServiceKind, Severity, UnitName, UnitState};

async fn units_with<'a>(
    inputs: &'a CheckInputs<'_>,
    is_wrong: impl Fn(&UnitState) -> bool,
) -> HostResult<Vec<&'a (UnitName, UnitState)>> {
    Ok(inputs.units().await?.iter().filter(|(_, state)| is_wrong(state)).collect())
}

check!(
    UNIT_LOADED,
    Services,
    "unit-loaded",
    Blocker,
    60,
    "every configured unit exists and is loaded",
    "A unit that systemd cannot load can neither be stopped cleanly nor be started again.",
    |check, inputs| {
        let wrong = units_with(inputs, |state| state.load != LoadState::Loaded).await?;
        let Some((first, _)) = wrong.first() else { return Ok(None) };
        let lines = wrong.iter().map(|(unit, state)| format!("{unit} is {}", state.load));
        let finding = check.found("a configured unit cannot be loaded").lines(lines);
        let command = format!("systemctl status {first}");
        Ok(Some(finding.remedy("fix the unit, or take it out of the configuration", command)))
    }
);

check!(
    UNIT_ENABLED,
    Services,
    "unit-enabled",
    Blocker,
    60,
    "every configured unit that runs is enabled",
    "A unit that runs but is not enabled was started by hand. After the reboot nothing starts it.",
    |check, inputs| {
        if !inputs.settings.may_reboot(inputs.options) {
            return Ok(None);
        }
        let wrong = units_with(inputs, |state| state.is_up() && state.is_started_by_nobody()).await?;
        let Some((first, _)) = wrong.first() else { return Ok(None) };
        let lines = wrong.iter().map(|(unit, state)| format!("{unit} is {}", state.unit_file));
        let finding = check.found("a unit runs but is not enabled: it would not come back after the reboot");
        Ok(Some(finding.lines(lines).remedy("enable it", format!("systemctl enable {first}"))))
    }
);

check!(
    UNIT_RUNNING,
    Services,
    "unit-running",
    Warning,
    60,
    "every configured unit runs",
    "What is down before the run cannot show that it comes back well after it.",
    |check, inputs| {
        let down = units_with(inputs, |state| state.load == LoadState::Loaded && (!state.is_up() || state.is_hollow()))
            .await?;
        let Some((first, _)) = down.first() else { return Ok(None) };
        let finding = check.found("a configured unit does not run now");
        let lines = down.iter().map(|(unit, state)| {
            let result = state.result.as_deref().filter(|result| *result != "success");
            format!("{unit} is {}{}", state.described(), result.map_or(String::new(), |r| format!(": {r}")))
        });
        Ok(Some(finding.lines(lines).remedy("start it, or take it out", format!("systemctl start {first}"))))
    }
);

check!(
    RESUME_ENABLED,
    Services,
    "resume-enabled",
    Blocker,
    60,
    "Patchday itself goes on after the reboot",
    "The run goes on after the reboot only if its resume service starts with the host.",
    |check, inputs| {
        if !inputs.settings.may_reboot(inputs.options) {
            return Ok(None);
        }
        let Ok(unit) = "patchday-resume.service".parse::<UnitName>() else { return Ok(None) };
        let state = inputs.host.units.state(&unit).await?;
        if state.load == LoadState::Loaded && state.unit_file == "enabled" {
            return Ok(None);
        }
        let what = if state.load == LoadState::Loaded { state.unit_file } else { state.load.to_string() };
        let finding =
            check.found("nothing would verify the host after the reboot").evidence(format!("{unit} is {what}"));
        Ok(Some(finding.remedy("install and enable it", format!("systemctl enable {unit}"))))
    }
);

check!(
    DAEMON_RELOAD,
    Services,
    "daemon-reload",
    Warning,
    60,
    "systemd has read every configured unit as it is on disk",
    "A unit file was changed, and systemd has not read it. The reboot, or any package, makes the change come true.",
    |check, inputs| {
        let wrong = units_with(inputs, |state| state.needs_daemon_reload).await?;
        if wrong.is_empty() {
            return Ok(None);
        }
        let lines = wrong.iter().map(|(unit, _)| format!("{unit} was changed after it was loaded"));
        let finding = check.found("a unit file waits to be read").lines(lines);
        Ok(Some(finding.remedy("look at the change, then let systemd read it", "systemctl daemon-reload")))
    }
);

check!(
    RESTART_STORM,
    Services,
    "restart-storm",
    Warning,
    60,
    "no configured unit restarts again and again",
    "A service that ends again and again is broken now. After the reboot it would look as if the upgrade had done it. \
     Counted are automatic restarts beyond [preflight] max-restarts, the last of them within an hour.",
    |check, inputs| {
        let uptime = inputs.host.system.uptime().await?;
        let limit = inputs.settings.preflight.max_restarts;
        let wrong =
            units_with(inputs, |state| state.restarts > limit && up_for(state, uptime) < SignedDuration::from_hours(1));
        let wrong = wrong.await?;
        let Some((first, _)) = wrong.first() else { return Ok(None) };
        let lines = wrong.iter().map(|(unit, state)| {
            let seconds = up_for(state, uptime).as_secs();
            format!("{unit}: {} automatic restarts, up for {seconds} s since the last", state.restarts)
        });
        let finding = check.found("a service restarts again and again").lines(lines);
        Ok(Some(finding.remedy("read why it ends", format!("journalctl -u {first}"))))
    }
);

check!(
    START_LIMIT,
    Services,
    "start-limit",
    Warning,
    60,
    "no configured unit may give up before what it depends on is ready",
    "After a boot systemd starts a service again when it fails, but only so often. Where that is over within seconds, \
     a database that recovers for a minute leaves the service down for good.",
    |check, inputs| {
        let hit = units_with(inputs, has_given_up).await?;
        if let Some((first, _)) = hit.first() {
            let finding = check.found("systemd has given up starting a service");
            let finding = finding
                .lines(hit.iter().map(|(unit, state)| format!("{unit} failed after {} restarts", state.restarts)));
            return Ok(Some(finding.remedy("fix it, then", format!("systemctl reset-failed {first}"))));
        }
        let services = inputs.settings.services.iter().zip(inputs.units().await?);
        let hasty = services.filter(|(service, _)| !service.after.is_empty()).filter_map(|(_, (unit, state))| {
            let patience = gives_up_after(state.restart.as_ref()?)?;
            Some((unit, format!("{unit} gives up after failing for {} s", patience.as_secs())))
        });
        let (units, lines): (Vec<_>, Vec<_>) = hasty.unzip();
        let Some(first) = units.first() else { return Ok(None) };
        let mut finding = check.found("a service may give up before what it depends on is ready").lines(lines);
        finding.severity = Severity::Info;
        Ok(Some(finding.remedy(
            "let systemd try for longer",
            drop_in(first.as_str(), "start", "[Unit]\\nStartLimitIntervalSec=0\\n"),
        )))
    }
);

check!(
    STOP_TIMEOUT,
    Services,
    "stop-timeout",
    Info,
    60,
    "systemd gives every service with a proof of a clean end the time to stop that the configuration gives it",
    "Patchday raises the timeout while it works. At any other stop, as at a reboot by hand, systemd kills the server when \
     the unit's own time is over, and it recovers at the next start.",
    |check, inputs| {
        let (mut units, mut lines, mut drop_ins) = (Vec::new(), Vec::new(), Vec::new());
        for (service, (unit, state)) in inputs.settings.services.iter().zip(inputs.units().await?) {
            if service.kind != ServiceKind::Mongodb && service.stop_proof.is_none() {
                continue;
            }
            let Some(own) = state.stop_timeout.filter(|own| *own < service.stop_timeout) else { continue };
            let wanted = service.stop_timeout.as_secs();
            units.push(unit.as_str());
            lines.push(format!("{unit}: {} s, configured are {wanted} s", own.as_secs()));
            drop_ins.push(write_drop_in(unit.as_str(), "stop", &format!("[Service]\\nTimeoutStopSec={wanted}\\n")));
        }
        if units.is_empty() {
            return Ok(None);
        }
        let finding = check.found(format!("a stop without Patchday may kill {}", units.join(", "))).lines(lines);
        drop_ins.push(RELOAD.to_owned());
        let hint = if units.len() == 1 { "give the unit as long" } else { "give each unit as long" };
        Ok(Some(finding.remedy(hint, drop_ins.join(" && "))))
    }
);

check!(
    ORDER_DECLARED,
    Services,
    "order-declared",
    Warning,
    60,
    "systemd knows the configured order",
    "At boot systemd starts the services, and knows only the order that their units declare.",
    |check, inputs| {
        let units = inputs.units().await?;
        let state_of = |unit: &UnitName| units.iter().find(|(known, _)| known == unit).map(|(_, state)| state);
        let mut lines = Vec::new();
        let mut command = None;
        for service in &inputs.settings.services {
            let Some(state) = state_of(&service.unit) else { continue };
            let missing: Vec<&str> =
                service.after.iter().filter(|after| !state.after.contains(after)).map(UnitName::as_str).collect();
            for after in &missing {
                lines.push(format!("{} lacks After={after}", service.unit));
            }
            for after in &service.after {
                if state_of(after).is_some_and(|other| other.after.contains(&service.unit)) {
                    lines.push(format!("{after} declares After={}: the other way round", service.unit));
                }
            }
            if !missing.is_empty() {
                let names = missing.join(" ");
                let text = format!("[Unit]\\nAfter={names}\\nWants={names}\\n");
                command = command.or_else(|| Some(drop_in(service.unit.as_str(), "order", &text)));
            }
        }
        // By way of units that nobody configured, too.
        let services: Vec<UnitName> = inputs.settings.services.iter().map(|service| service.unit.clone()).collect();
        let configured = inputs.settings.services.iter().map(|service| (service.unit.clone(), service.after.clone()));
        let graph = DependencyGraph::new(configured, inputs.host.units.relations(&services).await?);
        for cycle in graph.cycles() {
            let way: Vec<&str> = cycle.iter().map(UnitName::as_str).collect();
            lines.push(format!("a cycle, which systemd breaks somewhere: {}", way.join(" after ")));
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let finding = check.found("systemd may start a service before what it depends on").lines(lines);
        Ok(Some(match command {
            Some(command) => finding.remedy("add a drop-in", command),
            None => finding.hint("take one of the two orders back"),
        }))
    }
);

check!(
    UNITS_FAILED,
    Services,
    "units-failed",
    Info,
    60,
    "no unit has failed already",
    "What has failed before the run is not held against it. Fixed first, it cannot hide a new failure.",
    |check, inputs| {
        let failed = &inputs.survey().await?.failed;
        if failed.is_empty() {
            return Ok(None);
        }
        let title = format!("{} units failed before the run; they will not count against it", failed.len());
        let finding = check.found(title).lines(failed.iter().map(ToString::to_string));
        Ok(Some(finding.remedy("fix or reset them", "systemctl --failed")))
    }
);

/// How long the unit is active; nothing where it is not.
fn up_for(state: &UnitState, uptime: SignedDuration) -> SignedDuration {
    let since = state.active_since_usec.filter(|_| state.is_up()).and_then(|usec| i64::try_from(usec).ok());
    since.map_or(SignedDuration::ZERO, |usec| uptime.saturating_sub(SignedDuration::from_micros(usec)))
}

/// Whether the start limit was reached. Only a service that ended well says so in its result; for one that failed the
/// result stays what it failed of (systemd 252 and 257).
fn has_given_up(state: &UnitState) -> bool {
    let burst = state.restart.as_ref().map_or(0, |rule| rule.burst);
    let tried_often = burst > 0 && state.restarts > 0 && state.restarts.saturating_add(1) >= burst;
    state.active == ActiveState::Failed && (tried_often || state.result.as_deref() == Some("start-limit-hit"))
}

/// How long a service that fails at once is started again; none if that has no end.
fn gives_up_after(rule: &RestartRule) -> Option<SignedDuration> {
    let restarts = !matches!(rule.policy.as_str(), "" | "no");
    let burst = i32::try_from(rule.burst).ok().filter(|burst| *burst > 0)?;
    let tried_for = rule.delay.checked_mul(burst)?;
    (restarts && !rule.interval.is_zero() && tried_for < rule.interval).then_some(tried_for)
}

const RELOAD: &str = "systemctl daemon-reload";

/// A command that writes a drop-in and lets systemd read it.
fn drop_in(unit: &str, name: &str, text: &str) -> String {
    format!("{} && {RELOAD}", write_drop_in(unit, name, text))
}

/// A command that writes a drop-in. `text` is as printf takes it.
fn write_drop_in(unit: &str, name: &str, text: &str) -> String {
    format!("printf '{text}' | install -Dm644 /dev/stdin /etc/systemd/system/{unit}.d/{name}.conf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_gives_up_where_its_tries_fit_into_the_interval() {
        let rule = |policy: &str, delay, burst, interval| RestartRule {
            policy: policy.into(),
            delay: SignedDuration::from_millis(delay),
            burst,
            interval: SignedDuration::from_secs(interval),
        };
        for (rule, expected) in [
            (rule("on-failure", 100, 5, 10), Some(0)),
            (rule("always", 1000, 5, 10), Some(5)),
            (rule("always", 2000, 5, 10), None),
            (rule("no", 100, 5, 10), None),
            (rule("always", 100, 5, 0), None),
            (rule("always", 100, 0, 10), None),
        ] {
            assert_eq!(gives_up_after(&rule).map(|patience| patience.as_secs()), expected, "{rule:?}");
        }
    }
}
