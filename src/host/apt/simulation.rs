//! Reads what `apt-get -s -q dist-upgrade` prints. The same since apt 1; checked with 2.6, 3.0 and 3.3.

use std::collections::BTreeSet;

use crate::model::{PackageAction, PackageChange, UpgradePlan};

/// Headings of the blocks that name packages which stay as they are: of apt-get, and of apt's newer lists.
const KEPT_BACK: [&str; 2] = ["The following packages have been kept back:", "Not upgrading:"];
const PHASED: [&str; 2] =
    ["The following upgrades have been deferred due to phasing:", "Not upgrading yet due to phasing:"];

/// Reads the simulation's text.
///
/// Strict, since the removal guard rests on it: an instruction that cannot be read, a summary that is missing and a
/// summary whose counts are not those of the instructions are errors.
pub(super) fn parse(text: &str) -> Result<UpgradePlan, String> {
    let mut plan = UpgradePlan::default();
    let mut summary = None;
    let (mut in_kept_back, mut in_phased) = (false, false);
    for line in text.lines() {
        if (in_kept_back || in_phased) && line.starts_with(' ') {
            let names = line.split_whitespace().map(|name| name.trim_end_matches('*').to_owned());
            if in_phased {
                plan.phased.extend(names)
            } else {
                plan.kept_back.extend(names)
            }
            continue;
        }
        (in_kept_back, in_phased) = (KEPT_BACK.contains(&line.trim_end()), PHASED.contains(&line.trim_end()));
        let change = match line.split_once(' ') {
            Some(("Inst", rest)) => parse_install(rest),
            Some(("Remv" | "Purg", rest)) => parse_removal(rest),
            _ => {
                summary = parse_summary(line).or(summary);
                continue;
            }
        };
        plan.changes.push(change.ok_or_else(|| format!("cannot read apt's line {line:?}"))?);
    }
    drop_passing_removals(&mut plan);
    let summary = summary.ok_or("apt printed no summary of the upgrade")?;
    let removals = plan.removals().count();
    let counts = (plan.changes.len() - removals, removals);
    if counts != summary {
        return Err(format!(
            "apt counts {} to install and {} to remove, but lists {} and {}",
            summary.0, summary.1, counts.0, counts.1
        ));
    }
    Ok(plan)
}

/// To break a loop of conflicts apt removes a package for a moment and installs it again: that is no removal.
fn drop_passing_removals(plan: &mut UpgradePlan) {
    let installed: BTreeSet<String> = plan
        .changes
        .iter()
        .filter(|change| change.action != PackageAction::Remove)
        .map(|change| change.name.clone())
        .collect();
    plan.changes.retain(|change| change.action != PackageAction::Remove || !installed.contains(&change.name));
}

/// `NAME [OLD] (NEW ORIGIN, ORIGIN [ARCH])`, and maybe notes on broken dependencies after it.
fn parse_install(rest: &str) -> Option<PackageChange> {
    let (name, rest) = rest.split_once(' ')?;
    let (from, rest) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (old, rest) = rest.split_once("] ")?;
            (Some(old.to_owned()), rest)
        }
        None => (None, rest),
    };
    let (candidate, _) = rest.strip_prefix('(')?.split_once(')')?;
    let (candidate, _) = candidate.rsplit_once(" [").unwrap_or((candidate, ""));
    let (to, origin) = match candidate.split_once(' ') {
        Some((to, origin)) => (to, Some(origin.trim().to_owned())),
        None => (candidate, None),
    };
    let valid = !name.is_empty() && !to.is_empty();
    valid.then(|| PackageChange {
        name: name.to_owned(),
        action: if from.is_some() { PackageAction::Upgrade } else { PackageAction::Install },
        from,
        to: Some(to.to_owned()),
        origin: origin.filter(|origin| !origin.is_empty()),
    })
}

/// `NAME [OLD]`, and maybe notes after it.
fn parse_removal(rest: &str) -> Option<PackageChange> {
    let (name, rest) = rest.split_once(' ')?;
    let (old, _) = rest.strip_prefix('[')?.split_once(']')?;
    let valid = !name.is_empty() && !old.is_empty();
    valid.then(|| PackageChange {
        name: name.to_owned(),
        action: PackageAction::Remove,
        from: Some(old.to_owned()),
        to: None,
        origin: None,
    })
}

