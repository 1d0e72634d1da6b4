//! The entries of systemd-boot, after the Boot Loader Specification: files, and unified kernel images. Pure.

use std::cmp::Ordering;

use crate::model::{compare_releases, matches};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The file's name, without the count of tries, as in `0123abcd-6.1.0-50-amd64.conf`.
    pub id: String,
    /// `sort-key`.
    pub sort_key: String,
    /// `machine-id`.
    pub machine_id: String,
    /// `version`: the release of the kernel.
    pub version: String,
    /// The kernel's image, or the unified image.
    pub image: String,
    /// What is loaded with it.
    pub initrds: Vec<String>,
    /// No try is left: it is taken for broken.
    pub is_bad: bool,
}

impl Entry {
    /// Reads an entry of that file name.
    pub fn parse(file: &str, text: &str) -> Self {
        let (id, is_bad) = without_tries(file);
        let mut entry = Self { id, is_bad, ..Self::default() };
        for line in text.lines().map(str::trim) {
            let Some((key, value)) = line.split_once(char::is_whitespace) else { continue };
            let value = value.trim().to_owned();
            match key {
                "sort-key" => entry.sort_key = value,
                "machine-id" => entry.machine_id = value,
                "version" => entry.version = value,
                "linux" | "efi" => entry.image = value,
                "initrd" => entry.initrds.push(value),
                _ => {}
            }
        }
        entry
    }

    /// A unified kernel image of that file name, whose kernel has that release.
    pub fn unified(file: &str, path: &str, release: &str) -> Self {
        let (id, is_bad) = without_tries(file);
        Self { id, is_bad, version: release.to_owned(), image: path.to_owned(), ..Self::default() }
    }
}

/// `NAME+LEFT-DONE.conf` counts how often it was tried.
pub(super) fn without_tries(file: &str) -> (String, bool) {
    let (stem, suffix) = file.rsplit_once('.').unwrap_or((file, ""));
    let counted = stem.rsplit_once('+').filter(|(_, tries)| {
        tries.starts_with(|first: char| first.is_ascii_digit())
            && tries.chars().all(|one| one.is_ascii_digit() || one == '-')
    });
    match counted {
        Some((name, tries)) => {
            let left = tries.split('-').next().and_then(|left| left.parse::<u32>().ok());
            (format!("{name}.{suffix}"), left == Some(0))
        }
        None => (file.to_owned(), false),
    }
}

/// In the order of the menu: what is not broken first; by `sort-key`, machine and version, the newest first; else by name, the
/// newest first.
pub fn sort(entries: &mut [Entry]) {
    entries.sort_by(|left, right| {
        let by_key = match (left.sort_key.is_empty(), right.sort_key.is_empty()) {
            (true, true) => Ordering::Equal,
            (false, false) => {
                let by_version = compare_releases(&right.version, &left.version);
                left.sort_key.cmp(&right.sort_key).then(left.machine_id.cmp(&right.machine_id)).then(by_version)
            }
            (left, right) => left.cmp(&right),
        };
        left.is_bad.cmp(&right.is_bad).then(by_key).then_with(|| compare_releases(&right.id, &left.id))
    });
}

/// Which of the sorted entries starts, whether a newer kernel's would, and why. `chosen` is what the firmware keeps
/// (`bootctl set-default`), `configured` the `default` of `loader.conf`.
pub fn default<'a>(
    entries: &'a [Entry],
    chosen: Option<&str>,
    configured: Option<&str>,
) -> (Option<&'a Entry>, bool, String) {
    let named = |pattern: &str| {
        let pattern = pattern.trim();
        entries.iter().find(|entry| names(pattern, &entry.id) || names(&format!("{pattern}.conf"), &entry.id))
    };
    for (pattern, by) in [(chosen, "set-default"), (configured, "loader.conf")] {
        let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty() && !pattern.starts_with('@')) else {
            continue;
        };
        if let Some(entry) = named(pattern) {
            let why = format!("{pattern} is its default by {by}");
            return (Some(entry), pattern.contains('*'), why);
        }
    }
    (entries.first(), true, "its first entry is its default".to_owned())
}

/// By the names of the entries, in whatever letters they are.
fn names(pattern: &str, entry: &str) -> bool {
    matches(&pattern.to_lowercase(), &entry.to_lowercase())
}

/// What `loader.conf` names as its default.
pub fn configured_default(text: &str) -> Option<&str> {
    text.lines().rev().find_map(|line| {
        let (key, value) = line.trim().split_once(char::is_whitespace)?;
        (key == "default").then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(release: &str) -> Entry {
        // As kernel-install 252 of Debian 12 writes it.
        let text = format!(
            "title      Debian GNU/Linux 12 (bookworm)\nversion    {release}\nmachine-id 0123\nsort-key   debian\n\
             options    root=/dev/vda2 ro\nlinux      /0123/{release}/linux\ninitrd     /0123/{release}/initrd.img\n"
        );
        Entry::parse(&format!("0123-{release}.conf"), &text)
    }

    #[test]
    fn the_default_is_the_first_entry_or_what_is_set() {
        let all = ["6.1.0-50-amd64", "6.1.0-9-amd64", "6.1.0-56-amd64"].map(entry).to_vec();
        let rows = [
            (None, None, "6.1.0-56-amd64", true),
            (None, Some("0123-*"), "6.1.0-56-amd64", true),
            (None, Some("0123-6.1.0-50-amd64.conf"), "6.1.0-50-amd64", false),
            (None, Some("0123-6.1.0-50-amd64"), "6.1.0-50-amd64", false),
            (None, Some("@saved"), "6.1.0-56-amd64", true),
            (None, Some("gone.conf"), "6.1.0-56-amd64", true),
            (Some("0123-6.1.0-9-amd64.conf"), Some("0123-*"), "6.1.0-9-amd64", false),
        ];
        for (chosen, configured, release, follows) in rows {
            let mut entries = all.clone();
            sort(&mut entries);
            let (found, newest, why) = default(&entries, chosen, configured);
            assert_eq!(
                (found.unwrap().version.as_str(), newest),
                (release, follows),
                "{chosen:?} {configured:?}: {why}"
            );
        }
        assert_eq!(default(&[], None, None).0, None);
    }

    #[test]
    fn what_was_tried_in_vain_comes_last() {
        let mut broken = entry("6.1.0-56-amd64");
        (broken.id, broken.is_bad) = without_tries("0123-6.1.0-56-amd64+0-3.conf");
        let mut entries = [broken, entry("6.1.0-50-amd64")];
        sort(&mut entries);
        assert_eq!(entries[0].version, "6.1.0-50-amd64");
        for (file, id, is_bad) in [
            ("a+3.conf", "a.conf", false),
            ("a+0-3.efi", "a.efi", true),
            ("6.12.107+deb13-amd64.conf", "6.12.107+deb13-amd64.conf", false),
            ("plain", "plain", false),
        ] {
            assert_eq!(without_tries(file), (id.to_owned(), is_bad), "{file}");
        }
    }

    #[test]
    fn the_configuration_names_its_default() {
        for (text, default) in [
            ("timeout 3\ndefault 0123-*\n", Some("0123-*")),
            ("#default x\n", None),
            ("default-x y\n", None),
            ("", None),
        ] {
            assert_eq!(configured_default(text), default, "{text}");
        }
    }
}
