//! Old kernels make room in a `/boot` that is too tight for a new one, on a host in memory: before anything stops, only as
//! wanted, and at no moment in a way that leaves a service down or a package half removed.

use crate::fake_host::{API, Fault, Scenario, assert_in_service, at_every_moment, ended};
use patchday::exit_code;
use patchday::model::{Outcome, PackageAction, PackageChange, Step};

/// The first is the newest and runs.
const KERNELS: [&str; 3] = ["6.1.0-42-amd64", "6.1.0-41-amd64", "6.1.0-40-amd64"];

fn with_tight_boot() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.kernel.remove_old = true;
    {
        let mut world = scenario.world();
        world.kernels = KERNELS.to_vec();
        world.kernel = KERNELS[0];
        world.boot_free = Some(30);
    }
    scenario
}

#[test]
fn the_oldest_kernel_goes_before_the_first_service_stops() {
    let scenario = with_tight_boot();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(run.last_record(&Step::RemoveKernels).unwrap().note.as_deref(), Some(KERNELS[2]));
    let world = scenario.world();
    assert_eq!(world.kernels, KERNELS[..2]);
    let at = |effect: &str| world.effects.iter().position(|one| one == effect).unwrap();
    assert!(at("remove-kernels ended") < at(&format!("stop {API}")), "{:?}", world.effects);
}

#[test]
fn nothing_is_removed_where_there_is_room_and_nothing_unasked() {
    let roomy = with_tight_boot();
    roomy.world().boot_free = None;
    let (end, run) = roomy.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(run.last_record(&Step::RemoveKernels).unwrap().outcome, Outcome::Skipped);
    assert_eq!(roomy.world().kernels, KERNELS);

    let mut unasked = with_tight_boot();
    unasked.settings.kernel.remove_old = false;
    let (end, run) = unasked.run_to_end();
    assert_eq!(ended(&end), exit_code::UNTOUCHED, "{:?}", run.phase);
    assert_eq!(unasked.world().kernels, KERNELS);
}

#[test]
fn a_kernel_that_others_need_stays_and_nothing_is_stopped() {
    let scenario = with_tight_boot();
    let needs_it = PackageChange {
        name: "linux-image-amd64".into(),
        action: PackageAction::Remove,
        from: Some("6.1".into()),
        to: None,
        origin: None,
    };
    scenario.world().kernel_needs = vec![needs_it];
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    let note = run.last_record(&Step::RemoveKernels).unwrap().note.clone().unwrap();
    assert!(note.contains("would also change linux-image-amd64"), "{note}");
    assert_eq!(scenario.world().effects_of(&format!("stop {API}")), 0);
    assert_in_service(&scenario, "after a refusal");
}

#[test]
fn whenever_the_world_ends_packages_are_whole_and_services_run() {
    for fault in [Fault::Kill, Fault::PowerCut] {
        let mut cut_off = 0;
        at_every_moment(fault, with_tight_boot, |scenario, run, code, context| {
            let world = scenario.world();
            if fault == Fault::Kill {
                assert_eq!(code, exit_code::DONE, "{context}: {:?}", run.phase);
                assert_eq!(world.effects_of("remove-kernels began"), 1, "{context}");
                assert_eq!(world.kernels, KERNELS[..2], "{context}");
            }
            if run.last_record(&Step::RemoveKernels).is_some_and(|record| record.outcome == Outcome::Interrupted) {
                cut_off += 1;
                assert_eq!((code, world.effects_of(&format!("stop {API}"))), (exit_code::STEP_FAILED, 0), "{context}");
                assert!(run.has_finished(&Step::Repair), "{context}");
            }
        });
        assert!(fault == Fault::Kill || cut_off > 0, "no {fault:?} hit the removal");
    }
}
