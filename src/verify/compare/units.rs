//! Units that ran and do not, and units that failed since.

use std::collections::{BTreeMap, BTreeSet};

use super::{Between, Difference, GoneUnit, Now, known};
use crate::model::{ActiveState, Baseline, Finding, FindingKey, Severity, UnitName, UnitSurvey};

/// Why a unit may come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passing {
    /// This rule says so.
    Rule(&'static str),
    /// Another comparison has it.
    Elsewhere,
    /// A coordinator that was killed ends as a failed unit; its run went on, and its report says how.
    Own,
}

use Passing::{Elsewhere, Own, Rule};

impl Passing {
    pub(super) fn rule(self) -> Option<&'static str> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Own => Some("Patchday's own"),
            Self::Elsewhere => None,
        }
    }
}

/// Units that come and go, and why. A `*` stands for any text.
const PASSING: [(&str, Passing); 31] = [
    ("*.scope", Rule("scopes belong to logins and containers, which end with the boot")),
    ("session-*", Rule("logins end with the boot")),
    ("user@*", Rule("logins end with the boot")),
    ("user-runtime-dir@*", Rule("logins end with the boot")),
    ("run-*", Rule("transient units end with the boot")),
    ("patchday-*", Own),
    ("patchday.service", Own),
    ("*.slice", Rule("slices come and go with their units")),
    ("*.target", Rule("a target runs nothing")),
    ("*.mount", Elsewhere),
    ("*.automount", Elsewhere),
    ("*.swap", Elsewhere),
    ("*.timer", Elsewhere),
    ("*.path", Rule("what it starts is compared")),
    ("*.device", Rule("devices come and go with the hardware")),
    ("getty@*", Rule("started by who looks at the console")),
    ("autovt@*", Rule("started by who looks at the console")),
    ("serial-getty@*", Rule("started by who looks at the console")),
    ("modprobe@*", Rule("loads a module when it is needed")),
    ("systemd-fsck@*", Rule("checks a file system when it is due")),
    ("systemd-backlight@*", Rule("comes and goes with the hardware")),
    ("systemd-rfkill*", Rule("comes and goes with the hardware")),
    ("systemd-udev-settle.service", Rule("waits when a unit asks it to")),
    ("systemd-firstboot.service", Rule("the first boot's work")),
    ("systemd-machine-id-commit.service", Rule("the first boot's work")),
    ("systemd-sysusers.service", Rule("works after changes of /usr only")),
    ("systemd-hwdb-update.service", Rule("works after changes of /usr only")),
    ("systemd-journal-catalog-update.service", Rule("works after changes of /usr only")),
    ("systemd-update-done.service", Rule("works after changes of /usr only")),
    ("ldconfig.service", Rule("works after changes of /usr only")),
    ("blockdev@*", Rule("runs nothing")),
];

