//! What of an upgrade comes ahead: what the services use is looked up, the choice is made by pure rules, and apt has the last
//! word. Where anything of it cannot be known, only new kernels come ahead.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Settings;
use crate::host::{Host, HostErrorKind};
use crate::model::{
    AheadChoice, InstalledPackage, PackageAction, RelatedInputs, ServiceUse, UnitName, UnitStart, UpgradePlan,
    UsedFiles, WaitingPackage, beyond_apt, choose_ahead, companions, only_new_kernels,
};

/// So often processes of a service are looked at, where one ended meanwhile.
const LOOKS: usize = 3;
/// So often apt is asked, where it would change what the plan does not.
const ROUNDS: usize = 4;

/// What decides which packages come ahead, whatever they are.
#[derive(Debug)]
pub struct UsedNow {
    services: Vec<(UnitName, Result<ServiceUse, String>)>,
    packages: Vec<InstalledPackage>,
    restarted: BTreeMap<String, UnitName>,
}

impl UsedNow {
    fn choose(&self, settings: &Settings, plan: &UpgradePlan, kernel: &str) -> AheadChoice {
        choose_ahead(&RelatedInputs {
            plan,
            services: &self.services,
            packages: &self.packages,
            restarted: &self.restarted,
            kernel,
            added: &settings.upgrade.ahead_related,
        })
    }
}

/// What would come ahead now, with apt's word on it. `kernel` is the release that runs.
pub async fn ahead_of(
    host: &Host,
    settings: &Settings,
    plan: &UpgradePlan,
    kernel: &str,
    used: &Result<UsedNow, String>,
) -> AheadChoice {
    let choice = ahead_by_rules(settings, plan, kernel, used);
    let Some(used) = used.as_ref().ok().filter(|_| choice.all_waits.is_none() && !choice.ahead.is_empty()) else {
        return choice;
    };
    confirmed(host, plan, choice, &used.packages).await.unwrap_or_else(|why| only_new_kernels(plan, why))
}

/// The same by the rules alone: apt is not asked, and no file is written for it.
pub fn ahead_by_rules(
    settings: &Settings,
    plan: &UpgradePlan,
    kernel: &str,
    used: &Result<UsedNow, String>,
) -> AheadChoice {
    match used {
        Ok(used) => used.choose(settings, plan, kernel),
        Err(why) => only_new_kernels(plan, why.clone()),
    }
}

/// Looks what the services use now, or says why that is not known.
pub async fn used_now(host: &Host, settings: &Settings) -> Result<UsedNow, String> {
    let packages = host.package_survey.relations().await.map_err(|error| error.to_string())?;
    let active = host.units.survey().await.map_err(|error| error.to_string())?.active;
    let mut looks = Vec::new();
    for service in &settings.services {
        looks.push((service.unit.clone(), look_at(host, &service.unit).await));
    }
    for unit in taken_along(host, settings).await? {
        // A job that is done uses nothing any more.
        if host.units.processes(&unit).await.is_ok_and(|processes| processes.is_empty()) {
            continue;
        }
        let look = look_at(host, &unit).await;
        looks.push((unit, look));
    }
    let mut files: BTreeSet<String> = active.iter().flat_map(files_of_unit).collect();
    for (start, used) in looks.iter().filter_map(|(_, look)| look.as_ref().ok()) {
        let all = used.files.iter().chain(&used.running).chain(&used.started_with).chain(&start.files);
        files.extend(all.cloned());
    }
    let owners = host.package_survey.owners(&files).await.map_err(|error| error.to_string())?;
    let use_of = |(unit, look): (UnitName, Result<(UnitStart, UsedFiles), String>)| {
        (unit, look.map(|(start, used)| service_use(&owners, &start, used)))
    };
    let services = looks.into_iter().map(use_of).collect();
    let mut restarted = BTreeMap::new();
    for unit in &active {
        for package in files_of_unit(unit).iter().filter_map(|file| owners.get(file)).flatten() {
            restarted.entry(package.clone()).or_insert_with(|| unit.clone());
        }
    }
    Ok(UsedNow { services, packages, restarted })
}

/// Services that run and go down with those of the configuration.
async fn taken_along(host: &Host, settings: &Settings) -> Result<BTreeSet<UnitName>, String> {
    let configured: Vec<UnitName> = settings.services.iter().map(|service| service.unit.clone()).collect();
    let known = host.units.dependents(&configured).await.map_err(|error| error.to_string())?;
    let all = configured.iter().flat_map(|unit| companions(unit, &known, &configured));
    Ok(all.map(|companion| companion.unit).filter(|unit| unit.as_str().ends_with(".service")).collect())
}

