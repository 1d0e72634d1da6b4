//! A new kernel, or all that no service uses, is installed while the services still run, on a host in memory: before anything stops, and at no moment in
//! a way that leaves a service down or a package half installed.

use crate::fake_host::{API, Fault, Scenario, World, assert_in_service, at_every_moment, ended};
use patchday::config::Ahead;
use patchday::exit_code;
use patchday::model::{Outcome, PackageAction, PackageChange, Step};

const OLD: &str = "6.1.0-42-amd64";
const NEW: &str = "6.1.0-50-amd64";

fn change(name: &str, action: PackageAction) -> PackageChange {
    PackageChange { name: name.into(), action, from: None, to: Some("6.1.1".into()), origin: None }
}

/// A host with a new kernel among its updates, and a run that installs it ahead.
pub(crate) fn with_new_kernel() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.upgrade.ahead = Ahead::Kernel;
    {
        let mut world = scenario.world();
        world.kernels = vec![OLD];
        world.kernel = OLD;
        world.new_kernel = Some(NEW);
        world.pending.push(change(&format!("linux-image-{NEW}"), PackageAction::Install));
    }
    scenario
}

#[test]
fn the_new_kernel_is_there_before_the_first_service_stops() {
    let scenario = with_new_kernel();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let record = run.last_record(&Step::Ahead).unwrap();
    assert_eq!(record.note.as_deref(), Some("linux-image-6.1.0-50-amd64=6.1.1"));
    let world = scenario.world();
    let at = |effect: &str| world.effects.iter().position(|one| one == effect).unwrap();
    assert!(at("ahead ended") < at(&format!("stop {API}")), "{:?}", world.effects);
    assert!(at("ahead ended") < at("upgrade began"), "{:?}", world.effects);
    assert_eq!((world.kernel, world.pending.len()), (NEW, 0));
}

#[test]
fn a_kernel_that_needs_other_packages_waits_for_the_upgrade() {
    let scenario = with_new_kernel();
    scenario.world().kernel_needs = vec![change("kmod", PackageAction::Upgrade)];
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let record = run.last_record(&Step::Ahead).unwrap();
    assert_eq!(record.outcome, Outcome::Skipped);
    assert!(record.note.as_ref().unwrap().ends_with(": kmod"), "{record:?}");
    assert_eq!(scenario.world().kernel, NEW);
}

#[test]
fn a_kernel_that_the_boot_loader_does_not_know_is_not_booted_into() {
    for (entries, allowed, code, kernel) in [
        (vec![OLD], vec![], exit_code::STEP_FAILED, OLD),
        (vec![OLD], vec!["boot-loader".to_owned()], exit_code::DONE, NEW),
        (vec![OLD, NEW], vec![], exit_code::DONE, NEW),
    ] {
        let mut scenario = with_new_kernel();
        scenario.world().boot_entries = Some(entries);
        scenario.options.allowed_checks = allowed;
        let (end, run) = scenario.run_to_end();
        assert_eq!((ended(&end), scenario.world().kernel), (code, kernel), "{:?}", run.phase);
        if code == exit_code::STEP_FAILED {
            let note = run.last_record(&Step::StageCheck).unwrap().note.clone().unwrap();
            assert!(note.starts_with("GRUB has no entry for kernel 6.1.0-50-amd64; write its entries anew"), "{note}");
            assert_in_service(&scenario, "after a kernel without an entry");
        }
    }
}

#[test]
fn where_no_kernel_is_new_nothing_is_done_ahead() {
    let mut scenario = Scenario::new();
    scenario.settings.upgrade.ahead = Ahead::Kernel;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(run.last_record(&Step::Ahead).unwrap().outcome, Outcome::Skipped);
    assert_eq!(scenario.world().effects_of("ahead began"), 0);
}

#[test]
fn whenever_the_world_ends_packages_are_whole_and_services_run() {
    for fault in [Fault::Kill, Fault::PowerCut] {
        let mut cut_off = 0;
        at_every_moment(fault, with_new_kernel, |scenario, run, code, context| {
            let world = scenario.world();
            if fault == Fault::Kill {
                assert_eq!(code, exit_code::DONE, "{context}: {:?}", run.phase);
                assert_eq!((world.effects_of("ahead began"), world.kernel), (1, NEW), "{context}");
            }
            if run.last_record(&Step::Ahead).is_some_and(|record| record.outcome == Outcome::Interrupted) {
                cut_off += 1;
                // The services were never stopped, and the packages were touched.
                assert_eq!((code, world.effects_of(&format!("stop {API}"))), (exit_code::STEP_FAILED, 0), "{context}");
                assert!(run.has_finished(&Step::Repair), "{context}");
            }
        });
        assert!(fault == Fault::Kill || cut_off > 0, "no {fault:?} hit the installation");
    }
}

