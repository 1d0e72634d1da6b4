//! Which kernel a run reboots for, on a host in memory: what starts the host says, and what it started is judged.

use crate::fake_host::{Scenario, World, assert_in_service, ended};
use patchday::exit_code;
use patchday::model::{Run, Step, Verdict};

const OLD: &str = "6.1.0-42-amd64";
const NEW: &str = "6.1.0-50-amd64";
const BUILT: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-06-30)";
const REBUILT: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.177-1 (2026-07-15)";

fn run(pending: bool, allow: bool, host: impl FnOnce(&mut World)) -> (Scenario, u8, Run) {
    let mut scenario = Scenario::new();
    if allow {
        scenario.options.allowed_checks = vec!["next-kernel".into()];
    }
    {
        let mut world = scenario.world();
        if !pending {
            world.pending.clear();
        }
        (world.kernel, world.kernel_version) = (OLD, BUILT);
        world.kernels = vec![NEW, OLD];
        host(&mut world);
    }
    let (end, run) = scenario.run_to_end();
    let code = ended(&end);
    (scenario, code, run)
}

fn unstopped(scenario: &Scenario) {
    let world = scenario.world();
    let stopped = world.effects.iter().filter(|effect| effect.starts_with("stop")).count();
    assert_eq!(stopped, 0, "{:?}", world.effects);
}

#[test]
fn a_newer_kernel_that_is_not_started_is_no_reason_to_reboot() {
    type Change = fn(&mut World);
    let hosts: [(&str, Change); 4] = [
        ("a pinned default", |world| world.default_kernel = Some(OLD.into())),
        ("a kernel of the hypervisor", |world| world.hypervisor = true),
        ("an entry whose initrd is gone", |world| {
            world.kernels = vec![OLD];
            world.kernel_versions = vec![(OLD, REBUILT)];
            world.entry_lacks = vec!["its initrd is gone".into()];
        }),
        ("the running one was purged, and an older one is left", |world| world.kernels = vec!["6.1.0-41-amd64"]),
    ];
    for (what, host) in hosts {
        let (scenario, code, run) = run(false, false, host);
        let is_known = matches!(code, exit_code::DONE | exit_code::UNTOUCHED);
        assert!(is_known, "{what}: {code} {:?}", run.phase);
        assert_eq!(run.reboots, 0, "{what}");
        unstopped(&scenario);
    }
}

#[test]
fn a_newer_kernel_that_will_be_started_is() {
    let (scenario, code, run) = run(false, false, |_| {});
    assert_eq!((code, run.reboots), (exit_code::DONE, 1), "{:?}", run.phase);
    assert_eq!(run.reboot_reasons, ["kernel 6.1.0-50-amd64 is installed, 6.1.0-42-amd64 runs"]);
    assert_eq!(run.kernel.unwrap().why, "GRUB: its first entry is its default");
    assert_in_service(&scenario, "after a reboot for a kernel");
}

#[test]
fn an_older_kernel_is_started_only_where_that_is_asked_for() {
    let purged = |world: &mut World| world.kernels = vec!["6.1.0-41-amd64"];
    let (scenario, code, _) = run(true, false, purged);
    assert_eq!(code, exit_code::UNTOUCHED);
    unstopped(&scenario);
    // The packages that are pending want a reboot.
    let (scenario, code, run) = run(true, true, purged);
    assert_eq!((code, run.reboots), (exit_code::DONE, 1), "{:?}", run.phase);
    assert_eq!(run.verification.unwrap().kernel, "6.1.0-41-amd64");
    assert_in_service(&scenario, "after a reboot into an older kernel that was allowed");
}

/// Debian builds a kernel anew under the same release.
#[test]
fn a_reboot_is_owed_for_another_build_of_the_same_release() {
    let (_, code, installed) = run(false, false, |world| {
        world.kernels = vec![OLD];
        world.kernel_versions = vec![(OLD, REBUILT)];
    });
    assert_eq!((code, installed.reboots), (exit_code::DONE, 1), "{:?}", installed.phase);
    assert_eq!(installed.reboot_reasons, ["kernel 6.1.0-42-amd64 is installed as 6.1.177-1, 6.1.176-1 runs"]);
    assert_eq!(installed.kernel.unwrap().version.as_deref(), Some(REBUILT));
    assert_eq!(installed.verification.unwrap().verdict, Verdict::Healthy);

    let (_, code, current) = run(false, false, |world| {
        world.kernels = vec![OLD];
        world.kernel_versions = vec![(OLD, BUILT)];
    });
    assert_eq!((code, current.reboots), (exit_code::DONE, 0), "{:?}", current.phase);
}

#[test]
fn a_stale_copy_that_the_boot_loader_starts_is_not_healthy() {
    let (_, code, run) = run(true, false, |world| {
        world.kernels = vec![OLD];
        world.kernel_versions = vec![(OLD, BUILT)];
        world.versions_after_upgrade = vec![(OLD, REBUILT)];
        world.stale_copy = true;
    });
    assert_eq!((code, run.reboots), (exit_code::NOT_VERIFIED, 1), "{:?}", run.phase);
    let verification = run.verification.as_ref().unwrap();
    assert_eq!(verification.verdict, Verdict::Failed);
    let told: Vec<&str> = verification.findings.iter().map(|finding| finding.title.as_str()).collect();
    assert!(told.contains(&"kernel 6.1.0-42-amd64 runs as 6.1.176-1, 6.1.177-1 was expected"), "{told:?}");
    assert!(run.last_record(&Step::StageCheck).unwrap().note.as_ref().unwrap().contains("6.1.177-1"));
}