/// The rule that says that the unit comes and goes.
pub(super) fn passing(unit: &UnitName) -> Option<Passing> {
    let matches = |pattern: &str| match pattern.split_once('*') {
        Some((start, end)) => {
            let name = unit.as_str();
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
        None => unit.as_str() == pattern,
    };
    // A timer's own rows hold for it as a unit; asked about as a timer, only the passing ones excuse it.
    let rows = PASSING.iter().filter(|(pattern, _)| *pattern != "*.timer" || !unit.as_str().ends_with(".timer"));
    rows.clone().find(|(pattern, _)| matches(pattern)).map(|(_, why)| *why)
}

fn passing_as_unit(unit: &UnitName) -> Option<Passing> {
    if unit.as_str().ends_with(".timer") { Some(Elsewhere) } else { passing(unit) }
}

/// Units of the baseline that neither run nor failed now, and that no row of the table excuses: those about which more
/// must be known.
pub(crate) fn ran_and_does_not(before: &Baseline, now: &UnitSurvey, services: &[UnitName]) -> Vec<UnitName> {
    let there: BTreeSet<&UnitName> = now.active.iter().chain(&now.failed).collect();
    let gone = before.units.active.iter().filter(|unit| !there.contains(unit));
    gone.filter(|unit| passing_as_unit(unit).is_none() && !services.contains(unit)).cloned().collect()
}

pub(super) fn compare(before: &Baseline, now: &Now, between: &Between<'_>, differences: &mut Vec<Difference>) {
    let Some(units) = known("units", FindingKey::UnitFailed, &now.units, differences) else { return };
    compare_known(before, units, &now.gone, between, differences);
}

/// The units, and nothing else: what is found where the rest of the host was not looked at.
pub(crate) fn units_alone(
    before: &Baseline,
    units: &UnitSurvey,
    gone: &BTreeMap<UnitName, GoneUnit>,
    services: &[UnitName],
) -> Vec<Finding> {
    let mut differences = Vec::new();
    let between = Between { services, ..Between::default() };
    compare_known(before, units, gone, &between, &mut differences);
    let found = |difference| if let Difference::Found(finding) = difference { Some(finding) } else { None };
    differences.into_iter().filter_map(found).collect()
}

fn compare_known(
    before: &Baseline,
    units: &UnitSurvey,
    gone: &BTreeMap<UnitName, GoneUnit>,
    between: &Between<'_>,
    differences: &mut Vec<Difference>,
) {
    let is_new = |unit: &&UnitName| !before.units.failed.contains(unit) && !between.services.contains(unit);
    for unit in units.failed.iter().filter(is_new) {
        if let Some(rule) = passing(unit).filter(|why| *why == Own).and_then(Passing::rule) {
            differences.push(Difference::expected(format!("{unit} failed"), rule));
            continue;
        }
        let ran =
            if before.units.active.contains(unit) { "ran before, and failed" } else { "failed since the baseline" };
        let finding = Finding::new(FindingKey::UnitFailed, Severity::Warning, format!("{unit} {ran}")).about(unit);
        let command = format!("journalctl -b -u {unit}");
        differences.push(finding.remedy(format!("read what {unit} says of itself"), command).into());
    }
    let there: BTreeSet<&UnitName> = units.active.iter().chain(&units.failed).collect();
    let excused = before.units.active.iter().filter(|unit| !there.contains(unit));
    for (unit, rule) in excused.filter_map(|unit| Some((unit, passing_as_unit(unit)?.rule()?))) {
        differences.push(Difference::expected(format!("{unit} does not run"), rule));
    }
    for unit in ran_and_does_not(before, units, between.services) {
        differences.push(judge(&unit, gone.get(&unit), units));
    }
}

fn judge(unit: &UnitName, gone: Option<&GoneUnit>, now: &UnitSurvey) -> Difference {
    let title = format!("{unit} ran, and does not");
    let finding = Finding::new(FindingKey::UnitGone, Severity::Warning, title.clone()).about(unit);
    let look = format!("systemctl status {unit}");
    let Some(GoneUnit { relations, state }) = gone else {
        return finding.evidence("nothing more is known of it").remedy("see what it is", look).into();
    };
    let is_wanted = !relations.wanted_by.is_empty();
    let trigger = relations.triggered_by.iter().find(|trigger| now.active.contains(trigger));
    if let Some(trigger) = trigger.filter(|_| !is_wanted) {
        return Difference::expected(title, format!("{trigger} starts it when it is asked for"));
    }
    // Debian 13's timedated is of type notify: what has a name on D-Bus, and cannot be enabled, nobody else starts.
    let is_of_bus = relations.service_type == "dbus" || (relations.has_bus_name && relations.unit_file == "static");
    if relations.is_loaded && is_of_bus && !is_wanted {
        return Difference::expected(title, "it is started over D-Bus when it is asked for");
    }
    let has_run = state.activation_began_usec.is_some() && state.result.as_deref() == Some("success");
    if relations.service_type == "oneshot" && (has_run || !relations.conditions_met) {
        return Difference::expected(title, "a job that ends when its work is done");
    }
    if !relations.is_loaded {
        let finding = finding.evidence(format!("the unit is {}", state.load));
        return finding.remedy("install what brought it, or see who started it by hand", look).into();
    }
    if state.active == ActiveState::Activating {
        return finding.evidence("it is still starting").remedy("see what it waits for", "systemctl list-jobs").into();
    }
    let enable = format!("systemctl enable --now {unit}");
    match relations.unit_file.as_str() {
        "disabled" => {
            let finding = finding.evidence("it is not enabled, so that the boot did not start it");
            finding.remedy("enable it", enable).into()
        }
        "masked" => finding.evidence("it is masked").remedy("unmask it", format!("systemctl unmask {unit}")).into(),
        _ if !relations.conditions_met => {
            finding.evidence("one of its conditions was not met").remedy("see which one", look).into()
        }
        _ if !is_wanted && relations.triggered_by.is_empty() => {
            let finding = finding.evidence("nothing starts it at a boot");
            finding.remedy("see who started it before", look).into()
        }
        _ => finding.remedy("see why it does not run", look).into(),
    }
}
