//! Modules that DKMS builds, on a host in memory: one that does not build ends the run, unless the next boot can do without.

use crate::fake_host::{Scenario, assert_in_service, ended};
use patchday::config::OnFailure;
use patchday::exit_code;
use patchday::model::{DkmsModule, DkmsState, Outcome, Step};

const KERNEL: &str = "6.1.0-42-amd64";

fn with_modules(optional: &[&str]) -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.kernel.optional_modules = optional.iter().map(|&name| name.to_owned()).collect();
    let added = |module: &str| DkmsModule { module: module.into(), kernel: None, state: DkmsState::Added };
    {
        let mut world = scenario.world();
        world.kernels = vec![KERNEL];
        world.kernel = KERNEL;
        world.modules = vec![added("good/1"), added("bad/2")];
        world.unbuildable = Some("bad/2");
        world.failing_work = Some("dkms");
    }
    scenario
}

#[test]
fn a_module_that_does_not_build_ends_the_run() {
    let scenario = with_modules(&["good"]);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    let note = run.last_record(&Step::BuildKernel).unwrap().note.clone().unwrap();
    assert!(note.starts_with("not built for 6.1.0-42-amd64: bad/2"), "{note}");
    assert_in_service(&scenario, "after a module that did not build");
}

#[test]
fn one_that_is_optional_is_told_and_no_reason_for_a_run() {
    let scenario = with_modules(&["bad"]);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let record = run.last_record(&Step::BuildKernel).unwrap();
    assert_eq!((record.outcome, record.note.as_deref()), (Outcome::Succeeded, Some("good/1 for 6.1.0-42-amd64")));
    let told = format!("{:?}", scenario.state.events(&run.id).read_new().unwrap());
    assert!(told.contains("not built for 6.1.0-42-amd64, and optional: bad/2"), "{told}");

    let idle = with_modules(&["bad", "good"]);
    idle.world().pending.clear();
    let (end, _) = idle.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE);
    assert_eq!(idle.world().effects_of("dkms began"), 0);
}

#[test]
fn a_kernel_to_go_back_to_that_lacks_a_module_is_told() {
    const NEW: &str = "6.1.0-50-amd64";
    let mut scenario = with_modules(&["bad"]);
    scenario.settings.verify.on_failure = OnFailure::PreviousKernel;
    scenario.world().new_kernel = Some(NEW);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(run.last_record(&Step::BuildKernel).unwrap().note.as_deref(), Some("good/1 for 6.1.0-50-amd64"));
    let told = format!("{:?}", scenario.state.events(&run.id).read_new().unwrap());
    assert!(told.contains("kernel 6.1.0-42-amd64, to which a failed trial goes back, lacks good/1\""), "{told}");
}
