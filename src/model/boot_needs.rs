//! What of a host booting needs, and a repair of its packages: none of it may be lost in a power cut.

use std::collections::{BTreeMap, BTreeSet};

use super::{matches, without_architecture};

/// Packages by their names, with all that they depend on: what starts the host, what a repair runs, and the way in for
/// whoever must help it by hand. Beside them count: essential, protected and required packages, and what has a say in an
/// initrd or in a boot loader.
const ROOTS: [&str; 62] = [
    // the kernel, and what starts it
    "linux-image-*",
    "linux-modules-*",
    "dkms",
    "grub*",
    "shim-*",
    "efibootmgr",
    "extlinux",
    "syslinux*",
    "systemd-boot*",
    "flash-kernel",
    "u-boot-*",
    "zipl*",
    "s390-tools",
    "*-microcode",
    "firmware-*",
    // the initrd
    "initramfs-tools*",
    "dracut*",
    "klibc-utils",
    "busybox*",
    "kmod",
    "zstd",
    "cpio",
    // disks
    "mount",
    "util-linux*",
    "e2fsprogs",
    "xfsprogs",
    "btrfs-progs",
    "zfs*",
    "lvm2",
    "dmsetup",
    "mdadm",
    "cryptsetup*",
    "multipath-tools*",
    "open-iscsi",
    "nfs-common",
    // process 1, and what its services rest on
    "init",
    "systemd*",
    "udev",
    "dbus*",
    "libpam-*",
    "libnss-systemd",
    "policykit-1",
    "apparmor",
    "selinux-*",
    "policycoreutils",
    // dpkg, apt, and what their scripts run
    "dpkg",
    "apt",
    "debconf",
    "ucf",
    "adduser",
    "init-system-helpers",
    "perl-base",
    "python3-minimal",
    "python3",
    "patchday",
    // the way in
    "login",
    "bash",
    "openssh-server",
    "ifupdown*",
    "netplan*",
    "network-manager",
    "iproute2",
];

/// Built for a kernel by DKMS, by its package's own script: then the module is needed as the kernel is.
const HEADERS: [&str; 2] = ["linux-headers-*", "linux-kbuild-*"];

/// A package that is installed, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownPackage {
    pub name: String,
    /// dpkg does not let it go, or nothing works without it.
    pub is_vital: bool,
    /// What it depends on, each one of several.
    pub depends: Vec<Vec<String>>,
    pub provides: Vec<String>,
}

/// The names that booting needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootNeeds(BTreeSet<String>);

impl BootNeeds {
    /// Of these installed packages; `also` are those that have a say in an initrd or a boot loader.
    pub fn of(installed: &[KnownPackage], also: &BTreeSet<String>) -> Self {
        let is_named = |name: &str| ROOTS.iter().any(|pattern| matches(pattern, name));
        let mut by_name: BTreeMap<&str, Vec<&KnownPackage>> = BTreeMap::new();
        for package in installed {
            let names = std::iter::once(&package.name).chain(&package.provides);
            names.for_each(|name| by_name.entry(name.as_str()).or_default().push(package));
        }
        let has_dkms = by_name.contains_key("dkms");
        let is_root = |package: &&KnownPackage| {
            let name = package.name.as_str();
            let is_header = has_dkms && HEADERS.iter().any(|pattern| matches(pattern, name));
            package.is_vital || is_named(name) || also.contains(name) || is_header
        };
        let mut waiting: Vec<&KnownPackage> = installed.iter().filter(is_root).collect();
        // A new package is none of the installed ones.
        let mut needed: BTreeSet<String> = also.clone();
        let mut seen = BTreeSet::new();
        while let Some(package) = waiting.pop() {
            if !seen.insert(package.name.as_str()) {
                continue;
            }
            needed.insert(package.name.clone());
            // Which of several does the work, nobody knows: all that are there count.
            let names = package.depends.iter().flatten();
            waiting.extend(names.filter_map(|name| by_name.get(name.as_str())).flatten());
        }
        if has_dkms {
            needed.extend(HEADERS.map(str::to_owned));
        }
        Self(needed)
    }

    /// Whether a package is one of them; also one that is not installed yet.
    pub fn has(&self, package: &str) -> bool {
        let name = without_architecture(package);
        let is_named = ROOTS.iter().any(|pattern| matches(pattern, name));
        self.0.contains(name)
            || is_named
            || self.0.iter().any(|pattern| pattern.contains('*') && matches(pattern, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, depends: &[&str]) -> KnownPackage {
        let depends = depends.iter().map(|group| group.split('|').map(str::to_owned).collect()).collect();
        KnownPackage { name: name.into(), depends, ..KnownPackage::default() }
    }

    #[test]
    fn what_booting_needs_is_closed_over_dependencies_and_names_what_is_new() {
        let installed = [
            package("systemd", &["libcrypt1", "default-logind|logind"]),
            KnownPackage { provides: vec!["logind".into()], ..package("elogind", &["libelogind0"]) },
            package("libelogind0", &[]),
            package("libcrypt1", &["libc6"]),
            KnownPackage { is_vital: true, ..package("dash", &[]) },
            package("libc6", &[]),
            package("nginx", &["libpcre2", "libc6"]),
            package("libpcre2", &[]),
            package("bootsplash", &["libsplash"]),
            package("libsplash", &[]),
            package("linux-headers-1", &[]),
        ];
        let also = BTreeSet::from(["bootsplash".to_owned(), "new-splash".to_owned()]);
        let needs = BootNeeds::of(&installed, &also);
        for (name, is_needed) in [
            ("systemd", true),
            ("libcrypt1", true),
            ("libc6", true),
            ("libc6:i386", true),
            ("dash", true),
            ("elogind", true),
            ("libelogind0", true),
            ("nginx", false),
            ("libpcre2", false),
            ("bootsplash", true),
            ("libsplash", true),
            ("new-splash", true),
            ("linux-image-6.1.0-50-amd64", true),
            ("linux-headers-1", false),
            ("linux-headers-2", false),
        ] {
            assert_eq!(needs.has(name), is_needed, "{name}");
        }
        let with_dkms: Vec<_> = installed.into_iter().chain([package("dkms", &[])]).collect();
        let needs = BootNeeds::of(&with_dkms, &BTreeSet::new());
        assert!(needs.has("linux-headers-1") && needs.has("linux-headers-2"));
    }
}
