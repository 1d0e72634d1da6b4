//! The host now against its baseline. Pure: what was seen goes in, differences come out. Each is expected, by a rule
//! that says so, or a finding. The rules are tables, one file to a topic.

mod kernel;
mod mounts;
mod network;
mod outdated;
mod sockets;
mod units;

use std::collections::BTreeMap;

use crate::model::{
    Baseline, ExpectedDifference, Finding, FindingKey, Inventory, KernelFacts, KernelPlan, ListeningSocket, Outdated,
    PackageAction, PackageChange, PackageState, Reading, Severity, UnitName, UnitRelations, UnitState, UnitSurvey,
};

pub(super) use sockets::{Listener, listener, subject_of};
pub(crate) use units::{ran_and_does_not, units_alone};

/// A difference to the baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Difference {
    /// A boot, or the upgrade, makes it.
    Expected(ExpectedDifference),
    Found(Finding),
}

impl Difference {
    fn expected(what: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::Expected(ExpectedDifference { what: what.into(), rule: rule.into() })
    }
}

impl From<Finding> for Difference {
    fn from(finding: Finding) -> Self {
        Self::Found(finding)
    }
}

/// What is known of a unit that ran, and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoneUnit {
    /// How it is started.
    pub(crate) relations: UnitRelations,
    /// As it is now.
    pub(crate) state: UnitState,
}

#[derive(Debug, Clone)]
pub(super) struct Now {
    pub(super) units: Reading<UnitSurvey>,
    /// Units of the baseline that do not run, as far as they could be asked about.
    pub(super) gone: BTreeMap<UnitName, GoneUnit>,
    pub(super) sockets: Reading<Vec<ListeningSocket>>,
    pub(super) mounts: Reading<BTreeMap<String, String>>,
    pub(super) kernel: Reading<KernelFacts>,
    pub(super) inventory: Inventory,
    pub(super) packages: Reading<PackageState>,
    pub(super) installed: Reading<BTreeMap<String, String>>,
    /// What the upgrade has not reached; none if nobody was asked, or nobody can tell.
    pub(super) outdated: Reading<Option<Outdated>>,
}

/// What happened between the baseline and now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Between<'a> {
    /// The host was rebooted.
    pub(super) rebooted: bool,
    /// The kernel that must run now.
    pub(super) kernel: Option<&'a KernelPlan>,
    /// Why a reboot was wanted.
    pub(super) reboot_reasons: &'a [String],
    /// What the upgrade was to change.
    pub(super) changes: &'a [PackageChange],
    /// That the kernel before runs again is told already.
    pub(super) fell_back: bool,
    /// Configured services: they are judged by their probes.
    pub(super) services: &'a [UnitName],
}

/// All differences, the grave topics first.
pub(super) fn compare(before: &Baseline, now: &Now, between: &Between<'_>) -> Vec<Difference> {
    let mut differences = Vec::new();
    kernel::compare(before, now, between, &mut differences);
    packages(now, between, &mut differences);
    outdated::compare(now, between, &mut differences);
    mounts::compare(before, now, &mut differences);
    units::compare(before, now, between, &mut differences);
    sockets::compare(before, now, &mut differences);
    let Some(inventory) = &before.inventory else { return differences };
    network::compare(inventory, &now.inventory, &mut differences);
    host(inventory, &now.inventory, &mut differences);
    differences
}

/// Both readings where there are two; else a finding, since unknown is never healthy. What was unknown before cannot
/// have changed for the worse, as far as anybody can say; the baseline told it.
fn both<'a, T>(
    what: &str,
    key: FindingKey,
    before: &'a Reading<T>,
    now: &'a Reading<T>,
    differences: &mut Vec<Difference>,
) -> Option<(&'a T, &'a T)> {
    let before = before.known()?;
    known(what, key, now, differences).map(|now| (before, now))
}

fn known<'a, T>(what: &str, key: FindingKey, now: &'a Reading<T>, differences: &mut Vec<Difference>) -> Option<&'a T> {
    match now {
        Reading::Known(now) => Some(now),
        Reading::Unknown(why) => {
            let title = format!("{what} could not be compared");
            differences.push(Finding::new(key, Severity::Warning, title).evidence(why).into());
            None
        }
    }
}

