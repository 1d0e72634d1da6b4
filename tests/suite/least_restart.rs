//! `[reboot] least`: which restart a run asks for, and what it says of it.

use jiff::SignedDuration;
use patchday::config::{OnFailure, RebootWhen};
use patchday::exit_code;
use patchday::model::{Change, KexecHindrance, PackageChange, Phase, Restart, Run, Verdict};

use crate::fake_host::{Scenario, assert_in_service, ended};

/// A host that can do all three, of which no soft one is allowed.
fn by_kexec() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.reboot.least = Restart::Kexec;
    scenario.world().no_kexec = None;
    scenario
}

fn softly() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.reboot.least = Restart::Soft;
    scenario
}

fn because(run: &Run) -> Vec<String> {
    run.restart.because.iter().map(ToString::to_string).collect()
}

#[test]
fn programs_alone_are_paid_by_a_soft_reboot() {
    let scenario = softly();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE);
    assert_eq!((&run.phase, run.restarted(), &run.boot), (&Phase::Verified, Some(Restart::Soft), &run.first_boot));
    assert_eq!((run.reboots, run.soft_reboots, run.unplanned_reboots), (1, 0, 0));
    assert_eq!(run.verification.as_ref().unwrap().verdict, Verdict::Healthy);
    assert!(run.owed.is_empty() && !run.reboot_reasons.is_empty() && because(&run).is_empty(), "{run:?}");
    assert_in_service(&scenario, "after a soft reboot");
    let world = scenario.world();
    assert_eq!((world.effects_of("soft reboot"), world.effects_of("reboot"), world.boots), (1, 0, 1));
    assert_eq!(world.soft_reboots, Some(1));
}

type Case = (&'static str, fn(&mut Scenario), &'static str);

const FULL: [Case; 4] = [
    ("nobody allows less", |scenario| scenario.settings.reboot.least = Restart::Full, ""),
    ("a systemd that does not count", |scenario| scenario.world().soft_reboots = None, "this systemd counts no soft"),
    (
        "nothing known owes it",
        |scenario| {
            scenario.settings.reboot.when = RebootWhen::Always;
            scenario.world().pending.retain(|change| change.name != "libc6");
        },
        "what owes the reboot is not known",
    ),
    ("microcode", |scenario| upgrade(scenario, "intel-microcode"), "upgraded: intel-microcode"),
];

fn upgrade(scenario: &Scenario, name: &str) {
    let like = scenario.world().pending[0].clone();
    scenario.world().pending.push(PackageChange { name: name.into(), ..like });
}

#[test]
fn everything_else_is_paid_by_a_full_one_and_the_run_says_why() {
    for (case, arrange, why) in FULL {
        let mut scenario = softly();
        arrange(&mut scenario);
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{case}: {:?}", run.phase);
        assert_eq!((run.restart.restart, run.restarted()), (Restart::Full, Some(Restart::Full)), "{case}");
        assert_eq!(because(&run).is_empty(), why.is_empty(), "{case}");
        assert!(because(&run).concat().starts_with(why), "{case}: {:?}", because(&run));
        assert_eq!(scenario.world().effects_of("reboot"), 1, "{case}");
        let noted = run.checks.iter().any(|check| check.label == "least-restart" && check.finding.is_some());
        assert_eq!(noted, why.contains("counts no soft"), "{case}");
    }
}

#[test]
fn a_soft_reboot_that_hangs_is_taken_back() {
    let scenario = softly();
    scenario.world().reboot_hangs = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_REBOOTED, "{:?}", run.phase);
    assert_in_service(&scenario, "after a soft reboot that hangs");
    assert_eq!((scenario.world().effects_of("shutdown taken back"), run.restarted()), (1, None));
}

#[test]
fn one_that_hangs_is_forced_in_full_where_that_is_wanted() {
    let mut scenario = softly();
    scenario.settings.reboot.force_after = Some(SignedDuration::from_mins(8));
    scenario.world().reboot_hangs = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!((run.restart.restart, run.restarted()), (Restart::Soft, Some(Restart::Full)));
}

#[test]
fn a_request_that_is_lost_is_made_again_for_the_same() {
    for lost in [1, 2] {
        let scenario = softly();
        scenario.world().lost_requests = lost;
        let (end, run) = scenario.run_to_end();
        assert_eq!((ended(&end), run.restarted()), (exit_code::DONE, Some(Restart::Soft)), "{:?}", run.phase);
        assert_eq!(scenario.world().boots, 1, "{lost}");
    }
}

fn bring_a_new_kernel(scenario: &Scenario) {
    let mut world = scenario.world();
    world.kernels = vec!["6.1.0-42-amd64"];
    world.new_kernel = Some("6.1.0-50-amd64");
}

