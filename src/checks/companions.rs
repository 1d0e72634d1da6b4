//! What systemd does besides when a configured unit is stopped, and what it would not do.

use jiff::SignedDuration;

use super::{CheckInputs, RIVALS, check};
use crate::config::ServiceSettings;
use crate::model::{
    LoadState, ReadinessProbe, Reading, ServiceKind, Severity, UnitName, UnitRelations, UnitState, companions,
    taken_along,
};

/// How far ahead a timer counts as one that comes due while services are down, where no estimate is known.
const SOON: SignedDuration = SignedDuration::from_hours(1);
/// An estimate may be wrong: twice as long, and this.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// Timers of packages whose jobs need no service of anybody, and are taken up again where a reboot ends them. Some come due
/// every few minutes.
const HARMLESS: [&str; 27] = [
    "anacron.timer",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "apt-listbugs.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "exim4-base.timer",
    "fstrim.timer",
    "fwupd-refresh.timer",
    "logrotate.timer",
    "man-db.timer",
    "mdcheck_continue.timer",
    "mdcheck_start.timer",
    "mdmonitor-oneshot.timer",
    "motd-news.timer",
    "ntpsec-rotate-stats.timer",
    "patchday.timer",
    "phpsessionclean.timer",
    "plocate-updatedb.timer",
    "sysstat-collect.timer",
    "sysstat-rotate.timer",
    "sysstat-summary.timer",
    "systemd-tmpfiles-clean.timer",
    "ua-timer.timer",
    "update-notifier-download.timer",
    "update-notifier-motd.timer",
    "xfs_scrub_all.timer",
];

fn configured(inputs: &CheckInputs<'_>) -> Vec<UnitName> {
    inputs.settings.services.iter().map(|service| service.unit.clone()).collect()
}

/// Why nobody could take the unit down and up again, as systemd knows it; none if it can be done.
pub fn uncontrollable(unit: &UnitName, relations: &UnitRelations) -> Vec<String> {
    let transient = format!("{unit} was made by a program (systemd-run), and its stop deletes it");
    let refuses = |job: &String| format!("{unit} refuses to {job} by hand (RefuseManual{}=)", capital(job));
    relations.is_transient.then_some(transient).into_iter().chain(relations.refuses.iter().map(refuses)).collect()
}

