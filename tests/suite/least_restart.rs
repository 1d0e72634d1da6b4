//! `[reboot] least`: which restart a run asks for, and what it says of it.

use jiff::SignedDuration;
use patchday::config::RebootWhen;
use patchday::exit_code;
use patchday::model::{PackageChange, Phase, Restart, Run, Verdict};

use crate::fake_host::{Scenario, assert_in_service, ended};

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
