//! Which updates a run takes.

use serde::{Deserialize, Serialize};

use super::{PackageAction, PackageChange, UpgradePlan, without_architecture};

/// Which updates a run takes; all of them by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PackageSelection {
    /// Packages that stay as they are.
    pub exclude: Vec<String>,
    /// Whether only what comes from a security archive is upgraded.
    pub only_security: bool,
}

impl PackageSelection {
    /// Whether every update is taken.
    pub fn is_all(&self) -> bool {
        self.exclude.is_empty() && !self.only_security
    }

    /// Changes of the plan that should not be in it. A package that is new may come from any archive: what is upgraded
    /// may need it.
    pub fn unwanted<'a>(&self, plan: &'a UpgradePlan) -> Vec<&'a str> {
        let is_unwanted = |change: &&PackageChange| {
            let name = without_architecture(&change.name);
            let is_excluded = change.action != PackageAction::Remove
                && self.exclude.iter().any(|one| one == name || *one == change.name);
            is_excluded || self.only_security && change.action == PackageAction::Upgrade && !change.is_security()
        };
        plan.changes.iter().filter(is_unwanted).map(|change| change.name.as_str()).collect()
    }

    /// What is left out, in a few words; nothing where nothing is.
    pub fn words(&self) -> Option<String> {
        let security = self.only_security.then(|| "only from security archives".to_owned());
        let exclude = (!self.exclude.is_empty()).then(|| format!("without {}", self.exclude.join(", ")));
        let words: Vec<String> = security.into_iter().chain(exclude).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_must_not_be_in_a_plan() {
        let change = |name: &str, action, origin: &str| PackageChange {
            name: name.into(),
            action,
            from: None,
            to: None,
            origin: Some(origin.into()),
        };
        let security = "Debian:12.15/oldstable, Debian-Security:12/oldstable-security";
        let changes = vec![
            change("openssl", PackageAction::Upgrade, security),
            change("tzdata", PackageAction::Upgrade, "Debian:12.15/oldstable"),
            change("libnew1", PackageAction::Install, "Debian:12.15/oldstable"),
            change("docker-ce:amd64", PackageAction::Upgrade, "Docker:stable"),
            change("libold1", PackageAction::Remove, ""),
        ];
        let plan = UpgradePlan { changes, ..UpgradePlan::default() };
        let exclude = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        for (selection, unwanted, words) in [
            (PackageSelection::default(), vec![], None),
            (
                PackageSelection { exclude: exclude(&["docker-ce", "libold1"]), only_security: false },
                vec!["docker-ce:amd64"],
                Some("without docker-ce, libold1"),
            ),
            (
                PackageSelection { exclude: exclude(&["openssl"]), only_security: true },
                vec!["openssl", "tzdata", "docker-ce:amd64"],
                Some("only from security archives, without openssl"),
            ),
        ] {
            assert_eq!(selection.unwanted(&plan), unwanted, "{selection:?}");
            assert_eq!(selection.words().as_deref(), words);
        }
    }
}