/// Why a run could not take the service down and up again; none if it can.
fn obstacles(service: &ServiceSettings, state: &UnitState, relations: &UnitRelations) -> Vec<String> {
    let unit = &service.unit;
    let mut found = uncontrollable(unit, relations);
    // What it serves with is not its own, and it has no program that would end it.
    let serves_elsewhere = state.is_up()
        && state.processes == 0
        && state.main_pid.is_none()
        && service.kind == ServiceKind::Service
        && service.readiness != ReadinessProbe::Unit;
    if serves_elsewhere && !relations.has_stop_program {
        found.push(format!("{unit} has no process and no ExecStop=: its stop would stop nothing"));
    }
    found
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

check!(
    UNIT_CONTROL,
    Services,
    "unit-control",
    Blocker,
    60,
    "every configured unit can be stopped by itself, and started again",
    "A transient unit is deleted by its stop, some units refuse one, and one that two entries name, or that another one takes \
     along before its turn, is stopped by neither as it should be.",
    |check, inputs| {
        let units = configured(inputs);
        let known = inputs.host.units.dependents(&units).await?;
        let mut obstructed: Vec<(&UnitName, String)> = Vec::new();
        let mut ids: Vec<(UnitName, &UnitName)> = Vec::new();
        for (service, (unit, state)) in inputs.settings.services.iter().zip(inputs.units().await?) {
            let Some(relations) = known.get(unit).filter(|_| state.load == LoadState::Loaded) else { continue };
            obstructed.extend(obstacles(service, state, relations).into_iter().map(|line| (unit, line)));
            let id = relations.id.clone().unwrap_or_else(|| unit.clone());
            if let Some((_, other)) = ids.iter().find(|(known, _)| *known == id) {
                obstructed.push((unit, format!("{other} and {unit} are the same unit, {id}")));
            }
            ids.push((id, unit));
        }
        // Services stop in the reverse order of the settings.
        for (at, unit) in units.iter().enumerate() {
            for early in taken_along(unit, &known, &units) {
                if units.iter().position(|other| other == early).is_some_and(|other| other < at) {
                    let line =
                        format!("a stop of {unit} stops {early}, before its turn: {early} lacks after = [\"{unit}\"]");
                    obstructed.push((unit, line));
                }
            }
        }
        let Some((first, _)) = obstructed.first() else { return Ok(None) };
        let command = format!("systemctl cat {first}");
        let finding = check.found("a configured unit cannot be stopped and started again as it should");
        let finding = finding.lines(obstructed.into_iter().map(|(_, line)| line));
        Ok(Some(finding.remedy("give it a unit file of its own, or take it out of the configuration", command)))
    }
);

check!(
    STOP_ALONG,
    Services,
    "stop-along",
    Info,
    60,
    "a stop of the configured units stops nothing else, and nothing would start them",
    "systemd stops what is bound to a unit (`Requires=`, `BindsTo=`, `PartOf=`), and starts none of it again; a socket whose \
     service is held fails for good. Patchday stops all of it first, and starts it again with the service. A unit that a \
     program made (`systemd-run`) is deleted by that, and is a blocker.",
    |check, inputs| {
        let units = configured(inputs);
        let known = inputs.host.units.dependents(&units).await?;
        let mut lines: Vec<String> = Vec::new();
        let mut lost = false;
        for unit in &units {
            for one in companions(unit, &known, &units) {
                let is_lost = known.get(&one.unit).is_some_and(|relations| relations.is_transient);
                lost |= is_lost;
                let end = if is_lost { "; its stop deletes it, and nothing can start it again" } else { "" };
                lines.push(format!("{}{end}", one.described()));
            }
            let Some(relations) = known.get(unit) else { continue };
            lines.extend(
                relations.upheld_by.iter().map(|by| format!("{by} upholds {unit}: it tries in vain to start it")),
            );
            if relations.service_type == "dbus" {
                lines.push(format!(
                    "D-Bus starts {unit} when it is asked for: a program that asks meanwhile gets an error"
                ));
            }
        }
        lines.dedup();
        if lines.is_empty() {
            return Ok(None);
        }
        let mut finding = check.found("more than the configured units goes down with them, and comes back with them");
        if lost {
            finding.severity = Severity::Blocker;
            finding.title = "a unit that cannot be started again goes down with a configured one".to_owned();
        }
        Ok(Some(finding.lines(lines).hint("list as a service what must be waited for until it is ready")))
    }
);

check!(
    TIMERS_DUE,
    Services,
    "timers-due",
    Warning,
    60,
    "no timer's job comes due while services may be down",
    "A job that needs the database fails while that is held, and a reboot in the middle of it ends it. Named is what comes due \
     within twice the time that a run is expected to take until all services are back, and five minutes; not timers of \
     Debian's packages whose jobs need no service.",
    |check, inputs| {
        let inventory = inputs.host.system.inventory().await;
        let Reading::Known(timers) = &inventory.timers else { return Ok(None) };
        let now = inputs.host.clock.now();
        let soon = inputs.until_back().await?.map_or(SOON, |takes| takes.saturating_mul(2).saturating_add(MARGIN));
        let is_harmless = |timer: &UnitName| {
            HARMLESS.contains(&timer.as_str()) || RIVALS.iter().any(|(unit, _)| *unit == timer.as_str())
        };
        let due = timers.iter().filter_map(|(timer, next)| {
            let within = next.filter(|next| (*next >= now) && next.duration_since(now) <= soon)?;
            (!is_harmless(timer)).then(|| format!("{timer} at {within:.0}"))
        });
        let lines: Vec<String> = due.collect();
        let Some(first) = lines.first().and_then(|line| line.split(' ').next()) else { return Ok(None) };
        let command = format!("systemctl list-timers {first}");
        let finding = check.found("a timer's job comes due while services may be down").lines(lines.clone());
        Ok(Some(finding.remedy("let it run first, or see afterwards that it was made up for", command)))
    }
);
