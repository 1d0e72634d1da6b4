//! What apt would do, and in what state packages are.

use std::cmp::Ordering;

use super::check;
use crate::model::{
    ChangedConffile, LockHolder, PackageAction, PackageChange, Severity, UpgradePlan, compare_versions,
};

/// Without these the host may not boot, or nobody gets in. No list of allowed removals covers them.
pub const BOOT_CRITICAL: [&str; 14] = [
    "dbus",
    "grub-efi-amd64",
    "grub-pc",
    "ifupdown",
    "init",
    "initramfs-tools",
    "libpam-systemd",
    "netplan.io",
    "network-manager",
    "openssh-server",
    "systemd",
    "systemd-boot",
    "systemd-sysv",
    "udev",
];

/// Packages of MongoDB's server: their version is that of the server.
const MONGODB_SERVERS: [&str; 8] = [
    "mongodb-enterprise",
    "mongodb-enterprise-server",
    "mongodb-org",
    "mongodb-org-server",
    "mongodb-server",
    "mongodb-server-core",
    "percona-server-mongodb",
    "percona-server-mongodb-server",
];

/// What fetches a plan for a run that installs just that.
const FETCH: &str = "patchday plan --fetch";

/// Archives of Debian and Ubuntu, as apt names them before the colon.
const OWN_ORIGINS: [&str; 5] = ["Debian", "Debian Backports", "Debian-Security", "Ubuntu", "UbuntuESM"];

/// Removals that stop the run: every one that is not allowed, and those that never are.
pub fn refused_removals<'a>(plan: &'a UpgradePlan, allowed: &'a [String]) -> Vec<&'a str> {
    let refused = |name: &&str| BOOT_CRITICAL.contains(name) || !allowed.iter().any(|allowed| allowed == name);
    plan.removals().filter(refused).collect()
}

check!(
    DPKG_CLEAN,
    Packages,
    "dpkg-clean",
    Blocker,
    60,
    "no package is half installed, and no dpkg was interrupted",
    "A new upgrade on top of a half done one fails half way, with the services down. Let dpkg finish what it began.",
    |check, inputs| {
        let state = inputs.host.packages.state().await?;
        if state.is_clean() {
            return Ok(None);
        }
        let interrupted = state.interrupted.then(|| "/var/lib/dpkg/updates is not empty".to_owned());
        let finding = check.found("an earlier upgrade was not finished").lines(state.broken).lines(interrupted);
        Ok(Some(finding.remedy("finish it before a new one begins", "dpkg --configure -a")))
    }
);

check!(
    APT_LOCK,
    Packages,
    "apt-lock",
    Warning,
    10,
    "no process holds a lock of apt or dpkg",
    "Another process installs packages now. A run waits as long as [upgrade] lock-timeout says, and kills nothing.",
    |check, inputs| {
        let holders = inputs.host.packages.lock_holders().await?;
        let Some(first) = holders.first() else { return Ok(None) };
        let command = match (&first.unit, first.pid) {
            (Some(unit), _) => format!("systemctl status {unit}"),
            (None, Some(pid)) => format!("ps -fp {pid}"),
            (None, None) => format!("fuser -v {}", first.lock),
        };
        let finding =
            check.found("another process is using apt or dpkg").lines(holders.iter().map(LockHolder::to_string));
        Ok(Some(finding.remedy("let it end", command)))
    }
);

check!(
    REMOVALS,
    Packages,
    "removals",
    Blocker,
    120,
    "the upgrade removes nothing that is not allowed",
    "An upgrade that removes packages may remove what the server is there for. Name in [upgrade] allow-removals what \
     may go; what the host needs to boot never may. The run asks again after it has refreshed the package lists.",
    |check, inputs| {
        let plan = inputs.upgrade().await?;
        let refused = refused_removals(plan, &inputs.settings.upgrade.allow_removals);
        if refused.is_empty() {
            return Ok(None);
        }
        let (selection, own) = (&inputs.settings.upgrade.selection, inputs.host.packages.architecture().await?);
        let line = |name: &&str| {
            let critical =
                if BOOT_CRITICAL.contains(name) { ", which the host needs to boot or to be reached" } else { "" };
            // One half of a package cannot stay where the other is upgraded.
            let excluded = if selection.excludes(name, &own) { ", though [upgrade] exclude names it" } else { "" };
            format!("{name}{critical}{excluded}")
        };
        let finding = check.found("the upgrade would remove packages").lines(refused.iter().map(line));
        let names: Vec<String> = refused.iter().map(|name| format!("\"{name}\"")).collect();
        let hint = format!("find out why; where it is right: allow-removals = [{}] below [upgrade]", names.join(", "));
        Ok(Some(finding.remedy(hint, "apt-get -s dist-upgrade")))
    }
);

