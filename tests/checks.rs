//! Checks whose cause no disposable machine has: firmware, batteries, the clock, the CPUs. On captured trees of files, and
//! on a host in memory. And what holds for every check.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "common/fake_host.rs"]
mod fake_host;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fake_host::{Shared, World, host, settings};
use jiff::SignedDuration;
use patchday::checks::{CheckInputs, run_all};
use patchday::config::Settings;
use patchday::host::Host;
use patchday::host::bus::{Bus, BusAddress};
use patchday::host::kernel::Kernel;
use patchday::host::premises::HostPremises;
use patchday::model::{CheckResult, Finding, RunOptions, Severity, Trigger};

fn options() -> RunOptions {
    RunOptions { trigger: Trigger::Unattended, no_reboot: false, allowed_checks: Vec::new(), outside_window: false }
}

fn results(host: &Host, settings: &Settings, options: &RunOptions) -> Vec<CheckResult> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_all(&CheckInputs::new(host, settings, options)))
}

fn finding(results: &[CheckResult], label: &str) -> Option<Finding> {
    results.iter().find(|check| check.label == label).unwrap_or_else(|| panic!("no check {label}")).finding.clone()
}

/// What one check says of a world that was changed.
fn said(label: &str, change: impl Fn(&mut World)) -> Finding {
    let world: Shared = World::new();
    change(&mut world.lock().unwrap());
    finding(&results(&host(&world), &settings(), &options()), label).unwrap_or_else(|| panic!("{label} is content"))
}

fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

/// What one check says of a host whose kernels and premises are those of a tree of files.
fn said_of(label: &str, root: &Path) -> Option<Finding> {
    let world = World::new();
    // Nobody has to ask a bus that is not there for the clock of a container.
    world.lock().unwrap().virtualization = "lxc";
    let mut host = host(&world);
    host.kernels = Arc::new(Kernel::new(root.to_owned()));
    host.premises = Arc::new(HostPremises::new(Bus::new(BusAddress::System), root.to_owned()));
    finding(&results(&host, &settings(), &options()), label)
}

#[test]
fn a_host_at_rest_raises_no_alarm() {
    let results = results(&host(&World::new()), &settings(), &options());
    let alarms: Vec<_> =
        results.iter().filter_map(|check| check.finding.as_ref()).filter(|f| f.severity > Severity::Info).collect();
    assert!(alarms.is_empty(), "{alarms:?}");
}

#[test]
fn what_the_host_in_memory_lacks_is_told_with_figures() {
    for (label, severity, text, change) in [
        ("memory-available", Severity::Warning, "100 MiB of 4096 MiB available, 256 MiB wanted", {
            (|world: &mut World| world.resources.memory_available = 100 << 20) as fn(&mut World)
        }),
        ("load", Severity::Warning, "load 9.5 on 2 CPUs", |world| world.resources.load_one_minute = 9.5),
        ("clock", Severity::Warning, "NTPSynchronized=no", |world| world.clock_is_right = Some(false)),
        ("systemd-version", Severity::Warning, "systemd 241", |world| world.systemd = "241-7~deb10u8"),
        ("uptime", Severity::Info, "120 days", |world| world.booted = world.now - SignedDuration::from_hours(120 * 24)),
    ] {
        let finding = said(label, change);
        assert_eq!(finding.severity, severity, "{finding:?}");
        assert!(format!("{finding:?}").contains(text), "{label}: {finding:?}");
    }
}

#[test]
fn a_battery_counts_while_no_mains_delivers() {
    let laptop = |online: &'static [u8]| {
        tree(&[
            ("sys/class/power_supply/AC/type", b"Mains\n"),
            ("sys/class/power_supply/AC/online", online),
            ("sys/class/power_supply/BAT0/type", b"Battery\n"),
            ("sys/class/power_supply/BAT0/status", b"Discharging\n"),
            ("sys/class/power_supply/BAT0/capacity", b"41\n"),
        ])
    };
    let finding = said_of("battery", laptop(b"0\n").path()).unwrap();
    assert_eq!(
        (finding.severity, finding.evidence),
        (Severity::Blocker, vec!["BAT0 is discharging, 41 % left".into()])
    );
    assert_eq!(said_of("battery", laptop(b"1\n").path()), None);
}

#[test]
fn secure_boot_minds_modules_without_a_signature() {
    let firmware = |on: u8| {
        tree(&[
            ("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", &[6, 0, 0, 0, on]),
            ("boot/vmlinuz-6.1.0-50-amd64", b"image"),
            ("lib/modules/6.1.0-50-amd64/updates/dkms/zfs.ko", b"ELF"),
            ("lib/modules/6.1.0-50-amd64/updates/dkms/ok.ko", b"ELF~Module signature appended~\n"),
        ])
    };
    let finding = said_of("secure-boot", firmware(1).path()).unwrap();
    assert_eq!(finding.evidence, ["6.1.0-50-amd64: zfs.ko"]);
    assert_eq!(said_of("secure-boot", firmware(0).path()), None);
}

#[test]
fn open_vulnerabilities_are_told() {
    let root = tree(&[
        ("sys/devices/system/cpu/vulnerabilities/mds", b"Vulnerable: Clear CPU buffers attempted, no microcode\n"),
        ("sys/devices/system/cpu/vulnerabilities/meltdown", b"Mitigation: PTI\n"),
    ]);
    let finding = said_of("cpu-vulnerable", root.path()).unwrap();
    assert_eq!(finding.evidence, ["mds: Vulnerable: Clear CPU buffers attempted, no microcode"]);
}

#[test]
fn a_check_that_cannot_answer_is_a_blocker_and_may_be_allowed() {
    let world = World::new();
    world.lock().unwrap().clock_is_right = None;
    let unanswered = finding(&results(&host(&world), &settings(), &options()), "clock").unwrap();
    assert_eq!(unanswered.severity, Severity::Blocker);
    assert!(unanswered.title.contains("cannot answer"), "{unanswered:?}");

    let by_caller = RunOptions { allowed_checks: vec!["clock".into()], ..options() };
    let by_file = Settings { allowed_checks: vec!["clock".into()], ..settings() };
    for (settings, options, by) in [(settings(), by_caller, "--allow"), (by_file, options(), "[preflight] allow")] {
        let lowered = finding(&results(&host(&world), &settings, &options), "clock").unwrap();
        assert_eq!(lowered.severity, Severity::Warning);
        assert_eq!(lowered.evidence.last().unwrap(), &format!("a blocker, allowed by {by}"));
    }
}
