//! A new kernel is tried before it is trusted, on a host in memory: kept, left, and never left on trial, whatever moment the
//! coordinator is killed or the power is cut at.

use crate::fake_host::{Fault, MONGOD, Scenario, World, assert_in_service, ended};
use patchday::config::OnFailure;
use patchday::coordinator::RunEnd;
use patchday::exit_code;
use patchday::model::{Run, Verdict};

const OLD: &str = "6.1.0-42-amd64";
const NEW: &str = "6.1.0-50-amd64";

/// What a new kernel may do on its trial.
#[test]
fn a_kernel_on_trial_is_kept_where_the_host_is_well_under_it_and_left_where_it_is_not() {
    let left = Some(OLD.to_owned());
    /// The kernel, what it does, which kernel runs in the end, and which is the default.
    type Case = (&'static str, fn(&mut World), &'static str, Option<String>, u32, Verdict, u8);
    let cases: [Case; 4] = [
        ("is good", |_| {}, NEW, None, 1, Verdict::Healthy, exit_code::DONE),
        ("panics", |world| world.panics = Some(NEW), OLD, left.clone(), 1, Verdict::Degraded, exit_code::NOT_VERIFIED),
        (
            "breaks the database",
            |world| world.breaks_under = Some((NEW, MONGOD)),
            OLD,
            left.clone(),
            2,
            Verdict::Degraded,
            exit_code::NOT_VERIFIED,
        ),
        // Then it was not the kernel: once back is enough.
        (
            "is not to blame",
            |world| world.break_on_boot = vec![MONGOD],
            OLD,
            left,
            2,
            Verdict::Failed,
            exit_code::NOT_VERIFIED,
        ),
    ];
    for (kernel, breaks, runs, default, reboots, verdict, code) in cases {
        let mut scenario = Scenario::new();
        scenario.settings.verify.on_failure = OnFailure::PreviousKernel;
        scenario.world().kernels = vec![OLD];
        scenario.world().new_kernel = Some(NEW);
        breaks(&mut scenario.world());
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), code, "{kernel}: {:?}", run.phase);
        let verification = run.verification.as_ref().unwrap();
        assert_eq!((verification.verdict, verification.kernel.as_str()), (verdict, runs), "{kernel}");
        assert_eq!(run.reboots, reboots, "{kernel}");
        assert!(run.changes.is_empty(), "{kernel}: {:?}", run.changes);
        let world = scenario.world();
        assert_eq!((world.kernel, &world.default_kernel, &world.next_kernel), (runs, &default, &None), "{kernel}");
        let told = verification.findings.iter().find(|finding| finding.key == "kernel-fell-back");
        assert_eq!(told.is_some(), runs == OLD, "{kernel}: {:?}", verification.findings);
        assert_eq!(run.rejected_kernel.is_some(), reboots == 2, "{kernel}");
        if let (Some(finding), Some(rejected)) = (told, &run.rejected_kernel) {
            assert!(rejected.because.starts_with(MONGOD), "{rejected:?}");
            assert!(finding.evidence[0].contains(&rejected.because), "{finding:?}");
        }
    }
}

#[test]
fn no_kernel_is_tried_where_that_is_not_wanted_or_cannot_be() {
    for (wanted, refuses, code, reboots) in
        [(false, false, exit_code::DONE, 1), (true, true, exit_code::NOT_REBOOTED, 0)]
    {
        let mut scenario = Scenario::new();
        scenario.options.allowed_checks = vec!["one-shot-boot".into()];
        if wanted {
            scenario.settings.verify.on_failure = OnFailure::PreviousKernel;
        }
        scenario.world().kernels = vec!["6.1.0-42-amd64"];
        scenario.world().new_kernel = Some("6.1.0-50-amd64");
        scenario.world().boot_loader_refuses = refuses;
        let (end, run) = scenario.run_to_end();
        assert_eq!((ended(&end), run.reboots), (code, reboots), "{:?}", run.phase);
        assert_eq!(scenario.world().default_kernel, None);
        assert_eq!(scenario.world().unit(MONGOD).active, "active");
    }
}

#[test]
fn a_reboot_that_does_not_come_takes_the_trial_back() {
    let mut scenario = Scenario::new();
    scenario.settings.verify.on_failure = OnFailure::PreviousKernel;
    scenario.world().kernels = vec!["6.1.0-42-amd64"];
    scenario.world().new_kernel = Some("6.1.0-50-amd64");
    scenario.world().reboot_hangs = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_REBOOTED, "{:?}", run.phase);
    let world = scenario.world();
    assert_eq!((&world.default_kernel, &world.next_kernel), (&None, &None));
    assert!(run.changes.is_empty(), "{:?}", run.changes);
}

/// With a new kernel that is tried before it is trusted.
fn with_kernel_on_trial(point: u32, fault: Fault) -> Scenario {
    let mut scenario = Scenario::new().crash_at(point, fault);
    scenario.settings.verify.on_failure = OnFailure::PreviousKernel;
    scenario.world().kernels = vec![OLD];
    scenario.world().kernel = OLD;
    scenario.world().new_kernel = Some(NEW);
    scenario
}

/// Where walks through a trial start: what comes before is a run as any other.
fn trial_begins() -> u32 {
    let scenario = with_kernel_on_trial(u32::MAX, Fault::Kill);
    scenario.run_to_end();
    let world = scenario.world();
    world.first["begin trial"]
}

/// Nothing is left on trial: no boot but the run's own takes a kernel that nobody judged.
fn assert_trial_ended(scenario: &Scenario, run: &Run, context: &str) {
    let world = scenario.world();
    assert_eq!(world.next_kernel, None, "{context}");
    assert!(run.changes.is_empty(), "{:?} {context}", run.changes);
    let default = world.default_kernel.as_deref().or(world.kernels.first().copied());
    assert_eq!(default, Some(world.kernel), "the next boot takes another kernel {context}");
}

#[test]
fn a_kill_at_any_moment_of_a_trial_goes_back_once_and_stays_there() {
    let mut points = 0;
    for point in trial_begins().. {
        let scenario = with_kernel_on_trial(point, Fault::Kill);
        scenario.world().breaks_under = Some((NEW, MONGOD));
        let (end, run) = scenario.run_to_end();
        if !scenario.has_crashed() {
            break;
        }
        points += 1;
        let context = format!("after a kill at point {point}");
        assert_eq!(end, RunEnd::Closed { exit_code: exit_code::NOT_VERIFIED }, "{context}: {:?}", run.phase);
        assert_in_service(&scenario, &context);
        assert_trial_ended(&scenario, &run, &context);
        assert_eq!((scenario.world().kernel, run.reboots), (OLD, 2), "{context}");
    }
    assert!(points > 50, "only {points} moments were tried");
}

#[test]
fn a_power_cut_at_any_moment_of_a_trial_leaves_no_kernel_on_trial() {
    let mut points = 0;
    for point in trial_begins().. {
        let scenario = with_kernel_on_trial(point, Fault::PowerCut);
        let (_, run) = scenario.run_to_end();
        if !scenario.has_crashed() {
            break;
        }
        points += 1;
        let context = format!("after a power cut at point {point}");
        assert_in_service(&scenario, &context);
        assert_trial_ended(&scenario, &run, &context);
        assert!(run.reboots <= 1, "{context}");
    }
    assert!(points > 50, "only {points} moments were tried");
}