check!(
    DOWNGRADE,
    Packages,
    "downgrade",
    Blocker,
    120,
    "the upgrade takes no package back to an older version",
    "A pin of the administrator asks for an older version. apt refuses that without a word more, and services rarely \
     read the data of their newer self.",
    |check, inputs| {
        let older = |change: &&PackageChange| match (&change.from, &change.to) {
            (Some(from), Some(to)) => compare_versions(to, from) == Ordering::Less,
            _ => false,
        };
        let plan = inputs.upgrade().await?;
        let lines: Vec<String> = plan.changes.iter().filter(older).map(PackageChange::told).collect();
        let Some(first) = plan.changes.iter().find(older) else { return Ok(None) };
        let finding = check.found("the upgrade would take packages back").lines(lines);
        Ok(Some(finding.remedy("see which pin asks for it", format!("apt-cache policy {}", first.name))))
    }
);

check!(
    MONGODB_JUMP,
    Packages,
    "mongodb-jump",
    Blocker,
    120,
    "MongoDB stays at its major and minor version",
    "A server of another series may not start on the data of this one, and needs its feature compatibility version set \
     before. That is a migration of its own; hold the package until then.",
    |check, inputs| {
        let jumps = |change: &&PackageChange| {
            let series = |version: &Option<String>| version.as_deref().map(series_of);
            MONGODB_SERVERS.contains(&change.name.as_str())
                && change.action == PackageAction::Upgrade
                && series(&change.from) != series(&change.to)
        };
        let plan = inputs.upgrade().await?;
        let names: Vec<&str> = plan.changes.iter().filter(jumps).map(|change| change.name.as_str()).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let finding = check.found("the upgrade would bring another series of MongoDB");
        let finding = finding.lines(plan.changes.iter().filter(jumps).map(PackageChange::told));
        Ok(Some(finding.remedy("hold it, and migrate on another day", format!("apt-mark hold {}", names.join(" ")))))
    }
);

check!(
    THIRD_PARTY,
    Packages,
    "third-party",
    Warning,
    120,
    "every package to upgrade comes from an archive that is expected",
    "No one tested packages of other archives together with those of Debian and Ubuntu. Name archives that you \
     expect in [preflight] trusted-origins.",
    |check, inputs| {
        let trusted = &inputs.settings.preflight.trusted_origins;
        let plan = inputs.upgrade().await?;
        let foreign = plan.changes.iter().filter(|change| change.to.is_some()).filter(|change| {
            let mut names = change.origin.iter().flat_map(|origin| origin.split(", ")).map(origin_name);
            !names.any(|name| OWN_ORIGINS.contains(&name) || trusted.iter().any(|trusted| trusted == name))
        });
        let foreign: Vec<_> = foreign.collect();
        let Some(first) = foreign.first().map(|change| &change.name) else { return Ok(None) };
        let lines = foreign.iter().map(|change| {
            let origin = change.origin.as_deref().unwrap_or("no archive with a name");
            format!("{} {} from {origin}", change.name, change.to.as_deref().unwrap_or_default())
        });
        let finding = check.found("packages come from archives of others").lines(lines);
        Ok(Some(finding.remedy("see where they come from", format!("apt-cache policy {first}"))))
    }
);

check!(
    PACKAGES_HELD,
    Packages,
    "packages-held",
    Info,
    120,
    "no package is held or kept back",
    "A package that is held gets no security update. One that is kept back waits for another that cannot be installed.",
    |check, inputs| {
        let held = inputs.host.package_survey.held().await?;
        let kept = inputs.upgrade().await?.kept_back.iter().filter(|name| !held.contains(name));
        let lines = held.iter().map(|name| format!("{name} is held"));
        let lines: Vec<String> = lines.chain(kept.map(|name| format!("{name} is kept back"))).collect();
        if lines.is_empty() {
            return Ok(None);
        }
        let finding = check.found("packages stay as they are").lines(lines);
        Ok(Some(finding.remedy("see what is held", "apt-mark showhold")))
    }
);

check!(
    PACKAGES_PHASED,
    Packages,
    "packages-phased",
    Info,
    120,
    "no update is deferred by phasing",
    "Ubuntu gives some updates to a part of all hosts at first. This host's turn comes; nothing is wrong.",
    |check, inputs| {
        let phased = &inputs.upgrade().await?.phased;
        let finding = check.found("updates are deferred by phasing").lines(phased.iter().cloned());
        Ok((!phased.is_empty()).then(|| finding.hint("wait; each comes to this host within days")))
    }
);

check!(
    CONFFILES,
    Packages,
    "conffiles",
    Info,
    120,
    "no configuration file that was changed here belongs to a package to upgrade",
    "Where the new package changes the file too, dpkg would ask. No one is there to answer: yours is kept, and the new \
     one is put beside it as .dpkg-dist.",
    |check, inputs| {
        let plan = inputs.upgrade().await?;
        let upgraded = plan.changes.iter().filter(|change| change.action == PackageAction::Upgrade);
        let names: Vec<String> = upgraded.map(|change| change.name.clone()).collect();
        let changed = inputs.host.package_survey.changed_conffiles(&names).await?;
        let line = |file: &ChangedConffile| format!("{} of {}", file.path, file.package);
        let finding =
            check.found("configuration files that were changed here are kept").lines(changed.iter().map(line));
        Ok((!changed.is_empty()).then(|| {
            finding.remedy("a new one may appear beside yours; look for it afterwards", "find /etc -name '*.dpkg-dist'")
        }))
    }
);

