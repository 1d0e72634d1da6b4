//! Which restart pays what, row by row.

use super::*;
use crate::model::PackageChange;

fn upgrade(names: &[&str]) -> UpgradePlan {
    let change = |name: &&str| PackageChange {
        name: (*name).into(),
        action: PackageAction::Upgrade,
        from: Some("1".into()),
        to: Some("2".into()),
        origin: None,
    };
    UpgradePlan { changes: names.iter().map(change).collect(), ..UpgradePlan::default() }
}

fn inputs<'a>(
    least: Restart,
    owed: &'a [BootReason],
    next: &'a KernelPlan,
    upgrade: &'a UpgradePlan,
) -> RestartInputs<'a> {
    let seen = Ok(KernelsSeen { owed, running: "6.1", next });
    RestartInputs { least, seen, upgrade, tries_kernel: false, builds_kernel: false, no_soft: None, no_kexec: None }
}

fn told(choice: &RestartChoice) -> String {
    choice.because.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What it shows, the least that is allowed, what is owed, what is upgraded, what hinders; the restart, and why.
type Case<'a> = (&'a str, Restart, Vec<BootReason>, &'a [&'a str], Option<SoftHindrance>, Restart, &'a str);

#[test]
fn what_is_owed_is_paid_by_the_least_that_is_allowed() {
    let text = |text: &str| text.to_owned();
    let upgraded = BootReason::Upgraded { package: text("libc6"), from: None };
    let old = BootReason::OldCode { by: text("dbus.service"), passing: false };
    let init = BootReason::OldCode { by: text("systemd (PID 1)"), passing: false };
    let passing = BootReason::OldCode { by: text("root on pts/0"), passing: true };
    let kernel = BootReason::Kernel { release: text("6.2"), running: text("6.1"), version: None, comes: false };
    let rebuilt =
        BootReason::Kernel { release: text("6.1"), running: text("6.1.1"), version: Some(text("6.1.2")), comes: true };
    let flag = BootReason::RebootRequired { packages: vec![text("libc6")] };
    let firmware = BootReason::RebootRequired { packages: vec![text("fwupd")] };
    let initrd = BootReason::ReadAtBoot { package: text("initramfs-tools"), from: None };
    let microcode = BootReason::Microcode { loaded: text("1"), installed: text("2") };
    let (soft, kexec, full) = (Restart::Soft, Restart::Kexec, Restart::Full);
    let programs = [upgraded.clone(), old.clone(), init];
    let with = |more: &BootReason| vec![old.clone(), more.clone()];
    let another = SoftHindrance::OtherRoot;
    let cases: Vec<Case> = vec![
        ("nobody allows less", full, programs.to_vec(), &[], None, full, ""),
        ("programs, systemd among them", soft, programs.to_vec(), &["libc6", "dbus"], None, soft, ""),
        ("programs, and no soft one is allowed", kexec, programs.to_vec(), &["libc6"], None, kexec, ""),
        ("a kernel", soft, with(&kernel), &[], None, kexec, "kernel 6.2 is installed, 6.1 runs"),
        ("a kernel, and no soft one is allowed", kexec, with(&kernel), &[], None, kexec, ""),
        (
            "one rebuilt",
            soft,
            with(&rebuilt),
            &[],
            None,
            kexec,
            "kernel 6.1 comes with the upgrade as 6.1.2, 6.1.1 runs",
        ),
        ("the flag", soft, with(&flag), &[], None, kexec, "/run/reboot-required is set (by libc6)"),
        ("the flag of a firmware", kexec, with(&firmware), &[], None, full, "/run/reboot-required is set (by fwupd)"),
        ("the initrd", soft, with(&initrd), &[], None, kexec, "upgraded: initramfs-tools"),
        ("microcode", soft, vec![microcode], &[], None, kexec, "the CPU has microcode 1, and 2 is installed"),
        ("nothing known", soft, vec![], &[], None, kexec, "what owes the reboot is not known"),
        ("nothing known, and no soft one is allowed", kexec, vec![], &[], None, kexec, ""),
        ("what passes", soft, vec![passing], &[], None, kexec, "what owes the reboot is not known"),
        (
            "modules",
            soft,
            programs.to_vec(),
            &["zfs-dkms", "linux-image-6.1-amd64"],
            None,
            kexec,
            "only the kernel reads what is upgraded of zfs-dkms",
        ),
        (
            "firmware and a boot loader",
            soft,
            programs.to_vec(),
            &["firmware-realtek:amd64", "grub-efi-amd64-signed", "shim-signed", "intel-microcode", "zfs-dkms"],
            None,
            full,
            "only the kernel reads what is upgraded of zfs-dkms; \
             only a full reboot reads what is upgraded of firmware-realtek, grub-efi-amd64-signed, shim-signed",
        ),
        (
            "the same, and no soft one is allowed",
            kexec,
            programs.to_vec(),
            &["grub-common", "zfs-dkms"],
            None,
            full,
            "only a full reboot reads what is upgraded of grub-common",
        ),
        (
            "an older systemd",
            soft,
            programs.to_vec(),
            &[],
            Some(SoftHindrance::NotCounted),
            kexec,
            "this systemd counts no soft reboots (256 and newer do)",
        ),
        (
            "another system",
            soft,
            programs.to_vec(),
            &[],
            Some(another),
            kexec,
            "/run/nextroot holds another system, which would be started",
        ),
    ];
    let no_kexec = KexecHindrance::NoTool;
    for (case, least, owed, packages, hindrance, restart, because) in cases {
        let (next, upgrade) = (KernelPlan::default(), upgrade(packages));
        let able = RestartInputs { no_soft: hindrance.as_ref(), ..inputs(least, &owed, &next, &upgrade) };
        let choice = least_restart(&able);
        assert_eq!((choice.restart, told(&choice).as_str()), (restart, because), "{case}");
        // Where no kernel can be loaded, the full one takes its place, and that is one reason more.
        let choice = least_restart(&RestartInputs { no_kexec: Some(&no_kexec), ..able });
        let (restart, because) = match (restart, because) {
            (Restart::Kexec, "") => (Restart::Full, "no kexec: kexec-tools is not installed".to_owned()),
            (Restart::Kexec, because) => (Restart::Full, format!("{because}; no kexec: kexec-tools is not installed")),
            (restart, because) => (restart, because.to_owned()),
        };
        assert_eq!((choice.restart, told(&choice)), (restart, because), "{case}, without kexec-tools");
    }
}

