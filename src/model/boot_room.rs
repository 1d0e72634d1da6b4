//! Room in `/boot`, and which old kernels may go to make some.

use std::collections::BTreeMap;

use super::{InstalledKernel, KernelFacts, kernel_flavour};

/// What holds files in `/boot` and modules: those of Debian, and those that Ubuntu splits off.
const PACKAGES: [&str; 4] = ["linux-image-", "linux-image-unsigned-", "linux-modules-", "linux-modules-extra-"];

/// A `/boot` that a new kernel may not fit into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TightBoot {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that should be.
    pub wanted: u64,
    /// Releases that may go, the oldest first, and no more of them than are needed.
    pub dispensable: Vec<String>,
    /// The packages of these releases.
    pub packages: Vec<String>,
    /// Whether there is room enough without them.
    pub suffices: bool,
}

impl TightBoot {
    /// Looks whether `/boot` is tight; none if it has room, or holds no kernel.
    ///
    /// The running kernel stays, and so does the newest one. Of the older ones the newest stays too, and the newest of the
    /// same flavour, to fall back to. A kernel that no package owns is not ours to remove.
    pub fn look(facts: &KernelFacts, free: u64, installed: &BTreeMap<String, String>) -> Option<Self> {
        // A new initrd is written beside the old one before it replaces it.
        let wanted = facts.installed.iter().map(InstalledKernel::boot_bytes).max()? * 2;
        if free >= wanted {
            return None;
        }
        let mut tight = Self { free, wanted, dispensable: Vec::new(), packages: Vec::new(), suffices: false };
        let mut room = free;
        for kernel in dispensable(facts) {
            let packages = PACKAGES.iter().map(|prefix| format!("{prefix}{}", kernel.release));
            let packages: Vec<String> = packages.filter(|name| installed.contains_key(name)).collect();
            if room < wanted && !packages.is_empty() {
                room += kernel.boot_bytes();
                tight.dispensable.push(kernel.release.clone());
                tight.packages.extend(packages);
            }
        }
        tight.suffices = room >= wanted;
        Some(tight)
    }
}

/// The oldest first. Nothing where the kernel that runs is not among those in `/boot`: then it is not known who boots what.
fn dispensable(facts: &KernelFacts) -> impl Iterator<Item = &InstalledKernel> {
    let flavour = kernel_flavour(&facts.running);
    let at = facts.installed.iter().position(|kernel| kernel.release == facts.running);
    let older = at.map_or(&[][..], |at| &facts.installed[at + 1..]);
    let fallback = older.iter().find(|kernel| kernel_flavour(&kernel.release) == flavour);
    older.iter().skip(1).rev().filter(move |kernel| Some(*kernel) != fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn facts(running: &str, releases: &[&str]) -> KernelFacts {
        let kernel = |release: &&str| InstalledKernel {
            release: (*release).into(),
            version: None,
            image_bytes: 8 * MIB,
            initrd_bytes: Some(32 * MIB),
            has_modules: true,
        };
        let installed = releases.iter().map(kernel).collect();
        KernelFacts { running: running.into(), installed, ..KernelFacts::default() }
    }

    #[test]
    fn only_what_is_needed_goes_and_never_what_may_be_booted() {
        let all = ["6.1.0-9", "6.1.0-8", "6.1.0-7", "6.1.0-6", "6.1.0-5"];
        for (running, free, dispensable, suffices) in [
            ("6.1.0-9", 80, None, true),
            ("6.1.0-9", 50, Some(&["6.1.0-5"][..]), true),
            ("6.1.0-9", 10, Some(&["6.1.0-5", "6.1.0-6"]), true),
            // 9 runs, 8 is what it falls back to.
            ("6.1.0-9", 0, Some(&["6.1.0-5", "6.1.0-6"]), true),
            // 8 runs, 9 is new, 7 is what it falls back to.
            ("6.1.0-8", 10, Some(&["6.1.0-5", "6.1.0-6"]), true),
            ("6.1.0-7", 10, Some(&["6.1.0-5"]), false),
            ("6.1.0-5", 10, Some(&[]), false),
            ("6.1.0-99", 10, Some(&[]), false),
        ] {
            let facts = facts(running, &all);
            let installed = all.iter().map(|release| (format!("linux-image-{release}"), "1".to_owned())).collect();
            let tight = TightBoot::look(&facts, free * MIB, &installed);
            let told = tight.as_ref().map(|tight| tight.dispensable.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(told.as_deref(), dispensable, "{running}, {free} MiB free");
            assert!(tight.is_none_or(|tight| tight.suffices == suffices), "{running}, {free} MiB free");
        }
    }

    #[test]
    fn a_kernel_goes_with_all_its_packages_and_one_without_any_stays() {
        let facts =
            facts("6.8.0-9-generic", &["6.8.0-9-generic", "6.8.0-8-generic", "6.8.0-7-generic", "6.1.192-mine"]);
        let names =
            ["linux-image-unsigned-6.8.0-7-generic", "linux-modules-6.8.0-7-generic", "linux-modules-6.8.0-8-generic"];
        let installed = names.iter().map(|&name| (name.to_owned(), "1".to_owned())).collect();
        let tight = TightBoot::look(&facts, 60 * MIB, &installed).unwrap();
        assert_eq!(tight.dispensable, ["6.8.0-7-generic"]);
        assert_eq!(tight.packages, names[..2]);
        assert_eq!((tight.wanted, tight.suffices), (80 * MIB, true));
        assert_eq!(TightBoot::look(&KernelFacts::default(), 0, &installed), None);
    }
}