check!(
    SOURCES_REACHABLE,
    Packages,
    "sources-reachable",
    Blocker,
    90,
    "every source of apt answers",
    "Patchday never upgrades from the lists of some sources and the old lists of others. Fix the source that fails, \
     or take it out.",
    |check, inputs| {
        // What is fetched needs nobody to answer.
        if inputs.settings.upgrade.only_planned {
            return Ok(None);
        }
        let sources = inputs.host.package_survey.sources().await?;
        if sources.is_empty() {
            return Ok(Some(check.found("apt has no source").remedy("name one", "apt edit-sources")));
        }
        let failed = sources.iter().filter_map(|source| Some(format!("{}: {}", source.name, source.problem.as_ref()?)));
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() {
            return Ok(None);
        }
        let finding = check.found("a source of apt does not answer").lines(failed);
        Ok(Some(finding.remedy("fix it, or take it out", "apt-get update")))
    }
);

check!(
    FETCHED_PLAN,
    Packages,
    "fetched-plan",
    Blocker,
    120,
    "with [upgrade] only-planned, the upgrade is what was fetched",
    "What was looked at and fetched on one day shall be what is installed on another. Where packages were installed, \
     removed or held since, apt would do something else; where nothing was fetched, it would do nothing.",
    |check, inputs| {
        if !inputs.settings.upgrade.only_planned {
            return Ok(None);
        }
        let Some(fetched) = inputs.host.packages.fetched().await? else {
            return Ok(Some(check.found("nothing was fetched").remedy("fetch it", FETCH)));
        };
        let installed = inputs.host.packages.installed().await?;
        let day = fetched.at.strftime("%Y-%m-%d");
        let differences = fetched.differences(inputs.upgrade().await?, &installed);
        if !differences.is_empty() {
            let finding = check.found(format!("apt would not do what was fetched on {day}")).lines(differences);
            return Ok(Some(finding.remedy("fetch anew", FETCH)));
        }
        // Month after month of nothing to do must not look like a host that is up to date.
        let mut finding = check.found(format!("all that was fetched on {day} is installed"));
        finding.severity = Severity::Warning;
        Ok(fetched.is_done(&installed).then(|| finding.remedy("fetch what is new", FETCH)))
    }
);

check!(
    LISTS_AGE,
    Packages,
    "lists-age",
    Info,
    10,
    "the package lists are younger than a week",
    "The plan is made from the lists as they are, as of the day on which they were refreshed. A run refreshes \
     them first, and may find more; with [upgrade] only-planned it does not.",
    |check, inputs| {
        let refresh = if inputs.settings.upgrade.only_planned { FETCH } else { "apt-get update" };
        let Some(refreshed) = inputs.host.package_survey.lists_refreshed().await? else {
            return Ok(Some(check.found("the package lists were never fetched").remedy("fetch them", refresh)));
        };
        let days = inputs.host.clock.wall().duration_since(refreshed).as_hours() / 24;
        let finding = check.found(format!("the package lists are {days} days old"));
        Ok((days >= 7).then(|| finding.remedy("refresh them for a plan of today", refresh)))
    }
);

/// `Debian-Security:12/oldstable-security` is of `Debian-Security`.
fn origin_name(origin: &str) -> &str {
    origin.split(':').next().unwrap_or_default()
}

/// Major and minor version of a package's version.
fn series_of(version: &str) -> (String, String) {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    let mut parts = upstream.split(['.', '-', '~', '+']).map(str::to_owned);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_version_is_told_without_epoch_and_revision() {
        for (version, major, minor) in [("6.0.5", "6", "0"), ("1:7.0.14-1~deb12", "7", "0"), ("8", "8", "")] {
            assert_eq!(series_of(version), (major.to_owned(), minor.to_owned()));
        }
    }

    #[test]
    fn only_named_packages_may_be_removed_and_some_never() {
        let remove = |name: &str| PackageChange {
            name: name.into(),
            action: PackageAction::Remove,
            from: Some("1".into()),
            to: None,
            origin: None,
        };
        let plan =
            UpgradePlan { changes: ["old-lib", "mariadb-server", "udev"].map(remove).into(), ..UpgradePlan::default() };
        assert_eq!(refused_removals(&plan, &["old-lib".into()]), ["mariadb-server", "udev"]);
        assert_eq!(refused_removals(&plan, &["old-lib".into(), "mariadb-server".into(), "udev".into()]), ["udev"]);
    }
}