#[test]
fn a_new_kernel_is_started_by_kexec() {
    let scenario = by_kexec();
    bring_a_new_kernel(&scenario);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(
        (&run.phase, run.restart.restart, run.restarted()),
        (&Phase::Verified, Restart::Kexec, Some(Restart::Kexec))
    );
    assert!(because(&run).is_empty() && run.boot != run.first_boot && run.changes.is_empty(), "{run:?}");
    assert_eq!(run.verification.as_ref().unwrap().verdict, Verdict::Healthy);
    assert_in_service(&scenario, "after a reboot by kexec");
    let world = scenario.world();
    assert_eq!((world.effects_of("reboot by kexec"), world.effects_of("reboot"), world.boots), (1, 0, 2));
    assert_eq!((world.kernel, run.verification.unwrap().kernel.as_str()), ("6.1.0-50-amd64", "6.1.0-50-amd64"));
}

#[test]
fn a_soft_one_that_does_not_do_is_one_by_kexec() {
    let mut scenario = by_kexec();
    scenario.settings.reboot.least = Restart::Soft;
    upgrade(&scenario, "intel-microcode");
    let (end, run) = scenario.run_to_end();
    assert_eq!((ended(&end), run.restarted()), (exit_code::DONE, Some(Restart::Kexec)), "{:?}", run.phase);
    assert_eq!(because(&run), ["upgraded: intel-microcode"]);
}

const NOT_BY_KEXEC: [Case; 4] = [
    (
        "no kexec-tools",
        |scenario| scenario.world().no_kexec = Some(KexecHindrance::NoTool),
        "no kexec: kexec-tools is not installed",
    ),
    (
        "a kernel that is locked down",
        |scenario| scenario.world().kexec_refuses = true,
        "no kexec: the kernel could not be loaded: load kernel",
    ),
    (
        "a boot loader is upgraded",
        |scenario| upgrade(scenario, "grub-pc"),
        "only a full reboot reads what is upgraded of grub-pc",
    ),
    (
        "a kernel on trial",
        |scenario| {
            scenario.settings.verify.on_failure = OnFailure::PreviousKernel;
            bring_a_new_kernel(scenario);
        },
        "a kernel is tried, which the boot loader starts",
    ),
];

#[test]
fn where_it_cannot_be_it_is_a_full_one_and_the_run_says_why() {
    for (case, arrange, why) in NOT_BY_KEXEC {
        let mut scenario = by_kexec();
        arrange(&mut scenario);
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{case}: {:?} {:?}", run.phase, run.verification);
        assert_eq!((run.restart.restart, run.restarted()), (Restart::Full, Some(Restart::Full)), "{case}");
        assert!(because(&run).concat().starts_with(why), "{case}: {:?}", because(&run));
        let world = scenario.world();
        assert_eq!((world.effects_of("reboot"), &world.loaded_kernel, world.by_kexec), (1, &None, false), "{case}");
        let noted = run.checks.iter().any(|check| check.label == "least-restart" && check.finding.is_some());
        assert_eq!(noted, why.contains("not installed"), "{case}");
    }
}

#[test]
fn a_kernel_is_not_left_loaded_by_a_reboot_that_does_not_come() {
    type Arrange = fn(&mut Scenario);
    let cases: [(&str, Arrange); 2] = [
        ("it hangs", |scenario| scenario.world().reboot_hangs = true),
        ("it is refused", |scenario| scenario.world().reboot_is_refused = true),
    ];
    for (case, arrange) in cases {
        let mut scenario = by_kexec();
        arrange(&mut scenario);
        let (end, run) = scenario.run_to_end();
        assert_eq!((ended(&end), run.restarted()), (exit_code::NOT_REBOOTED, None), "{case}: {:?}", run.phase);
        assert_in_service(&scenario, case);
        assert!(!run.changes.contains(&Change::KernelLoaded), "{case}");
        let world = scenario.world();
        assert!(world.loaded_kernel.is_none() && world.moments.contains_key("kernel unloaded"), "{case}");
    }
}

#[test]
fn one_by_kexec_that_is_forced_is_a_full_one() {
    let mut scenario = by_kexec();
    scenario.settings.reboot.force_after = Some(SignedDuration::from_mins(8));
    scenario.world().reboot_hangs = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!((run.restart.restart, run.restarted()), (Restart::Kexec, Some(Restart::Full)));
}

#[test]
fn a_request_for_kexec_that_is_lost_is_made_again_for_the_same() {
    for lost in [1, 2] {
        let scenario = by_kexec();
        scenario.world().lost_requests = lost;
        let (end, run) = scenario.run_to_end();
        assert_eq!((ended(&end), run.restarted()), (exit_code::DONE, Some(Restart::Kexec)), "{:?}", run.phase);
        assert_eq!(scenario.world().boots, 2, "{lost}");
    }
}
