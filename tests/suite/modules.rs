//! Modules that DKMS builds, on a host in memory: the next kernel must have what the kernel before has, and nothing else
//! is built, stops a service, or ends a run.

use crate::fake_host::{Scenario, assert_in_service, ended};
use patchday::config::OnFailure;
use patchday::exit_code;
use patchday::model::{DkmsModule, DkmsState, Outcome, Step};

const KERNEL: &str = "6.1.0-42-amd64";
const NEW: &str = "6.1.0-50-amd64";

fn added(module: &str) -> DkmsModule {
    DkmsModule { module: module.into(), kernel: None, state: DkmsState::Added }
}

fn installed(module: &str, kernel: &str) -> DkmsModule {
    DkmsModule { module: module.into(), kernel: Some(kernel.into()), state: DkmsState::Installed }
}

/// The kernel that runs has two modules, and a new kernel comes.
fn with_modules(optional: &[&str]) -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.kernel.optional_modules = optional.iter().map(|&name| name.to_owned()).collect();
    {
        let mut world = scenario.world();
        world.kernels = vec![KERNEL];
        world.kernel = KERNEL;
        world.new_kernel = Some(NEW);
        world.modules = vec![installed("good/1", KERNEL), installed("bad/2", KERNEL)];
        world.unbuildable = Some("bad/2");
        world.failing_work = Some("dkms");
    }
    scenario
}

/// Each is known to DKMS, and is nothing that the running kernel has.
#[test]
fn a_module_that_the_running_kernel_does_without_stops_nothing() {
    let rows: [(&str, Vec<DkmsModule>); 6] = [
        ("excluded by BUILD_EXCLUSIVE_KERNEL, or without AUTOINSTALL", vec![added("excluded/1.0")]),
        ("its source is gone", vec![DkmsModule { state: DkmsState::Other("broken".into()), ..added("gone/1") }]),
        ("two versions, the newer installed", vec![added("driver/1"), installed("driver/2", KERNEL)]),
        ("two versions, the older installed", vec![installed("driver/1", KERNEL), added("driver/2")]),
        ("another flavour", vec![installed("driver/1", "6.1.0-42-cloud-amd64")]),
        ("built, not installed", vec![DkmsModule { state: DkmsState::Built, ..installed("driver/1", KERNEL) }]),
    ];
    for (what, modules) in rows {
        let scenario = Scenario::new();
        {
            let mut world = scenario.world();
            world.kernels = vec![KERNEL];
            world.kernel = KERNEL;
            world.modules = modules;
            world.pending.clear();
        }
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{what}: {:?}", run.phase);
        let world = scenario.world();
        let stopped = world.effects.iter().filter(|effect| effect.starts_with("stop")).count();
        assert_eq!((stopped, world.effects_of("dkms began"), run.reboots), (0, 0, 0), "{what}: {:?}", world.effects);
    }
}

#[test]
fn a_module_that_does_not_build_ends_the_run() {
    let scenario = with_modules(&["good"]);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    let note = run.last_record(&Step::BuildKernel).unwrap().note.clone().unwrap();
    assert!(note.starts_with("not built for 6.1.0-50-amd64: bad/2"), "{note}");
    assert_in_service(&scenario, "after a module that did not build");
}

#[test]
fn one_that_is_optional_is_told_and_no_reason_for_a_run() {
    let scenario = with_modules(&["bad"]);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let record = run.last_record(&Step::BuildKernel).unwrap();
    assert_eq!((record.outcome, record.note.as_deref()), (Outcome::Succeeded, Some("good/1 for 6.1.0-50-amd64")));
    let told = format!("{:?}", scenario.state.events(&run.id).read_new().unwrap());
    assert!(told.contains("not built for 6.1.0-50-amd64, and optional: bad/2"), "{told}");

    let idle = with_modules(&["bad", "good"]);
    {
        let mut world = idle.world();
        world.pending.clear();
        world.new_kernel = None;
    }
    let (end, _) = idle.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE);
    assert_eq!(idle.world().effects_of("dkms began"), 0);
}

/// The version that runs is built, and DKMS is not left to choose.
#[test]
fn of_two_versions_the_one_that_runs_is_built() {
    for (running, other) in [("driver/1", "driver/2"), ("driver/2", "driver/1")] {
        let scenario = with_modules(&[]);
        {
            let mut world = scenario.world();
            world.modules = vec![installed(running, KERNEL), added(other)];
            world.failing_work = None;
        }
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
        let built: Vec<String> = scenario
            .world()
            .modules
            .iter()
            .filter(|module| module.kernel.as_deref() == Some(NEW))
            .map(|module| module.module.clone())
            .collect();
        assert_eq!(built, [running]);
    }
}

/// The upgrade brings another version of a module, and its script does not get it built: the host had it, so it needs it.
#[test]
fn a_module_that_the_upgrade_took_away_is_built_again() {
    let scenario = with_modules(&[]);
    {
        let mut world = scenario.world();
        world.modules = vec![installed("zfs/1", KERNEL)];
        world.modules_after_upgrade = Some(vec![added("zfs/2")]);
        world.failing_work = None;
    }
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(run.last_record(&Step::BuildKernel).unwrap().note.as_deref(), Some("zfs/2 for 6.1.0-50-amd64"));
}

#[test]
fn a_kernel_to_go_back_to_that_has_lost_a_module_is_told() {
    let mut scenario = with_modules(&["bad"]);
    scenario.settings.verify.on_failure = OnFailure::PreviousKernel;
    scenario.world().modules_after_upgrade = Some(vec![added("good/1"), installed("bad/2", KERNEL)]);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(run.last_record(&Step::BuildKernel).unwrap().note.as_deref(), Some("good/1 for 6.1.0-50-amd64"));
    let told = format!("{:?}", scenario.state.events(&run.id).read_new().unwrap());
    assert!(told.contains("kernel 6.1.0-42-amd64, to which a failed trial goes back, lacks good/1\""), "{told}");
}