/// The same, with packages of which the services use one.
fn with_unrelated_packages() -> Scenario {
    let mut scenario = with_new_kernel();
    scenario.settings.upgrade.ahead = Ahead::Unrelated;
    {
        let mut world = scenario.world();
        world.used_packages = vec!["libssl3"];
        for name in ["libssl3", "zlib1g", "intel-microcode"] {
            let (from, to) = (Some("1".to_owned()), Some("2".to_owned()));
            world.pending.push(PackageChange { from, to, ..change(name, PackageAction::Upgrade) });
        }
    }
    scenario
}

#[test]
fn what_no_service_uses_comes_before_the_stop_and_the_rest_behind_it() {
    let scenario = with_unrelated_packages();
    scenario.world().goes_with_others = vec!["zlib1g"];
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let plan = run.upgrade.as_ref().unwrap();
    let choice = plan.ahead.as_ref().unwrap();
    let waits = |name: &str| choice.waits.iter().find(|one| one.package == name).map(|one| one.why.as_str());
    assert!(waits("libssl3").unwrap().ends_with(" uses /usr/lib/of-libssl3"), "{choice:?}");
    assert_eq!(waits("zlib1g"), Some("apt changes it only together with what waits"));
    assert!(choice.is_ahead("intel-microcode") && choice.is_ahead(&format!("linux-image-{NEW}")), "{choice:?}");
    assert_eq!(plan.ahead_of_stop().changes.len() + plan.behind_stop().changes.len(), plan.changes.len());
    let record = run.last_record(&Step::Ahead).unwrap();
    let told = format!("{} packages while the services run, {} wait", choice.ahead.len(), choice.waits.len());
    assert_eq!(record.note.as_ref(), Some(&told));
    let world = scenario.world();
    let at = |effect: &str| world.effects.iter().position(|one| one == effect).unwrap();
    assert!(at("ahead ended") < at(&format!("stop {API}")), "{:?}", world.effects);
    assert!(at(&format!("stop {API}")) < at("upgrade began"), "{:?}", world.effects);
    assert_eq!((world.kernel, world.pending.len()), (NEW, 0));
    assert!(run.changes.is_empty(), "{:?}", run.changes);
}

#[test]
fn where_it_is_not_known_what_services_use_only_the_kernel_comes_ahead() {
    for (break_it, why, comes) in [
        (
            (|world| world.use_is_hidden = Some("it has a file system of its own")) as fn(&mut World),
            "file system",
            true,
        ),
        (|world| world.unit(API).active = "inactive", "it does not run", true),
        (|world| world.kernel_needs = vec![change("libssl3", PackageAction::Upgrade)], "libssl3, which waits", false),
        (|world| world.kernel_needs = vec![change("old", PackageAction::Remove)], "would remove old", false),
    ] {
        let scenario = with_unrelated_packages();
        break_it(&mut scenario.world());
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{why}: {:?}", run.phase);
        let choice = run.upgrade.as_ref().unwrap().ahead.clone().unwrap();
        assert!(choice.all_waits.as_ref().is_some_and(|told| told.contains(why)), "{why}: {choice:?}");
        assert_eq!(choice.ahead, [format!("linux-image-{NEW}")], "{why}");
        let record = run.last_record(&Step::Ahead).unwrap();
        assert!(record.note.as_ref().unwrap().contains("all else waits: "), "{record:?}");
        assert_eq!(record.outcome == Outcome::Succeeded, comes, "{record:?}");
        assert_eq!(scenario.world().pending.len(), 0, "{why}");
    }
}

#[test]
fn unrelated_packages_that_fail_leave_the_services_alone() {
    let scenario = with_unrelated_packages();
    scenario.world().failing_work = Some("ahead");
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    {
        let world = scenario.world();
        assert_eq!((world.effects_of(&format!("stop {API}")), world.effects_of("upgrade began")), (0, 0));
    }
    assert!(run.changes.is_empty(), "{:?}", run.changes);
    assert_in_service(&scenario, "after packages that failed ahead");
}

#[test]
fn whenever_the_world_ends_under_unrelated_packages_services_run_and_are_not_protected() {
    for fault in [Fault::Kill, Fault::PowerCut] {
        at_every_moment(fault, with_unrelated_packages, |scenario, run, code, context| {
            let world = scenario.world();
            if fault == Fault::Kill {
                assert_eq!(code, exit_code::DONE, "{context}: {:?}", run.phase);
                assert_eq!((world.effects_of("ahead began"), world.pending.len()), (1, 0), "{context}");
            }
            if run.last_record(&Step::Ahead).is_some_and(|record| record.outcome == Outcome::Interrupted) {
                assert_eq!((code, world.effects_of(&format!("stop {API}"))), (exit_code::STEP_FAILED, 0), "{context}");
            }
            assert!(run.changes.is_empty(), "{context}: {:?}", run.changes);
        });
    }
}
