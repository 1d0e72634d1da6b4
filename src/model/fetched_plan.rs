//! What was fetched beforehand, for a run that installs just that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{PackageAction, PackageChange, RunId, UpgradePlan};

/// A plan whose packages are all on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedPlan {
    /// The run that fetched it.
    pub run: RunId,
    pub at: Timestamp,
    /// What apt was going to do.
    pub plan: UpgradePlan,
}

impl FetchedPlan {
    /// In what the host would differ from this plan after an upgrade that does what apt says `now`; nothing where the
    /// upgrade is this plan, or what is left of it.
    pub fn differences(&self, now: &UpgradePlan, installed: &BTreeMap<String, String>) -> Vec<String> {
        let unplanned =
            now.changes.iter().filter(|change| !self.plan.changes.iter().any(|one| has_same_end(one, change)));
        let unplanned = unplanned.map(|change| match &change.to {
            Some(to) => format!("{} {to} was not fetched", change.name),
            None => format!("{} was not to be removed", change.name),
        });
        let is_left_out = |change: &&PackageChange| !now.changes.iter().any(|one| one.name == change.name);
        let undone = self.plan.changes.iter().filter(is_left_out).filter(|change| !is_done(change, installed));
        let undone = undone.map(|change| match (&change.to, installed.get(&change.name)) {
            (None, _) => format!("{} would not be removed", change.name),
            (Some(to), Some(version)) => format!("{} would stay at {version}, and not become {to}", change.name),
            (Some(to), None) => format!("{} {to} would not be installed", change.name),
        });
        unplanned.chain(undone).collect()
    }

    /// Whether it had something to do, and all of that is done.
    pub fn is_done(&self, installed: &BTreeMap<String, String>) -> bool {
        !self.plan.is_empty() && self.plan.changes.iter().all(|change| is_done(change, installed))
    }
}

fn has_same_end(one: &PackageChange, other: &PackageChange) -> bool {
    one.name == other.name && one.to == other.to
}

fn is_done(change: &PackageChange, installed: &BTreeMap<String, String>) -> bool {
    match change.action {
        PackageAction::Remove => !installed.contains_key(&change.name),
        PackageAction::Install | PackageAction::Upgrade => installed.get(&change.name) == change.to.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, from: Option<&str>, to: Option<&str>) -> PackageChange {
        let action = match (from, to) {
            (Some(_), Some(_)) => PackageAction::Upgrade,
            (None, _) => PackageAction::Install,
            (_, None) => PackageAction::Remove,
        };
        let version = |version: Option<&str>| version.map(str::to_owned);
        PackageChange { name: name.into(), action, from: version(from), to: version(to), origin: None }
    }

    fn plan(changes: &[PackageChange]) -> UpgradePlan {
        UpgradePlan { changes: changes.to_vec(), ..UpgradePlan::default() }
    }

    #[test]
    fn an_upgrade_is_the_plan_or_what_is_left_of_it() {
        let bash = change("bash", Some("1"), Some("2"));
        let image = change("linux-image-9", None, Some("9"));
        let old = change("libold", Some("1"), None);
        let all = [bash.clone(), image.clone(), old.clone()];
        let fetched =
            FetchedPlan { run: "20261127t203000z-0001".parse().unwrap(), at: Timestamp::UNIX_EPOCH, plan: plan(&all) };
        let host = |packages: &[(&str, &str)]| -> BTreeMap<String, String> {
            packages.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
        };
        let before = [("bash", "1"), ("libold", "1")];
        let halfway = change("bash", Some("1.5"), Some("2"));
        for (now, installed, differences) in [
            (&all[..], &before[..], &[][..]),
            // Somebody was at it meanwhile, and what comes of it is the same.
            (&[halfway, image.clone(), old.clone()], &[("bash", "1.5"), ("libold", "1")], &[]),
            (&all[2..], &[("bash", "2"), ("linux-image-9", "9"), ("libold", "1")], &[]),
            (&[], &[("bash", "2"), ("linux-image-9", "9")], &[]),
            (
                &[change("bash", Some("1"), Some("3")), image.clone(), old.clone(), change("curl", Some("7"), None)],
                &before,
                &["bash 3 was not fetched", "curl was not to be removed"],
            ),
            (
                &[],
                &before,
                &[
                    "bash would stay at 1, and not become 2",
                    "linux-image-9 9 would not be installed",
                    "libold would not be removed",
                ],
            ),
        ] {
            let installed = host(installed);
            assert_eq!(fetched.differences(&plan(now), &installed), differences, "{now:?} on {installed:?}");
            assert_eq!(fetched.is_done(&installed), !installed.contains_key("libold"), "{installed:?}");
        }
        let nothing = FetchedPlan { plan: UpgradePlan::default(), ..fetched };
        assert!(!nothing.is_done(&host(&before)));
        assert_eq!(nothing.differences(&plan(&[bash]), &host(&before)), ["bash 2 was not fetched"]);
    }
}
