//! What the next boot needs besides a kernel: headers and tools to build with, an entry of the boot loader, signatures.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{names_in, read_error, read_or_empty};
use crate::host::command::{self, below};
use crate::host::{HostResult, boot_menu};
use crate::model::{BootEntries, BootSurvey};

const GRUB: &str = "/boot/grub/grub.cfg";
const EXTLINUX: &str = "/boot/extlinux/extlinux.conf";
/// Entries of systemd-boot, and of GRUB where it reads them.
const LOADER_ENTRIES: [&str; 3] = ["/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries"];
/// The firmware's variable; four bytes of attributes, then one of value.
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// What `scripts/sign-file` of the kernel appends to a signed module.
const SIGNATURE: &[u8] = b"~Module signature appended~\n";
/// Where DKMS puts its modules, below `/lib/modules/RELEASE`.
const DKMS_DIRS: [&str; 2] = ["updates/dkms", "extra"];
const DKMS_TREE: &str = "/var/lib/dkms";
const INITRAMFS_TOOLS: [&str; 2] = ["update-initramfs", "dracut"];

pub(super) fn survey(root: &Path, running: &str, releases: &[String]) -> HostResult<BootSurvey> {
    let with_headers = releases.iter().filter(|release| below(root, &format!("/lib/modules/{release}/build")).exists());
    let mut unsigned_modules = Vec::new();
    for release in releases {
        unsigned_modules.extend(unsigned(root, release)?);
    }
    Ok(BootSurvey {
        with_headers: with_headers.cloned().collect(),
        initramfs_tool: INITRAMFS_TOOLS
            .iter()
            .find(|tool| command::find(root, tool).is_some())
            .map(|t| (*t).to_owned()),
        entries: entries(root, running, releases)?,
        secure_boot: fs::read(below(root, SECURE_BOOT)).ok().map(|value| value.get(4) == Some(&1)),
        without_source: without_source(root)?,
        unsigned_modules,
        reboots_on_panic: reboots_on_panic(&read_or_empty(&below(root, "/proc/cmdline"))?),
        reboot_required_since: changed(&below(root, "/run/reboot-required")),
    })
}

/// The last word counts; 0 is to stay.
fn reboots_on_panic(command_line: &str) -> bool {
    let mut values = command_line.split_whitespace().filter_map(|word| word.strip_prefix("panic="));
    values.next_back().is_some_and(|value| value.parse::<i64>().is_ok_and(|seconds| seconds != 0))
}

/// When a file was written last; none if there is none.
fn changed(path: &Path) -> Option<Timestamp> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok().and_then(|time| Timestamp::try_from(time).ok())
}

/// Which of the releases the boot loader has an entry for; none if no boot loader of ours is there. One that starts this
/// host alone counts: the menu of the one before it may still lie there. Where none is known to, all that lie there do.
fn entries(root: &Path, running: &str, releases: &[String]) -> HostResult<Option<BootEntries>> {
    if let Some((loader, known)) = boot_menu::entries_of_loader(root, running)? {
        let releases = releases.iter().filter(|release| known.contains(release)).cloned().collect();
        return Ok(Some(BootEntries { loader, releases }));
    }
    let mut texts: Vec<(&str, String)> = Vec::new();
    for (loader, path) in [("GRUB", GRUB), ("extlinux", EXTLINUX)] {
        let text = read_or_empty(&below(root, path))?;
        if !text.is_empty() {
            texts.push((loader, text));
        }
    }
    for dir in LOADER_ENTRIES {
        let dir = below(root, dir);
        for name in names_in(&dir)?.into_iter().filter(|name| name.ends_with(".conf")) {
            texts.push(("systemd-boot", read_or_empty(&dir.join(name))?));
        }
    }
    let Some((loader, _)) = texts.first() else { return Ok(None) };
    let loader = (*loader).to_owned();
    let has = |release: &&String| texts.iter().any(|(_, text)| mentions(text, release));
    Ok(Some(BootEntries { loader, releases: releases.iter().filter(has).cloned().collect() }))
}

/// Whether a configuration loads the kernel: `vmlinuz-6.1.0-5` must not be found in `vmlinuz-6.1.0-50`.
fn mentions(text: &str, release: &str) -> bool {
    let names = [format!("vmlinuz-{release}"), format!("/{release}/linux")];
    let ends = |rest: &str| rest.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '\'' | '"'));
    names.iter().any(|name| text.match_indices(name.as_str()).any(|(at, _)| ends(&text[at + name.len()..])))
}

/// DKMS itself does not tell where the link to a source leads nowhere.
fn without_source(root: &Path) -> HostResult<Vec<String>> {
    let all = dkms_sources(root)?.into_iter();
    Ok(all.filter(|(_, source)| !source.join("dkms.conf").is_file()).map(|(module, _)| module).collect())
}

