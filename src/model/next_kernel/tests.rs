//! One answer on the kernel of the next boot, for hosts of many kinds.

use super::*;
use crate::model::LoaderEntry;

const OLD: &str = "6.1.0-50-cloud-amd64";
const NEW: &str = "6.1.0-56-cloud-amd64";
const BUILT: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-06-30)";
const REBUILT: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.177-1 (2026-07-15)";

fn kernel(release: &str, version: &str) -> InstalledKernel {
    let version = (!version.is_empty()).then(|| version.to_owned());
    let release = release.to_owned();
    InstalledKernel { release, version, image_bytes: 8, initrd_bytes: Some(20), has_modules: true }
}

fn facts(installed: &[(&str, &str)], boots: BootSource) -> KernelFacts {
    KernelFacts {
        running: OLD.into(),
        running_version: BUILT.into(),
        installed: installed.iter().map(|(release, version)| kernel(release, version)).collect(),
        boots,
        ..KernelFacts::default()
    }
}

fn grub(release: &str, version: Option<&str>, follows_newest: bool) -> BootSource {
    let starts = LoaderEntry { release: release.into(), version: version.map(str::to_owned), lacks: Vec::new() };
    let why = "its first entry is its default".to_owned();
    BootSource::Loader(LoaderDefault { loader: "GRUB".into(), starts: Some(starts), follows_newest, why })
}

fn outside() -> BootSource {
    BootSource::Outside { why: "this is a container".into() }
}

fn plan(changes: &[(&str, &str)]) -> UpgradePlan {
    let change = |(name, to): &(&str, &str)| PackageChange {
        name: (*name).into(),
        action: PackageAction::Install,
        from: None,
        to: Some((*to).into()),
        origin: None,
    };
    UpgradePlan { changes: changes.iter().map(change).collect(), ..UpgradePlan::default() }
}

#[test]
fn the_next_kernel_is_that_of_who_starts_the_host() {
    use KernelChange::{Newer, Older, Rebuilt, Same};
    let both = &[(NEW, ""), (OLD, "")][..];
    let rows = [
        ("GRUB's first entry", both, grub(NEW, None, true), NEW, true, Newer),
        ("a pinned default", both, grub(OLD, None, false), OLD, true, Same),
        ("from the hypervisor", both, outside(), OLD, false, Same),
        (
            "the running kernel was purged",
            &[("6.1.0-42-cloud-amd64", "")],
            grub("6.1.0-42-cloud-amd64", None, true),
            "6.1.0-42-cloud-amd64",
            true,
            Older,
        ),
        ("a copy", both, grub("6.1.0-56-cloud-amd64.bak", None, true), "6.1.0-56-cloud-amd64.bak", true, Newer),
        (
            "another flavour of the same number",
            &[(OLD, ""), ("6.1.0-50-amd64", "")],
            grub("6.1.0-50-amd64", None, true),
            "6.1.0-50-amd64",
            true,
            Same,
        ),
        (
            "a newer one of another flavour",
            &[(OLD, ""), ("6.1.0-56-amd64", "")],
            grub("6.1.0-56-amd64", None, true),
            "6.1.0-56-amd64",
            true,
            Newer,
        ),
        ("no boot loader, two flavours", &[("6.1.0-56-amd64", ""), (OLD, "")], BootSource::Unknown, OLD, true, Same),
        ("no boot loader, a newer one", both, BootSource::Unknown, NEW, true, Newer),
        ("no kernel in /boot", &[], BootSource::Unknown, OLD, false, Same),
        ("built anew", &[(OLD, REBUILT)], grub(OLD, Some(REBUILT), true), OLD, true, Rebuilt),
        ("the same build", &[(OLD, BUILT)], grub(OLD, Some(BUILT), true), OLD, true, Same),
        ("an older build", &[(OLD, "6.1.170-1")], grub(OLD, Some("6.1.170-1"), true), OLD, true, Older),
    ];
    for (what, installed, boots, release, managed_here, change) in rows {
        let facts = facts(installed, boots);
        let next = next_kernel(&facts, false);
        assert_eq!((next.expected.as_str(), next.managed_here), (release, managed_here), "{what}: {next:?}");
        assert_eq!(kernel_change(&facts, &next), change, "{what}");
        assert!(!next.why.is_empty(), "{what}");
    }
}

