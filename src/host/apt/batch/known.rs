//! What dpkg knows of packages that booting may need.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::super::{QUERY_TIMEOUT, below};
use super::TIMEOUT;
use super::log::Found;
use crate::host::HostResult;
use crate::host::command;
use crate::model::{KnownPackage, UpgradePlan, without_architecture};

const FORMAT: &str = "--showformat=${Package}\\t${db:Status-Status}\\t${Essential}\\t${Protected}\\t${Priority}\\t\
                      ${Pre-Depends}, ${Depends}\\t${Provides}\\n";

/// Who calls one of these makes an initrd, or what a boot loader reads.
const WORDS: [&str; 12] = [
    "update-initramfs",
    "mkinitramfs",
    "dracut",
    "update-grub",
    "grub-install",
    "grub-mkconfig",
    "kernel-install",
    "bootctl",
    "flash-kernel",
    "zipl",
    "u-boot-update",
    "depmod",
];

/// Who has files there has a say in them.
const PLACES: [&str; 7] = [
    "/boot/",
    "/usr/share/initramfs-tools/",
    "/etc/initramfs-tools/",
    "/usr/lib/dracut/",
    "/etc/grub.d/",
    "/etc/kernel/",
    "/usr/lib/kernel/",
];

pub(super) async fn installed(root: &Path) -> HostResult<Vec<KnownPackage>> {
    let admin_dir = format!("--admindir={}", below(root, "/var/lib/dpkg").display());
    let text = command::read_text(root, "dpkg-query", &[&admin_dir, "-W", FORMAT], QUERY_TIMEOUT).await?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<KnownPackage> {
    let mut packages = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[name, status, essential, protected, priority, depends, provides] = fields.as_slice() else { continue };
        if ["not-installed", "config-files"].contains(&status) {
            continue;
        }
        packages.push(KnownPackage {
            name: name.to_owned(),
            is_vital: essential == "yes" || protected == "yes" || priority == "required",
            depends: depends.split(',').map(|group| group.split('|').filter_map(name_of).collect()).collect(),
            provides: provides.split(',').filter_map(name_of).collect(),
        });
    }
    packages
}

/// Of `libc6:any (>= 2.36)`.
fn name_of(relation: &str) -> Option<String> {
    let name = relation.trim().split([' ', ':', '(']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Packages of the plan that have a say in an initrd or in a boot loader: by their files, or by what their scripts call,
/// as they are installed and as they will be. Triggers count as their scripts.
pub(super) async fn with_a_say_in_booting(
    root: &Path,
    plan: &UpgradePlan,
    new: &[Found],
) -> HostResult<BTreeSet<String>> {
    let pending: BTreeSet<&str> = plan.changes.iter().map(|change| without_architecture(&change.name)).collect();
    let mut also = BTreeSet::new();
    for entry in fs::read_dir(below(root, "/var/lib/dpkg/info")).into_iter().flatten().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some((stem, end)) = file.rsplit_once('.') else { continue };
        let name = without_architecture(stem);
        if !pending.contains(name) || !["list", "postinst", "triggers"].contains(&end) {
            continue;
        }
        // What cannot be read has a say.
        let has_a_say = fs::read(entry.path()).map_or(true, |text| {
            let text = String::from_utf8_lossy(&text).into_owned();
            if end == "list" { has_files_for_booting(&text) } else { calls_for_booting(&text) }
        });
        if has_a_say {
            also.insert(name.to_owned());
        }
    }
    for found in new {
        let file = found.path.display().to_string();
        // Fails where it has no such script.
        let script = command::read(root, "dpkg-deb", &["--info", &file, "postinst"], TIMEOUT).await?;
        if calls_for_booting(&String::from_utf8_lossy(&script.stdout)) {
            also.insert(without_architecture(&found.package).to_owned());
        }
    }
    Ok(also)
}

fn has_files_for_booting(list: &str) -> bool {
    list.lines().any(|path| PLACES.iter().any(|place| path.starts_with(place) && path.len() > place.len()))
}

fn calls_for_booting(script: &str) -> bool {
    WORDS.iter().any(|word| script.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_read_by_their_names() {
        let text = "apt\tinstalled\t\t\timportant\t, adduser, gpgv | gpgv2 (>= 2), libc6:any (>= 2.34)\tapt-transport-https (= 2.6)\n\
                    dash\tinstalled\tyes\t\trequired\tlibc6, \t\nold\tconfig-files\t\t\toptional\t, \t\nspoiled\n";
        let known = parse(text);
        assert_eq!(
            known.iter().map(|one| (one.name.as_str(), one.is_vital)).collect::<Vec<_>>(),
            [("apt", false), ("dash", true)]
        );
        assert_eq!(known[0].depends.concat(), ["adduser", "gpgv", "gpgv2", "libc6"]);
        assert_eq!(known[0].provides, ["apt-transport-https"]);
        crate::host::hostile::survives(&[text], |text| {
            let _ = parse(text);
        });
    }

    #[test]
    fn who_has_a_say_in_booting() {
        assert!(has_files_for_booting("/.\n/usr\n/usr/share/initramfs-tools/hooks/x\n"));
        assert!(!has_files_for_booting("/.\n/boot\n/usr/share/initramfs-tools/\n/usr/bin/x\n"));
        assert!(calls_for_booting("#!/bin/sh\nif true; then update-initramfs -u; fi\n"));
        assert!(!calls_for_booting("#!/bin/sh\nldconfig\n"));
    }
}