#[test]
fn another_kernel_than_the_one_that_runs_asks_for_a_boot_of_it() {
    let old = [BootReason::OldCode { by: "dbus.service".into(), passing: false }];
    for (expected, managed_here, restart) in
        [("6.1", true, Restart::Soft), ("6.0", true, Restart::Kexec), ("6.0", false, Restart::Soft)]
    {
        let next = KernelPlan { expected: expected.into(), managed_here, ..KernelPlan::default() };
        let choice = least_restart(&inputs(Restart::Soft, &old, &next, &UpgradePlan::default()));
        assert_eq!(choice.restart, restart, "{next:?}");
    }
}

#[test]
fn what_the_run_itself_does_with_kernels_asks_for_more_than_a_soft_one() {
    let old = [BootReason::OldCode { by: "dbus.service".into(), passing: false }];
    let (next, upgrade) = (KernelPlan::default(), UpgradePlan::default());
    let unknown = WhyMore::Unknown { why: "no answer".into() };
    for (seen, tries_kernel, builds_kernel, restart, because) in [
        (true, false, false, Restart::Soft, vec![]),
        (true, true, false, Restart::Full, vec![WhyMore::Trial]),
        (true, false, true, Restart::Kexec, vec![WhyMore::KernelBuilt]),
        (false, true, false, Restart::Full, vec![unknown, WhyMore::Trial]),
    ] {
        let inputs = RestartInputs { tries_kernel, builds_kernel, ..inputs(Restart::Soft, &old, &next, &upgrade) };
        let inputs = if seen { inputs } else { RestartInputs { seen: Err("no answer"), ..inputs } };
        let choice = least_restart(&inputs);
        assert_eq!((choice.restart, choice.because), (restart, because));
    }
}

#[test]
fn a_choice_is_saved_and_read_back() {
    let because = vec![
        WhyMore::Owed { reason: BootReason::RebootRequired { packages: Vec::new() } },
        WhyMore::Packages { names: vec!["zfs-dkms".into()] },
        WhyMore::Firmware { names: vec!["grub-pc".into()] },
        WhyMore::OtherKernel { release: "6.0".into() },
        WhyMore::Trial,
        WhyMore::NothingOwed,
        WhyMore::KernelBuilt,
        WhyMore::Host { hindrance: SoftHindrance::NotCounted },
        WhyMore::Host { hindrance: SoftHindrance::Unknown("no answer".into()) },
        WhyMore::Kexec { hindrance: KexecHindrance::NoTool },
        WhyMore::Kexec { hindrance: KexecHindrance::NotLoaded("no answer".into()) },
        WhyMore::Unknown { why: "no answer".into() },
    ];
    let by_kexec = RestartChoice { restart: Restart::Kexec, because: Vec::new() };
    for choice in [RestartChoice::default(), by_kexec, RestartChoice { restart: Restart::Full, because }] {
        let text = serde_json::to_string(&choice).unwrap();
        assert_eq!(serde_json::from_str::<RestartChoice>(&text).unwrap(), choice, "{text}");
    }
    assert!(RestartChoice::default().is_plain());
    assert!(Restart::Soft < Restart::Kexec && Restart::Kexec < Restart::Full);
}
