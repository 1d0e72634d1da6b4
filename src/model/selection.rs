//! Which updates a run takes.

use serde::{Deserialize, Serialize};

use super::{PackageAction, PackageChange, UpgradePlan, matches};

/// Which updates a run takes; all of them by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PackageSelection {
    /// Packages that stay as they are: names, or patterns of them, in every architecture unless one is named.
    pub exclude: Vec<String>,
    /// Archives from which nothing is taken: origins, labels or hosts, or patterns of them.
    pub exclude_origins: Vec<String>,
    /// Whether only what comes from a security archive is upgraded.
    pub only_security: bool,
}

/// One of the archives that apt takes packages from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Archive {
    /// Its `Origin`, its `Label` and its host; those that it has.
    pub names: Vec<String>,
    /// What apt says of a version that comes from it: `Debian-Security:12/oldstable-security`.
    pub told: String,
}

impl Archive {
    /// Whether one of its names is meant, in whatever letters: apt heeds no case here.
    pub fn is_called(&self, pattern: &str) -> bool {
        self.names.iter().any(|name| matches(&pattern.to_lowercase(), &name.to_lowercase()))
    }
}

/// Whether an exclusion is of this package, which is named as apt and dpkg name it: with its architecture where that is
/// not the host's own.
pub fn names_package(excluded: &str, package: &str, own: &str) -> bool {
    let (pattern, wanted) = excluded.split_once(':').unwrap_or((excluded, ANY));
    let (name, architecture) = package.split_once(':').unwrap_or((package, own));
    (wanted == ANY || wanted == architecture) && matches(pattern, name)
}

/// apt's word for every architecture.
const ANY: &str = "any";

impl PackageSelection {
    /// Whether every update is taken.
    pub fn is_all(&self) -> bool {
        self.exclude.is_empty() && self.exclude_origins.is_empty() && !self.only_security
    }

    /// Whether the package stays as it is by its name. `own` is the host's architecture.
    pub fn excludes(&self, package: &str, own: &str) -> bool {
        self.exclude.iter().any(|excluded| names_package(excluded, package, own))
    }

