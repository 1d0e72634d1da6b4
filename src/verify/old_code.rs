//! Who still runs what an upgrade replaced, and what becomes of it: restarted, where that is safe, or owed to a boot.

use std::collections::{BTreeMap, BTreeSet};

use super::relations;
use crate::config::Settings;
use crate::host::{Host, HostResult};
use crate::model::{BootReason, LoadState, OldCode, Outdated, Recovery, UnitName, UnitRelations, UnitState};

/// Units that are never restarted for this, by the beginnings of their names: what they do meanwhile cannot be told from
/// outside, or others lose what they have. The list is drawn from what needrestart's own configuration leaves alone.
const NEVER: [&str; 33] = [
    // Everybody's connections to it are gone, and some programs with them.
    "dbus",
    // It forgets sessions and seats.
    "systemd-logind",
    "elogind",
    // People at work: consoles, graphical sessions, terminals that outlive a login.
    "getty@",
    "serial-getty@",
    "console-getty",
    "container-getty@",
    "autovt@",
    "display-manager",
    "gdm",
    "lightdm",
    "sddm",
    "xdm",
    "user@",
    "user-runtime-dir@",
    // The network of whoever is connected.
    "networking",
    "NetworkManager",
    "wpa_supplicant",
    "openvpn",
    "wg-quick@",
    "strongswan",
    "frr",
    "bird",
    // They take along what runs in them, or what stands on them.
    "docker",
    "containerd",
    "podman",
    "libvirtd",
    "virtqemud",
    "lxc",
    "systemd-nspawn@",
    "systemd-machined",
    "iscsid",
    "multipathd",
];

/// Kinds of service of which a restart is one: what is of another kind would do its work once more.
const RESTARTED: [&str; 7] = ["simple", "exec", "notify", "notify-reload", "forking", "dbus", "idle"];

/// What it takes that somebody no longer runs old code.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RestartNeed {
    /// The end of this run, whose own process it is.
    EndOfRun,
    /// A person who logs out.
    Logout(String),
    /// A restart of the service; the run stops and starts it, or may restart it.
    Service(UnitName),
    Reboot(String),
}

fn restart_need(one: &OldCode) -> RestartNeed {
    let Some(unit) = &one.unit else { return RestartNeed::Reboot(format!("{} (process {})", one.program, one.pid)) };
    let name = unit.as_str();
    if name.starts_with("patchday") {
        return RestartNeed::EndOfRun;
    }
    if name == "init.scope" {
        return RestartNeed::Reboot("systemd (PID 1)".to_owned());
    }
    if name.starts_with("session-") || name.starts_with("user@") {
        let who = name.strip_suffix(".scope").or_else(|| name.strip_suffix(".service")).unwrap_or(name);
        return RestartNeed::Logout(format!("{} of {}", one.program, who.replacen("session-", "session ", 1)));
    }
    if !name.ends_with(".service") || NEVER.iter().any(|never| name.starts_with(never)) {
        return RestartNeed::Reboot(name.to_owned());
    }
    RestartNeed::Service(unit.clone())
}

/// Everybody who runs old code, by what it takes to end that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Only a boot ends it.
    boot: Vec<String>,
    /// It ends when its person logs out.
    sessions: Vec<String>,
    /// Services of the configuration: a run stops and starts them.
    configured: Vec<UnitName>,
    /// What can be restarted, those first that others come after.
    pub(crate) restartable: Vec<UnitName>,
}

impl Seen {
    /// All of them, for a finding.
    pub(super) fn names(&self) -> Vec<String> {
        let units = self.configured.iter().chain(&self.restartable).map(ToString::to_string);
        self.boot.iter().cloned().chain(units).chain(self.sessions.iter().cloned()).collect()
    }

    /// What a boot is owed for. `stops` says that the run has yet to stop and start its services.
    pub(crate) fn reasons(&self, settings: &Settings, stops: bool) -> Vec<BootReason> {
        let configured = self.configured.iter().filter(|_| !stops).map(|unit| (unit.to_string(), false));
        let restartable = self.restartable.iter().map(|unit| (unit.to_string(), settings.reboot.restart_outdated));
        let boot = self.boot.iter().cloned().map(|name| (name, false));
        let all =
            boot.chain(configured).chain(restartable).chain(self.sessions.iter().cloned().map(|name| (name, true)));
        all.map(|(by, passing)| BootReason::OldCode { by, passing }).collect()
    }
}

/// Looks, as the kernel and needrestart tell it, where that is installed. `tried` was restarted, and is not again.
///
/// # Errors
///
/// Where nobody can tell.
pub(crate) async fn look(host: &Host, settings: &Settings, tried: &[Recovery]) -> HostResult<Seen> {
    let outdated = host.package_survey.outdated().await;
    look_knowing(host, settings, tried, outdated.ok().flatten().as_ref()).await
}

