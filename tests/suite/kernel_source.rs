//! A kernel that is built from its source, on a host in memory: in which order, what failure means, and that no moment at
//! which the world may end leaves a service down.

use crate::fake_host::{API, Fault, Scenario, assert_in_service, at_every_moment, ended};
use patchday::config::Ahead;
use patchday::exit_code;
use patchday::model::{KernelSource, Outcome, Step};

const OLD: &str = "6.1.0-42-amd64";
const NEW: &str = "6.1.176-mine";

fn with_source(ahead: bool) -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.upgrade.ahead = if ahead { Ahead::Kernel } else { Ahead::Nothing };
    let source = KernelSource { path: "/usr/src/linux".into(), config: None, make: Vec::new(), command: None };
    scenario.settings.kernel.source = Some(source);
    {
        let mut world = scenario.world();
        world.kernels = vec![OLD];
        world.kernel = OLD;
        world.kernel_to_build = Some(NEW);
    }
    scenario
}

#[test]
fn the_kernel_is_built_installed_and_booted() {
    for ahead in [false, true] {
        let scenario = with_source(ahead);
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
        assert_eq!(run.kernel.unwrap().expected, NEW);
        let world = scenario.world();
        assert_eq!(world.kernel, NEW);
        let at = |effect: &str| world.effects.iter().position(|one| one == effect).unwrap();
        let (built, installed, stopped) =
            (at("kernel-source ended"), at("install-kernel ended"), at(&format!("stop {API}")));
        assert!(built < installed, "{:?}", world.effects);
        assert_eq!((built < stopped, installed < stopped), (ahead, ahead), "{:?}", world.effects);
    }
}

#[test]
fn a_kernel_that_is_installed_is_not_installed_again() {
    let scenario = with_source(false);
    {
        let mut world = scenario.world();
        (world.kernels, world.kernel) = (vec![NEW, OLD], NEW);
    }
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(run.last_record(&Step::InstallKernel).unwrap().outcome, Outcome::Skipped);
    assert_eq!(scenario.world().effects_of("install-kernel began"), 0);
}

#[test]
fn a_build_that_fails_is_told_and_the_services_come_back() {
    for (ahead, code) in [(false, exit_code::STEP_FAILED), (true, exit_code::UNTOUCHED)] {
        let scenario = with_source(ahead);
        scenario.world().failing_work = Some("kernel-source");
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), code, "{:?}", run.phase);
        assert_in_service(&scenario, "after a failed build");
        let world = scenario.world();
        assert_eq!((world.kernel, world.effects_of("install-kernel began")), (OLD, 0));
        assert_eq!(world.effects_of(&format!("stop {API}")), u32::from(!ahead) as usize);
    }
}

#[test]
fn a_newer_kernel_beside_the_one_that_was_built_stops_the_run_before_the_reboot() {
    let scenario = with_source(false);
    scenario.world().kernels = vec!["6.2.0", NEW, OLD];
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    let note = run.last_record(&Step::StageCheck).unwrap().note.clone().unwrap();
    assert_eq!(note, "kernel 6.1.176-mine was built, but 6.2.0 would be started: GRUB: its first entry is its default");
    assert_in_service(&scenario, "without a reboot");
}

#[test]
fn whenever_the_world_ends_the_build_is_found_again_and_services_run() {
    for (ahead, fault) in [(false, Fault::Kill), (true, Fault::Kill), (false, Fault::PowerCut), (true, Fault::PowerCut)]
    {
        let mut cut_off = 0;
        at_every_moment(
            fault,
            || with_source(ahead),
            |scenario, run, code, context| {
                let context = format!("{context}, ahead: {ahead}");
                let world = scenario.world();
                if fault == Fault::Kill {
                    assert_eq!(code, exit_code::DONE, "{context}: {:?}", run.phase);
                    assert_eq!((world.effects_of("kernel-source began"), world.kernel), (1, NEW), "{context}");
                }
                cut_off += usize::from(
                    run.last_record(&Step::KernelSource).is_some_and(|record| record.outcome == Outcome::Interrupted),
                );
            },
        );
        assert!(fault == Fault::Kill || cut_off > 0, "no {fault:?} hit the build");
    }
}
