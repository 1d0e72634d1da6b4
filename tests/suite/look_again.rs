//! What changes between the preflight and the first stop is found while the services still run.

use crate::ahead::with_new_kernel;
use crate::fake_host::{API, Scenario, World, ended};
use jiff::SignedDuration;
use patchday::config::StopOrder;
use patchday::exit_code;
use patchday::model::{Outcome, Phase, Step};

/// What went wrong, how, and what the end of the run must say.
type Case = (&'static str, fn(&mut World), &'static str);

const CASES: [Case; 6] = [
    ("somebody's dpkg was interrupted", |world| world.dpkg_broken = vec!["iF lab".into()], "dpkg-clean"),
    ("a user of the statoverride is gone", |world| world.dpkg_refuses = Some("there is no user x"), "dpkg-begins"),
    ("the disk has filled up", |world| world.disk_free = Some(1 << 20), "disk-space"),
    (
        "somebody removed the kernel that runs",
        |world| (world.kernel, world.kernels) = ("6.1.0-42-amd64", vec!["6.1.0-41-amd64"]),
        "next-kernel",
    ),
    ("reboot.target was masked", |world| world.masked = Some("reboot.target"), "reboot-begins"),
    ("and what it needs", |world| world.masked = Some("systemd-reboot.service"), "reboot-begins"),
];

#[test]
fn without_a_reboot_nobody_needs_to_be_able_to_reboot() {
    let mut scenario = Scenario::new();
    scenario.options.no_reboot = true;
    scenario.world().masked = Some("reboot.target");
    let (_, run) = scenario.run_to_end();
    assert!(run.has_finished(&Step::LookAgain), "{:?}", run.phase);
}

#[test]
fn what_has_become_wrong_since_the_preflight_ends_the_run_untouched() {
    for order in [StopOrder::StopFirst, StopOrder::LateStop] {
        for (name, change, says) in CASES {
            let mut scenario = Scenario::new();
            scenario.settings.upgrade.order = order;
            scenario.world().then = Some(("download", change));
            let (end, run) = scenario.run_to_end();
            assert_eq!(ended(&end), exit_code::UNTOUCHED, "{name}");
            let Phase::Failed { step: Step::LookAgain, reason } = &run.phase else { panic!("{name}: {:?}", run.phase) };
            assert!(reason.contains(says), "{name}: {reason}");
            assert!(run.checks.iter().any(|check| check.label == says && check.finding.is_some()), "{name}");
            let world = scenario.world();
            let touched = [format!("stop {API}"), "upgrade began".to_owned()];
            assert!(!world.effects.iter().any(|effect| touched.contains(effect)), "{name}: {:?}", world.effects);
        }
    }
}

#[test]
fn what_was_allowed_before_is_allowed_again() {
    let mut scenario = Scenario::new();
    scenario.options.allowed_checks.push("dpkg-clean".into());
    scenario.world().then = Some(("download", |world| world.dpkg_broken = vec!["iF lab".into()]));
    let (_, run) = scenario.run_to_end();
    assert!(run.has_finished(&Step::LookAgain), "{:?}", run.phase);
}

#[test]
fn packages_that_were_fetched_and_are_gone_are_fetched_again_before_the_stop() {
    for emptied_by in ["download", "ahead"] {
        let scenario = with_new_kernel();
        scenario.world().then = Some((emptied_by, |world| world.cache_is_empty = true));
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{emptied_by}: {:?}", run.phase);
        let world = scenario.world();
        let position = |effect: &str| world.effects.iter().rposition(|other| other == effect).unwrap();
        assert_eq!(world.effects_of("download ended"), 2, "{emptied_by}");
        assert!(position("download ended") < position("stop api.service"), "{emptied_by}");
    }
}

#[test]
fn a_cache_that_keeps_nothing_ends_the_run_untouched() {
    let scenario = Scenario::new();
    scenario.world().cache_is_emptied_by = Some("download");
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::UNTOUCHED, "{:?}", run.phase);
    assert!(matches!(&run.phase, Phase::Failed { reason, .. } if reason.contains("something empties it")));
}

#[test]
fn whoever_has_apts_locks_by_then_is_waited_for_with_the_services_up() {
    let scenario = with_new_kernel();
    scenario.world().then =
        Some(("ahead", |world| world.locked_until = Some(world.now + SignedDuration::from_secs(45))));
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let look = run.last_record(&Step::LookAgain).unwrap();
    assert_eq!(look.outcome, Outcome::Succeeded);
    let took = look.ended.duration_since(look.attempt.began);
    assert!(took >= SignedDuration::from_secs(30), "{took:#}");
}