#[test]
fn what_an_upgrade_makes_of_it() {
    let next = [("linux-image-6.1.0-56-cloud-amd64", "6.1.193-1")];
    let other_flavour = [("linux-image-6.1.0-56-amd64", "6.1.193-1")];
    let anew = [("linux-image-6.1.0-50-cloud-amd64:amd64", "6.1.177-1")];
    let older = [("linux-image-6.1.0-42-cloud-amd64", "6.1.159-1"), ("linux-image-cloud-amd64", "6.1.159-1")];
    let rows = [
        ("follows the newest", grub(OLD, None, true), &next[..], NEW, Some("6.1.193-1")),
        ("is pinned", grub(OLD, None, false), &next, OLD, None),
        ("is from outside", outside(), &next, OLD, None),
        ("GRUB takes any flavour", grub(OLD, None, true), &other_flavour, "6.1.0-56-amd64", Some("6.1.193-1")),
        ("we take the flavour that runs", BootSource::Unknown, &other_flavour, OLD, Some(BUILT)),
        ("the same release anew", grub(OLD, Some(BUILT), false), &anew, OLD, Some("6.1.177-1")),
        ("an older one comes", grub(OLD, Some(BUILT), true), &older, OLD, Some(BUILT)),
    ];
    for (what, boots, changes, release, version) in rows {
        let facts = facts(&[(OLD, BUILT)], boots);
        let next = next_kernel_after(&facts, &plan(changes), false);
        assert_eq!((next.expected.as_str(), next.version.as_deref()), (release, version), "{what}");
    }
    // Where the run has the boot loader try the newest one, no pin keeps it from that.
    let pinned = facts(&[(NEW, ""), (OLD, BUILT)], grub(OLD, None, false));
    assert_eq!(next_kernel(&pinned, true).expected, NEW);
    assert_eq!(next_kernel_after(&facts(&[(OLD, BUILT)], grub(OLD, None, false)), &plan(&next), true).expected, NEW);
}

#[test]
fn builds_of_one_release_are_compared_by_what_they_have_in_common() {
    for (left, right, order) in [
        (BUILT, BUILT, Some(Ordering::Equal)),
        (REBUILT, BUILT, Some(Ordering::Greater)),
        (BUILT, REBUILT, Some(Ordering::Less)),
        ("6.1.177-1", BUILT, Some(Ordering::Greater)),
        ("6.1.176-1", BUILT, Some(Ordering::Equal)),
        ("6.12.9-1~bpo12+1", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1~bpo12+1 (2025-01-19)", Some(Ordering::Equal)),
        // Of a build by hand, only that it is another one.
        ("#2 SMP Mon Nov 23", "#1 SMP Sun Nov 22", Some(Ordering::Greater)),
        ("#1 SMP Sun Nov 22", "#1 SMP Sun Nov 22", Some(Ordering::Equal)),
        // Ubuntu's version is not in `uname -v`.
        ("6.8.0-45.45", "#45-Ubuntu SMP PREEMPT_DYNAMIC Fri Aug 30 12:02:04 UTC 2024", None),
        ("6.1.177-1", "", None),
    ] {
        assert_eq!(compare_builds(left, right), order, "{left} {right}");
    }
    assert_eq!(short_version(BUILT), "6.1.176-1");
    assert_eq!(short_version("#1 SMP x "), "#1 SMP x");
}

#[test]
fn what_would_not_boot_is_told_of_the_next_kernel_and_of_no_other() {
    let mut broken = facts(&[(NEW, ""), (OLD, "")], grub(OLD, None, false));
    broken.installed[0].initrd_bytes = None;
    assert!(next_kernel_problems(&broken, &next_kernel(&broken, false)).is_empty());
    broken.boots = grub(NEW, None, true);
    assert_eq!(next_kernel_problems(&broken, &next_kernel(&broken, false)), ["it has no initrd, other kernels do"]);
    if let BootSource::Loader(LoaderDefault { starts: Some(entry), .. }) = &mut broken.boots {
        entry.release = "6.1.0-56-cloud-amd64.bak".into();
        entry.lacks = vec!["its image is gone".into()];
    }
    assert_eq!(next_kernel_problems(&broken, &next_kernel(&broken, false)), ["its image is gone"]);
    broken.boots = outside();
    assert!(next_kernel_problems(&broken, &next_kernel(&broken, false)).is_empty());
}

#[test]
fn what_starts_a_host_is_saved_and_read_back() {
    for boots in [BootSource::Unknown, outside(), grub(NEW, Some(BUILT), true)] {
        let seen = facts(&[(NEW, REBUILT)], boots);
        let plan = next_kernel(&seen, false);
        let text = serde_json::to_string(&(&seen, &plan)).unwrap();
        assert_eq!(serde_json::from_str::<(KernelFacts, KernelPlan)>(&text).unwrap(), (seen, plan));
    }
    let old = r#"{"running":"1","running_version":"","installed":[],"reboot_required":null,"vulnerabilities":[]}"#;
    assert_eq!(serde_json::from_str::<KernelFacts>(old).unwrap().boots, BootSource::Unknown);
    let old: KernelPlan = serde_json::from_str(r#"{"expected":"1","managed_here":true}"#).unwrap();
    assert_eq!((old.version, old.why.as_str()), (None, ""));
}