/// As [`look`], where needrestart was asked: it looks at every process, and takes half a second of a CPU.
pub(super) async fn look_knowing(
    host: &Host,
    settings: &Settings,
    tried: &[Recovery],
    outdated: Option<&Outdated>,
) -> HostResult<Seen> {
    let mut all = host.running_code.old_code().await?;
    // It knows of interpreters too, whose own files are no programs to the kernel.
    for name in outdated.iter().flat_map(|outdated| &outdated.services) {
        let unit = if name == "systemd-manager" { "init.scope".parse() } else { name.parse() };
        let Ok(unit) = unit else { continue };
        if all.iter().all(|one| one.unit.as_ref() != Some(&unit)) {
            all.push(OldCode { unit: Some(unit), program: name.clone(), pid: 0, files: Vec::new() });
        }
    }
    let mut seen = Seen::default();
    let mut maybe = Vec::new();
    for one in &all {
        match restart_need(one) {
            RestartNeed::EndOfRun => {}
            RestartNeed::Reboot(name) => seen.boot.push(name),
            RestartNeed::Logout(name) if seen.sessions.contains(&name) => {}
            RestartNeed::Logout(name) => seen.sessions.push(name),
            RestartNeed::Service(unit) if settings.services.iter().any(|service| service.unit == unit) => {
                seen.configured.push(unit);
            }
            RestartNeed::Service(unit) if tried.iter().any(|tried| tried.unit == unit) => {
                seen.boot.push(unit.to_string())
            }
            RestartNeed::Service(unit) => maybe.push(unit),
        }
    }
    let safe = safe(host, settings, &maybe).await;
    seen.boot.extend(maybe.iter().filter(|unit| !safe.contains(unit)).map(ToString::to_string));
    seen.restartable = safe;
    Ok(seen)
}

/// Those of the units that can be restarted, those first that others come after.
async fn safe(host: &Host, settings: &Settings, units: &[UnitName]) -> Vec<UnitName> {
    if units.is_empty() {
        return Vec::new();
    }
    let configured = settings.services.iter().map(|service| &service.unit);
    let asked: Vec<UnitName> = units.iter().chain(configured).cloned().collect();
    let Ok(relations) = relations::of_each(host, &asked).await else { return Vec::new() };
    let mut safe = BTreeSet::new();
    for unit in units {
        let state = host.units.state(unit).await;
        let takes_along = settings.services.iter().any(|service| needs(&relations, &service.unit, unit));
        if !takes_along && state.is_ok_and(|state| can_be_restarted(&state)) {
            safe.insert(unit.clone());
        }
    }
    sorted(safe, &relations)
}

/// A unit that is bound to another is stopped with it.
fn needs(relations: &BTreeMap<UnitName, UnitRelations>, unit: &UnitName, on: &UnitName) -> bool {
    relations.get(unit).is_some_and(|known| known.needs.contains(on))
}

fn can_be_restarted(state: &UnitState) -> bool {
    // A transient unit is gone once it is stopped.
    let is_kept = state.load == LoadState::Loaded && state.unit_file != "transient";
    is_kept && state.is_up() && RESTARTED.contains(&state.service_type.as_str())
}

/// Units that come after others behind those; where they wait for each other, by name.
fn sorted(mut units: BTreeSet<UnitName>, relations: &BTreeMap<UnitName, UnitRelations>) -> Vec<UnitName> {
    let mut sorted = Vec::new();
    while let Some(first) = units.first().cloned() {
        let waits = |unit: &UnitName| {
            let after = relations.get(unit).map(|known| known.after.as_slice()).unwrap_or_default();
            after.iter().any(|other| other != unit && units.contains(other))
        };
        let next = units.iter().find(|unit| !waits(unit)).cloned().unwrap_or(first);
        units.remove(&next);
        sorted.push(next);
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(unit: &str) -> OldCode {
        OldCode { unit: unit.parse().ok(), program: "main".into(), pid: 7, files: Vec::new() }
    }

    #[test]
    fn what_becomes_of_whom() {
        let restart = |name: &str| RestartNeed::Service(name.parse().unwrap());
        let boot = |name: &str| RestartNeed::Reboot(name.to_owned());
        for (unit, expected) in [
            ("init.scope", boot("systemd (PID 1)")),
            ("dbus.service", boot("dbus.service")),
            ("dbus-broker.service", boot("dbus-broker.service")),
            ("systemd-logind.service", boot("systemd-logind.service")),
            ("getty@tty1.service", boot("getty@tty1.service")),
            ("gdm3.service", boot("gdm3.service")),
            ("docker.service", boot("docker.service")),
            ("NetworkManager.service", boot("NetworkManager.service")),
            ("machine-x.scope", boot("machine-x.scope")),
            ("session-3.scope", RestartNeed::Logout("main of session 3".into())),
            ("user@1000.service", RestartNeed::Logout("main of user@1000".into())),
            ("patchday-run-x.service", RestartNeed::EndOfRun),
            ("systemd-journald.service", restart("systemd-journald.service")),
            ("systemd-udevd.service", restart("systemd-udevd.service")),
            ("ssh.service", restart("ssh.service")),
            ("cron.service", restart("cron.service")),
        ] {
            assert_eq!(restart_need(&old(unit)), expected, "{unit}");
        }
        assert_eq!(restart_need(&OldCode { unit: None, ..old("x.service") }), boot("main (process 7)"));
    }

    #[test]
    fn units_are_restarted_behind_those_that_they_come_after() {
        let unit = |name: &str| name.parse::<UnitName>().unwrap();
        let after = |names: &[&str]| UnitRelations {
            after: names.iter().map(|name| unit(name)).collect(),
            ..UnitRelations::default()
        };
        let relations = BTreeMap::from([
            (unit("a.service"), after(&["c.service"])),
            (unit("b.service"), after(&["b.service", "a.service"])),
            (unit("c.service"), after(&["gone.service"])),
            // They wait for each other, and still come to an end.
            (unit("x.service"), after(&["y.service"])),
            (unit("y.service"), after(&["x.service"])),
        ]);
        let sorted = sorted(relations.keys().cloned().collect(), &relations);
        let names: Vec<&str> = sorted.iter().map(UnitName::as_str).collect();
        assert_eq!(names, ["c.service", "a.service", "b.service", "x.service", "y.service"]);
    }
}