/// What starts a service and what it uses, or why that is not known.
async fn look_at(host: &Host, unit: &UnitName) -> Result<(UnitStart, UsedFiles), String> {
    let told = |error: crate::host::HostError| error.to_string();
    if !host.units.state(unit).await.map_err(told)?.is_up() {
        return Err("it does not run".to_owned());
    }
    let start = host.units.start_of(unit).await.map_err(told)?;
    if let Some(own) = &start.own_root {
        return Err(format!("it has a file system of its own ({own})"));
    }
    let mut looks = 1;
    loop {
        let pids: Vec<u32> = host.units.processes(unit).await.map_err(told)?.iter().map(|one| one.pid).collect();
        if pids.is_empty() {
            return Err("no process of it runs".to_owned());
        }
        match host.running_code.used(&pids, &start.commands).await {
            Ok(used) => return Ok((start, used)),
            Err(error) if error.kind == HostErrorKind::Unknown && looks < LOOKS => looks += 1,
            Err(error) => return Err(error.why),
        }
    }
}

fn service_use(owners: &BTreeMap<String, BTreeSet<String>>, start: &UnitStart, used: UsedFiles) -> ServiceUse {
    let packages_of = |files: &mut dyn Iterator<Item = &String>| {
        let mut packages = BTreeMap::new();
        for file in files {
            for package in owners.get(file).into_iter().flatten() {
                packages.entry(package.clone()).or_insert_with(|| file.clone());
            }
        }
        packages
    };
    ServiceUse {
        own: packages_of(&mut start.files.iter().chain(&used.started_with).chain(&used.running)),
        used: packages_of(&mut used.files.iter()),
        files: used.files.iter().chain(&used.running).chain(&used.started_with).cloned().collect(),
        running: used.running,
    }
}

/// Where a package may bring a unit that its scripts restart.
fn files_of_unit(unit: &UnitName) -> Vec<String> {
    let Some((stem, kind)) = unit.as_str().rsplit_once('.').filter(|(_, kind)| matches!(*kind, "service" | "socket"))
    else {
        return Vec::new();
    };
    let name = stem.split_once('@').map_or(stem.to_owned(), |(template, _)| format!("{template}@"));
    vec![format!("/usr/lib/systemd/system/{name}.{kind}"), format!("/etc/init.d/{name}")]
}

/// What apt does of the choice by itself: it touches nothing that waits, and removes nothing. What goes only with others
/// waits too.
async fn confirmed(
    host: &Host,
    plan: &UpgradePlan,
    mut choice: AheadChoice,
    packages: &[InstalledPackage],
) -> Result<AheadChoice, String> {
    for _ in 0..ROUNDS {
        let seen = host.packages.simulate_without(&choice.waiting()).await.map_err(|error| error.to_string())?;
        if let Some(removed) = seen.removals().next() {
            return Err(format!("apt would remove {removed} for what comes ahead"));
        }
        let is_chosen = |name: &str, to: &Option<String>| {
            let planned = plan.changes.iter().find(|change| change.name == name);
            choice.is_ahead(name) && planned.is_some_and(|planned| &planned.to == to)
        };
        let others = seen.changes.iter().filter(|change| change.action != PackageAction::Remove);
        let others: Vec<WaitingPackage> = others
            .filter(|change| !is_chosen(&change.name, &change.to))
            .map(|change| WaitingPackage {
                package: change.name.clone(),
                why: "apt would change it only where others wait".to_owned(),
            })
            .collect();
        if let Some(touched) = others.iter().find(|other| choice.waits.iter().any(|one| one.package == other.package)) {
            return Err(format!("apt would touch {}, which waits", touched.package));
        }
        choice.hold_back(beyond_apt(&choice, packages, &seen));
        if others.is_empty() {
            return Ok(choice);
        }
        choice.hold_back(others);
    }
    Err("apt finds no part of the upgrade that leaves alone what waits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_looked_for_where_packages_put_them() {
        for (unit, files) in [
            ("ssh.service", vec!["/usr/lib/systemd/system/ssh.service", "/etc/init.d/ssh"]),
            ("getty@tty1.service", vec!["/usr/lib/systemd/system/getty@.service", "/etc/init.d/getty@"]),
            ("cups.socket", vec!["/usr/lib/systemd/system/cups.socket", "/etc/init.d/cups"]),
            ("man-db.timer", vec![]),
        ] {
            assert_eq!(files_of_unit(&unit.parse().unwrap()), files, "{unit}");
        }
    }
}