fn packages(now: &Now, between: &Between<'_>, differences: &mut Vec<Difference>) {
    if let Some(state) = known("the package database", FindingKey::DpkgClean, &now.packages, differences)
        && !state.is_clean()
    {
        let finding = Finding::new(FindingKey::DpkgClean, Severity::Blocker, "packages are half installed");
        let finding = finding.evidence(state.broken.join(", ")).remedy("finish what was begun", "dpkg --configure -a");
        differences.push(finding.into());
    }
    if between.changes.is_empty() {
        return;
    }
    let Some(installed) = known("installed packages", FindingKey::PackageVersion, &now.installed, differences) else {
        return;
    };
    let is_there = |change: &&PackageChange| match change.action {
        PackageAction::Upgrade | PackageAction::Install => {
            change.to.is_none() || installed.get(&change.name) == change.to.as_ref()
        }
        _ => true,
    };
    let wrong: Vec<&PackageChange> = between.changes.iter().filter(|change| !is_there(change)).collect();
    if let Some(first) = wrong.first() {
        let title = format!("{} of the upgrade's packages are not at the version that was planned", wrong.len());
        let mut finding = Finding::new(FindingKey::PackageVersion, Severity::Warning, title).about(&first.name);
        finding.evidence = wrong
            .iter()
            .map(|change| {
                let now = installed.get(&change.name).map_or("not installed", String::as_str);
                format!("{}: {now}, planned {}", change.name, change.to.as_deref().unwrap_or("?"))
            })
            .collect();
        differences.push(finding.remedy("see what the upgrade did", "less /var/log/apt/history.log").into());
    }
}

/// Swap, timers, the clock, and files to merge.
fn host(before: &Inventory, now: &Inventory, differences: &mut Vec<Difference>) {
    if let Some((before, now)) = both("swap", FindingKey::SwapMissing, &before.swap, &now.swap, differences) {
        for name in before.difference(now) {
            // Device mapper numbers its devices anew at each boot.
            let is_mapped = |name: &&String| name.starts_with("/dev/dm-");
            let same = before.iter().filter(is_mapped).count() == now.iter().filter(is_mapped).count();
            if is_mapped(&name) && same {
                differences
                    .push(Difference::expected(format!("swap {name}"), "device mapper numbers its devices anew"));
                continue;
            }
            let finding =
                Finding::new(FindingKey::SwapMissing, Severity::Warning, format!("swap {name} is off")).about(name);
            differences.push(finding.remedy("see whether /etc/fstab or a swap unit names it", "swapon --show").into());
        }
    }
    if let Some((before, now)) = both("timers", FindingKey::TimerMissing, &before.timers, &now.timers, differences) {
        for (timer, next) in before.iter().filter(|(timer, _)| !now.contains_key(*timer)) {
            if let Some(rule) = units::passing(timer).and_then(units::Passing::rule) {
                differences.push(Difference::expected(format!("{timer} is gone"), rule));
                continue;
            }
            let title = format!("{timer} was active, and is not");
            let mut finding = Finding::new(FindingKey::TimerMissing, Severity::Warning, title).about(timer);
            if let Some(next) = next {
                finding = finding.evidence(format!("before the reboot it was to elapse at {next}"));
            }
            let command = format!("systemctl enable --now {timer}");
            differences.push(finding.remedy("start it, and see that it is enabled", command).into());
        }
    }
    let clock = both("the clock", FindingKey::Clock, &before.clock_synchronized, &now.clock_synchronized, differences);
    if let Some((true, false)) = clock {
        let title = "the clock was kept in time, and is not";
        let finding = Finding::new(FindingKey::Clock, Severity::Warning, title).about("clock");
        differences.push(finding.remedy("see what the time service says", "timedatectl timesync-status").into());
    }
    if let Some((before, now)) =
        both("files to merge", FindingKey::Conffiles, &before.conffiles, &now.conffiles, differences)
    {
        let new: Vec<String> = now.difference(before).cloned().collect();
        if let Some(first) = new.first() {
            let title = match new.len() {
                1 => "a configuration file waits to be merged".to_owned(),
                many => format!("{many} configuration files wait to be merged"),
            };
            let in_use = first.rsplit_once('.').map_or(first.as_str(), |(in_use, _)| in_use);
            let command = format!("diff -u {in_use} {first}");
            let mut finding = Finding::new(FindingKey::Conffiles, Severity::Info, title).about(first);
            finding.evidence = new;
            differences.push(finding.remedy("merge what the package brought, then remove the file", command).into());
        }
    }
}

#[cfg(test)]
mod tests;
