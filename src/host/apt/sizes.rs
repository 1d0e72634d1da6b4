//! How big packages are: reads what `apt-cache show` prints.

use std::collections::BTreeMap;

use crate::model::{PackageAction, PackageSize, UpgradePlan};

/// The arguments that ask for the new versions of a plan.
pub(super) fn names(plan: &UpgradePlan) -> Vec<String> {
    let new = plan.changes.iter().filter(|change| change.action != PackageAction::Remove);
    new.filter_map(|change| Some(format!("{}={}", change.name, change.to.as_ref()?))).collect()
}

/// Where apt keeps what it has fetched.
pub(super) const ARCHIVES: &str = "/var/cache/apt/archives";

/// What apt calls the package in its archives: as in `bash_5.2.15-2_amd64.deb`, with `%3a` for the colon of an epoch.
fn file_name(name: &str, version: &str, arch: &str) -> String {
    format!("{name}_{}_{arch}.deb", version.replace(':', "%3a"))
}

/// The sizes of the plan's packages; nothing is to fetch of those that `is_there` says are fetched, by file name and size.
/// What is not told is left out: a size is good to know, and nothing rests on it.
pub(super) fn parse(
    text: &str,
    plan: &UpgradePlan,
    is_there: impl Fn(&str, u64) -> bool,
) -> BTreeMap<String, PackageSize> {
    let mut sizes = BTreeMap::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let (Some(name), Some(version), Some(arch)) = (field("Package"), field("Version"), field("Architecture"))
        else {
            continue;
        };
        let number = |name| field(name).and_then(|text| text.trim().parse::<u64>().ok());
        let foreign = format!("{name}:{arch}");
        let is_it = |change: &&crate::model::PackageChange| {
            (change.name == name || change.name == foreign) && change.to.as_deref() == Some(version)
        };
        if let (Some(change), Some(download)) = (plan.changes.iter().find(is_it), number("Size")) {
            let installed = number("Installed-Size").unwrap_or_default() * 1024;
            let is_fetched = is_there(&file_name(name, version, arch), download);
            let download = if is_fetched { 0 } else { download };
            sizes.insert(change.name.clone(), PackageSize { download, installed });
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PackageChange;

    #[test]
    fn sizes_are_those_of_the_new_version() {
        let change = |name: &str, to: &str| PackageChange {
            name: name.into(),
            action: PackageAction::Upgrade,
            from: Some("1".into()),
            to: Some(to.into()),
            origin: None,
        };
        let changes = vec![change("openssl", "3.0.22-1~deb12u2"), change("bash", "5.2.15-2+b13"), change("gone", "2")];
        let plan = UpgradePlan { changes, ..UpgradePlan::default() };
        assert_eq!(names(&plan)[0], "openssl=3.0.22-1~deb12u2");
        let text = include_str!("../../../tests/fixtures/apt/show-apt2.6.1.txt");
        let sizes = parse(text, &plan, |_, _| false);
        let size = |download, kib: u64| PackageSize { download, installed: kib * 1024 };
        assert_eq!(sizes["openssl"], size(1_441_784, 2315));
        assert_eq!(sizes["bash"], size(1_490_652, 7164));
        assert!(!sizes.contains_key("gone"), "what is not told is not invented");
        // A file that is cut short is fetched again.
        let there = [("openssl_3.0.22-1~deb12u2_amd64.deb", 1_441_784), ("bash_5.2.15-2+b13_amd64.deb", 7)];
        let sizes = parse(text, &plan, |name, size| there.contains(&(name, size)));
        assert_eq!((sizes["openssl"].download, sizes["bash"].download), (0, 1_490_652));
        assert_eq!(file_name("git", "1:2.39.5-0+deb12u3", "amd64"), "git_1%3a2.39.5-0+deb12u3_amd64.deb");
    }
}