    /// Changes of the plan that should not be in it. A package that is new may come from any archive but an excluded one:
    /// what is upgraded may need it. A removal is judged by its name, as every removal is.
    pub fn unwanted<'a>(&self, plan: &'a UpgradePlan, own: &str, archives: &[Archive]) -> Vec<&'a str> {
        let is_unwanted = |change: &&PackageChange| match change.action {
            PackageAction::Remove => false,
            action => {
                let comes_otherwise = action == PackageAction::Upgrade && !change.is_security();
                self.excludes(&change.name, own)
                    || self.only_security && comes_otherwise
                    || self.comes_from_excluded(change, archives)
            }
        };
        plan.changes.iter().filter(is_unwanted).map(|change| change.name.as_str()).collect()
    }

    /// Whether every archive that has the version is excluded.
    fn comes_from_excluded(&self, change: &PackageChange, archives: &[Archive]) -> bool {
        let is_excluded = |archive: &Archive| self.exclude_origins.iter().any(|pattern| archive.is_called(pattern));
        // What apt says fits several archives where one is a copy of the other.
        let only_excluded = |told: &str| {
            let mut fitting = archives.iter().filter(|archive| archive.told == told).peekable();
            fitting.peek().is_some() && fitting.all(is_excluded)
        };
        change.origin.as_deref().is_some_and(|origin| origin.split(", ").all(only_excluded))
    }

    /// What is left out, in a few words; nothing where nothing is.
    pub fn words(&self) -> Option<String> {
        let listed = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
        let security = self.only_security.then(|| "only from security archives".to_owned());
        let parts = [security, listed("without", &self.exclude), listed("nothing from", &self.exclude_origins)];
        let words: Vec<String> = parts.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "Debian:12.15/oldstable";
    const SECURITY: &str = "Debian-Security:12/oldstable-security";

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn archive(names: &[&str], told: &str) -> Archive {
        Archive { names: list(names), told: told.to_owned() }
    }

    #[test]
    fn what_is_left_out_must_not_be_in_a_plan() {
        let change = |name: &str, action, origin: &str| PackageChange {
            name: name.into(),
            action,
            from: None,
            to: None,
            origin: Some(origin.into()),
        };
        let changes = vec![
            change("openssl", PackageAction::Upgrade, &format!("{MAIN}, {SECURITY}")),
            change("tzdata", PackageAction::Upgrade, MAIN),
            change("libnew1", PackageAction::Install, MAIN),
            change("docker-ce", PackageAction::Upgrade, "Docker CE:bookworm"),
            change("libboth1", PackageAction::Upgrade, &format!("{MAIN}, Docker CE:bookworm")),
            change("libforeign1:i386", PackageAction::Upgrade, SECURITY),
            change("copied", PackageAction::Install, "Copied:1"),
            change("libold1", PackageAction::Remove, ""),
        ];
        let plan = UpgradePlan { changes, ..UpgradePlan::default() };
        let archives = [
            archive(&["Debian", "deb.debian.org"], MAIN),
            archive(&["Debian", "Debian-Security", "deb.debian.org"], SECURITY),
            archive(&["Docker", "Docker CE", "download.docker.com"], "Docker CE:bookworm"),
            archive(&["Copied", "one.example"], "Copied:1"),
            archive(&["Copied", "two.example"], "Copied:1"),
        ];
        let exclude = |names: &[&str]| PackageSelection { exclude: list(names), ..PackageSelection::default() };
        let origins = |names: &[&str]| PackageSelection { exclude_origins: list(names), ..PackageSelection::default() };
        let only_security = |selection| PackageSelection { only_security: true, ..selection };
        for (selection, unwanted, words) in [
            (PackageSelection::default(), vec![], ""),
            (exclude(&["docker-ce", "libold1"]), vec!["docker-ce"], "without docker-ce, libold1"),
            (
                exclude(&["docker-*:amd64", "*foreign1:amd64"]),
                vec!["docker-ce"],
                "without docker-*:amd64, *foreign1:amd64",
            ),
            (exclude(&["libforeign?"]), vec!["libforeign1:i386"], "without libforeign?"),
            (
                exclude(&["libforeign1:i386", "tzdata:i386"]),
                vec!["libforeign1:i386"],
                "without libforeign1:i386, tzdata:i386",
            ),
            // What another archive has as well is taken from there.
            (origins(&["Docker"]), vec!["docker-ce"], "nothing from Docker"),
            (origins(&["docker ?e"]), vec!["docker-ce"], "nothing from docker ?e"),
            (origins(&["*.docker.com"]), vec!["docker-ce"], "nothing from *.docker.com"),
            (origins(&["Debian-Security"]), vec!["libforeign1:i386"], "nothing from Debian-Security"),
            (origins(&["one.example"]), vec![], "nothing from one.example"),
            (origins(&["Copied"]), vec!["copied"], "nothing from Copied"),
            (
                only_security(exclude(&["openssl"])),
                vec!["openssl", "tzdata", "docker-ce", "libboth1"],
                "only from security archives, without openssl",
            ),
        ] {
            assert_eq!(selection.unwanted(&plan, "amd64", &archives), unwanted, "{selection:?}");
            assert_eq!(selection.words().unwrap_or_default(), words);
            assert_eq!(selection.is_all(), words.is_empty());
        }
    }

    #[test]
    fn a_saved_selection_of_an_older_version_is_read() {
        let selection: PackageSelection = serde_json::from_str(r#"{"exclude":["a"],"only_security":true}"#).unwrap();
        assert_eq!(
            selection,
            PackageSelection { exclude: list(&["a"]), only_security: true, ..PackageSelection::default() }
        );
    }
}