/// `3 upgraded, 1 newly installed, 1 to remove and 2 not upgraded.`, and where there are any, `N reinstalled` and
/// `N downgraded` too: packages to install in some way, and packages to remove.
fn parse_summary(line: &str) -> Option<(usize, usize)> {
    let line = line.trim_end().strip_suffix(" not upgraded.")?;
    let (mut installs, mut removals) = (0, None);
    for part in line.split([',']).flat_map(|part| part.split(" and ")) {
        let Some((count, what)) = part.trim().split_once(' ') else { continue };
        let count: usize = count.parse().ok()?;
        match what {
            "to remove" => removals = Some(count),
            _ => installs += count,
        }
    }
    Some((installs, removals?))
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/apt/", $name))
        };
    }

    fn change<'a>(plan: &'a UpgradePlan, name: &str) -> &'a PackageChange {
        plan.changes.iter().find(|change| change.name == name).unwrap()
    }

    #[test]
    fn a_real_security_upgrade_is_read() {
        let plan = parse(fixture!("simulate-security-apt2.6.1.txt")).unwrap();
        assert_eq!(plan.changes.len(), 13);
        assert!(plan.changes.iter().all(|change| change.action == PackageAction::Upgrade && change.is_security()));
        assert!(plan.kept_back.is_empty());
        let openssl = change(&plan, "openssl");
        assert_eq!(openssl.from.as_deref(), Some("3.0.20-1~deb12u2"));
        assert_eq!(openssl.to.as_deref(), Some("3.0.22-1~deb12u2"));
        assert_eq!(openssl.origin.as_deref(), Some("Debian-Security:12/oldstable-security"));

        let plan = parse(fixture!("simulate-host-apt2.6.1.txt")).unwrap();
        assert_eq!(plan.changes.len(), 122);
        let library = change(&plan, "libgcrypt20");
        assert_eq!(library.origin.as_deref(), Some("Debian:12.15/oldstable, Debian-Security:12/oldstable-security"));
    }

    #[test]
    fn removals_epochs_foreign_architectures_and_kept_back_packages_are_read() {
        for (version, text) in
            [("2.6.1", fixture!("simulate-mixed-apt2.6.1.txt")), ("3.0.4", fixture!("simulate-mixed-apt3.0.4.txt"))]
        {
            let plan = parse(text).unwrap();
            assert_eq!(plan.removals().collect::<Vec<_>>(), ["lab-old"], "{version}");
            assert_eq!(plan.kept_back, ["lab-held", "lab-stuck"], "{version}");
            assert_eq!(change(&plan, "lab-new").action, PackageAction::Install);
            assert_eq!(change(&plan, "lab-new").from, None);
            assert_eq!(change(&plan, "lab-arch:i386").to.as_deref(), Some("2"));
            assert_eq!(change(&plan, "lab-epoch").from.as_deref(), Some("1:1.0~rc1-1"));
            assert_eq!(change(&plan, "lab-epoch").origin.as_deref(), Some("localhost"));
            assert_eq!(plan.changes.len(), 6, "{version}");
        }
    }

    #[test]
    fn the_newer_solver_keeps_back_what_the_older_one_replaces() {
        let plan = parse(fixture!("simulate-local-apt3.3.5.txt")).unwrap();
        assert_eq!(plan.removals().count(), 0);
        assert_eq!(plan.kept_back, ["lab-a", "lab-held", "lab-stuck"]);
    }

    #[test]
    fn a_change_of_release_is_read() {
        let plan = parse(fixture!("simulate-release-apt3.0.4.txt")).unwrap();
        assert_eq!(plan.changes.len(), 103);
        assert_eq!(plan.changes.iter().filter(|change| change.action == PackageAction::Install).count(), 7);
    }

    #[test]
    fn purged_packages_are_removed_ones() {
        let plan = parse(fixture!("simulate-purge-apt2.6.1.txt")).unwrap();
        assert_eq!(plan.removals().collect::<Vec<_>>(), ["lab-old"]);
    }

    #[test]
    fn nothing_to_do_is_an_empty_plan() {
        assert!(parse(fixture!("simulate-nothing-apt3.0.4.txt")).unwrap().is_empty());
    }

    #[test]
    fn phased_upgrades_are_told_apart() {
        let text = "The following upgrades have been deferred due to phasing:\n  libnetplan1 netplan.io\n\
            The following packages will be upgraded:\n  bash\n\
            1 upgraded, 0 newly installed, 0 to remove and 2 not upgraded.\n\
            Inst bash [5.2.21-2ubuntu4] (5.2.21-2ubuntu4.1 Ubuntu:24.04/noble-security [amd64])\n";
        let plan = parse(text).unwrap();
        assert_eq!(plan.phased, ["libnetplan1", "netplan.io"]);
        assert!(plan.kept_back.is_empty());
        assert!(plan.changes[0].is_security());
    }

    #[test]
    fn a_package_removed_for_a_moment_is_an_upgrade() {
        let text = "1 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n\
            Remv sysvinit-core [2.88] [udev:amd64 ]\nInst sysvinit-core [2.88] (2.96 Debian:12 [amd64]) []\n";
        let plan = parse(text).unwrap();
        assert_eq!(plan.removals().count(), 0);
        assert_eq!(plan.changes.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_no_empty_plan() {
        let summary = "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n";
        for (text, error) in [
            ("", "no summary"),
            ("Reading package lists...\n", "no summary"),
            ("Remv mongodb-org-server\n", "cannot read"),
            ("Inst bash [1 (2 x [amd64])\n", "cannot read"),
            (&format!("{summary}Remv mongodb-org-server [6.0.5]\n"), "lists 0 and 1"),
            ("1 upgraded, 0 newly installed, 1 downgraded, 2 to remove and 0 not upgraded.\n", "2 to install and 2 to"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(error), "{text:?} gave {said}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            include_str!("../../../tests/fixtures/apt/simulate-mixed-apt2.6.1.txt"),
            include_str!("../../../tests/fixtures/apt/simulate-purge-apt2.6.1.txt"),
            include_str!("../../../tests/fixtures/apt/simulate-release-apt3.0.4.txt"),
            include_str!("../../../tests/fixtures/apt/simulate-local-apt3.3.5.txt"),
        ];
        crate::host::hostile::survives(&samples, |text| {
            if let Ok(plan) = parse(text) {
                assert!(plan.changes.iter().all(|change| !change.name.is_empty()), "{plan:?}");
            }
        });
    }
}
