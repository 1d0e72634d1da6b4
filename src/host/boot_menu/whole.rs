//! What the boot loader would start, in full: for whoever starts it without the boot loader.

use std::path::{Path, PathBuf};

use super::{GRUB_ENVIRONMENT, Loader, Seen, grub, read};
use crate::host::HostResult;
use crate::host::command::below;

/// An entry of a boot loader, as the kernel gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct WholeEntry {
    /// The kernel's, as `uname -r` would say it.
    pub release: String,
    /// Files of this host.
    pub image: PathBuf,
    pub initrd: Option<PathBuf>,
    /// As the boot loader gives it, `BOOT_IMAGE=` in front: by that it is known on the next boot what starts this host.
    pub command_line: String,
}

/// The kernel of x86 keeps no more (`COMMAND_LINE_SIZE`, with the zero at its end).
const LONGEST_LINE: usize = 2047;

/// What means something to GRUB's own shell: its value, or where a word ends, would be a guess.
const OF_THE_SHELL: &str = "$\\'\"`;&|<>{}#";

/// What would be started, or why that is not known in full.
///
/// # Errors
///
/// As [`super::source`].
pub fn whole_entry(root: &Path, running: &str) -> HostResult<Result<WholeEntry, String>> {
    let seen = Seen::look(root, running)?;
    Ok(match (seen.loader(), &seen.grub) {
        (Some(Loader::Grub), Some(menu)) => {
            let environment = read(&below(root, GRUB_ENVIRONMENT))?.unwrap_or_default();
            seen.whole(&menu.default(&grub::environment(&environment)), menu.has_initrds())
        }
        (Some(_), _) => Err("only GRUB's menu is read for it".to_owned()),
        (None, _) => Err("no boot loader is known".to_owned()),
    })
}

impl Seen<'_> {
    fn whole(&self, default: &grub::Default<'_>, others_have_initrd: bool) -> Result<WholeEntry, String> {
        let Some(started) = &default.starts else { return Err(format!("GRUB: {}", default.why)) };
        if default.once {
            // It would be started once more by the next boot.
            return Err(format!("GRUB: {}", default.why));
        }
        let entry = self.entry(started, others_have_initrd);
        if !entry.lacks.is_empty() {
            return Err(entry.lacks.join(", "));
        }
        let Some(image) = self.locate(started.image) else { return Err(format!("{} is gone", started.image)) };
        let initrd = match started.initrds {
            [] => None,
            [only] => Some(self.locate(only).ok_or_else(|| format!("{only} is gone"))?),
            several => return Err(format!("its entry loads {} initrds", several.len())),
        };
        let options = default.options.ok_or("its entry has several lines that start a kernel")?;
        let command_line = format!("BOOT_IMAGE={} {options}", started.image).trim_end().to_owned();
        if command_line.len() > LONGEST_LINE {
            return Err(format!("its command line is longer than {LONGEST_LINE} characters"));
        }
        let is_plain = |letter: char| (letter == ' ' || letter.is_ascii_graphic()) && !OF_THE_SHELL.contains(letter);
        if let Some(word) = command_line.split(' ').find(|word| !word.chars().all(is_plain)) {
            return Err(format!("GRUB's shell makes something of a word on its command line, {word}"));
        }
        Ok(WholeEntry { release: entry.release, image, initrd, command_line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree;

    const DEBIAN_12: &str = include_str!("../../../tests/fixtures/grub/debian-12.cfg");
    const OLD: &str = "6.1.0-50-cloud-amd64";
    const NEW: &str = "6.1.0-56-cloud-amd64";

    /// A host that GRUB has started with [`OLD`].
    fn host(menu: &str, grubenv: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let line = format!("BOOT_IMAGE=/boot/vmlinuz-{OLD} root=UUID=1 ro quiet\n");
        for (path, text) in [("boot/grub/grub.cfg", menu), ("boot/grub/grubenv", grubenv), ("proc/cmdline", &line)] {
            tree::write(dir.path(), path, text);
        }
        for kernel in [OLD, NEW] {
            tree::write(dir.path(), &format!("boot/vmlinuz-{kernel}"), "image");
            tree::write(dir.path(), &format!("boot/initrd.img-{kernel}"), "initrd");
        }
        dir
    }

    #[test]
    fn the_entry_that_grub_would_start_is_told_in_full() {
        for (grubenv, release) in [("", NEW), ("saved_entry=1>2\n", OLD)] {
            let host = host(DEBIAN_12, grubenv);
            let entry = whole_entry(host.path(), OLD).unwrap().unwrap();
            assert_eq!(entry.release, release);
            assert_eq!(entry.image, host.path().join(format!("boot/vmlinuz-{release}")));
            assert_eq!(entry.initrd, Some(host.path().join(format!("boot/initrd.img-{release}"))));
            let begins = format!("BOOT_IMAGE=/boot/vmlinuz-{release} root=");
            assert!(entry.command_line.starts_with(&begins), "{}", entry.command_line);
            assert!(!entry.command_line.contains("single"), "{}", entry.command_line);
        }
    }

    #[test]
    fn what_is_not_known_in_full_is_not_started() {
        let told = |options: &str| {
            let text = DEBIAN_12.lines().map(|line| match line.trim().strip_prefix("linux") {
                Some(rest) => format!("linux {} {options}\n", rest.split_whitespace().next().unwrap()),
                None => format!("{line}\n"),
            });
            text.collect::<String>()
        };
        let again = format!("\tlinux /boot/vmlinuz-{NEW} single\n\tinitrd");
        let two = DEBIAN_12.replace("\tinitrd", &again);
        let initrds = DEBIAN_12.replace("initrd.img-", "initrd.img-x /boot/initrd.img-");
        let long = "x".repeat(LONGEST_LINE);
        for (menu, grubenv, why) in [
            (told("ro $vt_handoff"), "", "a word on its command line, $vt_handoff"),
            (told("ro dyndbg=\\\"file\\\""), "", "GRUB's shell"),
            (told("ro \u{e4}"), "", "GRUB's shell"),
            (told(&long), "", "is longer than"),
            (two, "", "several lines that start a kernel"),
            (initrds, "", "its initrd /boot/initrd.img-x is gone"),
            (DEBIAN_12.to_owned(), "next_entry=1>2\n", "it takes 1>2 once"),
            (DEBIAN_12.replace("vmlinuz-", "vmlinuz-gone-"), "", "is gone"),
            ("menuentry 'Windows' {\n chainloader x\n}\n".to_owned(), "", "no boot loader is known"),
        ] {
            let host = host(&menu, grubenv);
            let told = whole_entry(host.path(), OLD).unwrap().unwrap_err();
            assert!(told.contains(why), "{why}: {told}");
        }
        let plain = host(&told("ro"), "");
        assert_eq!(
            whole_entry(plain.path(), OLD).unwrap().unwrap().command_line,
            format!("BOOT_IMAGE=/boot/vmlinuz-{NEW} ro")
        );
    }

    #[test]
    fn spoiled_text_is_survived() {
        let host = host(DEBIAN_12, "");
        crate::host::hostile::survives(&[DEBIAN_12], |text| {
            tree::write(host.path(), "boot/grub/grub.cfg", text);
            if let Ok(Ok(entry)) = whole_entry(host.path(), OLD) {
                assert!(entry.command_line.is_ascii() && entry.command_line.len() <= LONGEST_LINE);
            }
        });
    }
}
