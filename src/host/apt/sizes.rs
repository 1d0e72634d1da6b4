//! How big packages are: reads what `apt-cache show` prints.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::model::{PackageAction, PackageSize, UpgradePlan, without_architecture};

/// The arguments that ask for the new versions of a plan.
pub(super) fn names(plan: &UpgradePlan) -> Vec<String> {
    let new = plan.changes.iter().filter(|change| change.action != PackageAction::Remove);
    new.filter_map(|change| Some(format!("{}={}", change.name, change.to.as_ref()?))).collect()
}

/// Where apt keeps what it has fetched.
pub(super) const ARCHIVES: &str = "/var/cache/apt/archives";

/// What apt calls the package in its archives: as in `bash_5.2.15-2_amd64.deb`, with `%3a` for the colon of an epoch.
pub(super) fn file_name(name: &str, version: &str, arch: &str) -> String {
    format!("{}{arch}.deb", file_name_until_architecture(name, version))
}

/// Its beginning, as in `bash_5.2.15-2_`.
pub(super) fn file_name_until_architecture(name: &str, version: &str) -> String {
    format!("{}_{}_", without_architecture(name), version.replace(':', "%3a"))
}

/// What dpkg knows of an installed package, in its directory `info`: how many files it has, and whether a script
/// configures it. Of one that is not installed it tells what it knows of another version of it that bears the version in its
/// name, as a kernel's.
pub(super) fn installed(info: &Path, name: &str, arch: &str) -> Option<(u32, bool)> {
    let known = |name: &str| [format!("{name}:{arch}"), name.to_owned()].iter().find_map(|stem| of_stem(info, stem));
    known(name).or_else(|| {
        let has_version = name.contains(|letter: char| letter.is_ascii_digit());
        let others = fs::read_dir(info).ok().filter(|_| has_version)?;
        let names = others.filter_map(|one| one.ok()?.file_name().into_string().ok());
        let stems = names.filter_map(|file| file.strip_suffix(".list").map(str::to_owned));
        let mut same = stems.filter(|stem| without_digits(without_architecture(stem)) == without_digits(name));
        same.find_map(|stem| of_stem(info, &stem))
    })
}

/// Files are counted where their sums stand, without directories and links. The few packages that have no sums have few
/// files.
fn of_stem(info: &Path, stem: &str) -> Option<(u32, bool)> {
    let lines = |end: &str| {
        let text = fs::read(info.join(format!("{stem}.{end}"))).ok()?;
        Some(text.iter().filter(|byte| **byte == b'\n').count())
    };
    let listed = lines("list")?;
    let files = lines("md5sums").unwrap_or(listed);
    Some((u32::try_from(files).ok()?, info.join(format!("{stem}.postinst")).exists()))
}

fn without_digits(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// The sizes of the plan's packages; nothing is to fetch of those that `is_there` says are fetched, by file name and size.
/// `installed` tells of a package, by its name and architecture, how many files it has now, and whether a script
/// configures it. What is not told is left out: a size is good to know, and nothing rests on it.
pub(super) fn parse(
    text: &str,
    plan: &UpgradePlan,
    is_there: impl Fn(&str, u64) -> bool,
    installed: impl Fn(&str, &str) -> Option<(u32, bool)>,
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
            let unpacked = number("Installed-Size").unwrap_or_default() * 1024;
            let now = installed(name, arch);
            let is_fetched = is_there(&file_name(name, version, arch), download);
            let download = if is_fetched { 0 } else { download };
            let (files, has_script) = (now.map(|(files, _)| files), now.is_some_and(|(_, has_script)| has_script));
            sizes.insert(change.name.clone(), PackageSize { download, installed: unpacked, files, has_script });
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
        let info = tempfile::tempdir().unwrap();
        std::fs::write(info.path().join("openssl.list"), "/.\n/usr\n/usr/bin\n").unwrap();
        std::fs::write(info.path().join("openssl.postinst"), "").unwrap();
        std::fs::write(info.path().join("bash:amd64.list"), "/.\n").unwrap();
        let now = |name: &str, arch: &str| installed(info.path(), name, arch);
        let sizes = parse(text, &plan, |_, _| false, now);
        let size = |download, kib: u64, files, has_script| PackageSize {
            download,
            installed: kib * 1024,
            files: Some(files),
            has_script,
        };
        assert_eq!(sizes["openssl"], size(1_441_784, 2315, 3, true));
        assert_eq!(sizes["bash"], size(1_490_652, 7164, 1, false));
        assert_eq!(now("gone", "amd64"), None);
        for (file, text) in [("list", "/.\n/boot\n/boot/vmlinuz\n"), ("md5sums", "0  boot/vmlinuz\n"), ("postinst", "")]
        {
            std::fs::write(info.path().join(format!("linux-image-6.1.0-50-amd64.{file}")), text).unwrap();
        }
        assert_eq!(now("linux-image-6.1.0-57-amd64", "amd64"), Some((1, true)), "as the one before");
        assert_eq!(now("linux-image-6.1.0-57-cloud-amd64", "amd64"), None);
        assert!(!sizes.contains_key("gone"), "what is not told is not invented");
        // A file that is cut short is fetched again.
        let there = [("openssl_3.0.22-1~deb12u2_amd64.deb", 1_441_784), ("bash_5.2.15-2+b13_amd64.deb", 7)];
        let sizes = parse(text, &plan, |name, size| there.contains(&(name, size)), |_, _| None);
        assert_eq!((sizes["openssl"].download, sizes["bash"].download), (0, 1_490_652));
        assert_eq!(file_name("git", "1:2.39.5-0+deb12u3", "amd64"), "git_1%3a2.39.5-0+deb12u3_amd64.deb");
    }
}