/// Each version of each module, as in `zfs/2.1.11`, with the link to its source, which DKMS keeps below `NAME/VERSION`.
pub(super) fn dkms_sources(root: &Path) -> HostResult<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for name in names_in(&below(root, DKMS_TREE))? {
        let module = below(root, DKMS_TREE).join(&name);
        // Beside the versions lie files, and links to what is installed for a kernel.
        for version in names_in(&module).unwrap_or_default() {
            let source = module.join(&version).join("source");
            if source.symlink_metadata().is_ok() {
                found.push((format!("{name}/{version}"), source));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// DKMS's modules of a release without a signature. Compressed ones cannot be told, and are not.
fn unsigned(root: &Path, release: &str) -> HostResult<Vec<String>> {
    let mut found = Vec::new();
    for dir in DKMS_DIRS {
        let dir = below(root, &format!("/lib/modules/{release}/{dir}"));
        for name in names_in(&dir)?.into_iter().filter(|name| name.ends_with(".ko")) {
            let path = dir.join(&name);
            let bytes = fs::read(&path).map_err(|error| read_error(&path, &error))?;
            if !bytes.ends_with(SIGNATURE) {
                found.push(format!("{release}: {name}"));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree::write;

    #[test]
    fn an_empty_host_has_nothing_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let seen = survey(dir.path(), "", &["6.1.0-50-amd64".into()]).unwrap();
        assert_eq!(seen, BootSurvey::default());
    }

    #[test]
    fn headers_entries_and_signatures_are_told_by_release() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let releases = ["6.1.0-50-amd64".to_owned(), "6.1.0-5-amd64".to_owned()];
        write(root, "lib/modules/6.1.0-50-amd64/build/Makefile", b"");
        write(root, "usr/sbin/update-initramfs", b"");
        let grub = b"menuentry 'Debian' {\n linux /boot/vmlinuz-6.1.0-50-amd64 root=UUID=1 ro\n}\n";
        write(root, "boot/grub/grub.cfg", grub);
        write(root, SECURE_BOOT.trim_start_matches('/'), [6, 0, 0, 0, 1]);
        write(root, "lib/modules/6.1.0-50-amd64/updates/dkms/good.ko", b"ELF~Module signature appended~\n");
        write(root, "lib/modules/6.1.0-50-amd64/updates/dkms/bad.ko", b"ELF");
        write(root, "usr/src/good-1/dkms.conf", b"");
        for (version, source) in [("good/1", "good-1"), ("good/2", "good-2")] {
            write(root, &format!("var/lib/dkms/{version}/6.1.0-50-amd64/x86_64/log/make.log"), b"");
            let link = root.join(format!("var/lib/dkms/{version}/source"));
            std::os::unix::fs::symlink(root.join("usr/src").join(source), link).unwrap();
        }
        std::os::unix::fs::symlink("1/6.1.0-50-amd64", root.join("var/lib/dkms/good/kernel-6.1.0-50-amd64")).unwrap();
        let seen = survey(root, "", &releases).unwrap();
        assert_eq!(seen.without_source, ["good/2"]);
        assert_eq!(seen.with_headers, releases[..1]);
        assert_eq!(seen.initramfs_tool.as_deref(), Some("update-initramfs"));
        assert_eq!(seen.entries, Some(BootEntries { loader: "GRUB".into(), releases: releases[..1].to_vec() }));
        assert_eq!(seen.secure_boot, Some(true));
        assert_eq!(seen.unsigned_modules, ["6.1.0-50-amd64: bad.ko"]);
    }

    /// After a change of boot loaders the menu of the one before is written no more.
    #[test]
    fn an_old_menu_of_grub_counts_for_nothing_where_unified_images_are_started() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let releases = ["6.1.0-57-amd64", "6.1.0-50-amd64"].map(str::to_owned);
        for release in &releases {
            write(root, &format!("boot/vmlinuz-{release}"), b"image");
            write(root, &format!("boot/efi/EFI/Linux/debian-{release}.efi"), b"unified");
        }
        write(root, "boot/grub/grub.cfg", b"menuentry 'Debian' {\n linux /boot/vmlinuz-6.1.0-40-amd64 ro\n}\n");
        write(root, "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", b"\x06\0\0\0s\0");
        write(root, "proc/cmdline", b"root=/dev/vda2 ro");
        let seen = survey(root, "6.1.0-50-amd64", &releases).unwrap().entries.unwrap();
        assert_eq!((seen.loader.as_str(), seen.releases.as_slice()), ("systemd-boot", &releases[..]));
        // The image of the newer one was not made.
        fs::remove_file(root.join("boot/efi/EFI/Linux/debian-6.1.0-57-amd64.efi")).unwrap();
        let seen = survey(root, "6.1.0-50-amd64", &releases).unwrap().entries.unwrap();
        assert_eq!(seen.releases, releases[1..]);
    }
}
