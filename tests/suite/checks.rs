//! Checks whose cause no disposable machine has: firmware, batteries, the clock, the CPUs. On captured trees of files, and
//! on a host in memory. And what holds for every check.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::fake_host::{API, Scenario, Shared, World, host, settings};
use jiff::SignedDuration;
use patchday::checks::{CATALOGUE, CheckInputs, run_all};
use patchday::config::{Settings, UserCount, UserSource};
use patchday::host::Host;
use patchday::host::kernel::Kernel;
use patchday::host::system::HostSystem;
use patchday::model::{
    CheckResult, FileRole, FileState, Finding, Hook, HookPoint, HookPolicy, PackageAction, PackageChange,
    ReadinessProbe, RunOptions, Severity, Trigger, UnitProcess,
};

fn options() -> RunOptions {
    RunOptions::new(Trigger::Unattended)
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
    host.kernels = Arc::new(Kernel::new(root.to_owned(), "/usr/bin/patchday"));
    host.system = Arc::new(HostSystem::new(root.to_owned()));
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

/// The run can do without, and says so: a user that lacks a privilege is no reason to patch no more.
#[test]
fn what_a_database_refuses_to_tell_is_a_warning_with_the_privilege_and_the_command() {
    for label in ["database-clients", "database-operations"] {
        let finding = said(label, |world| world.inprog_is_refused = true);
        assert_eq!(finding.severity, Severity::Warning, "{finding:?}");
        assert!(finding.evidence[0].contains("the action inprog"), "{finding:?}");
        let command = finding.remedy.unwrap().command.unwrap();
        let grant = "grantPrivilegesToRole(\"patchday\", [ { resource: { cluster: true }, actions: [ \"inprog\" ] } ])";
        assert!(command.ends_with(grant), "{command}");
    }
}

#[test]
fn a_program_that_others_could_replace_is_named() {
    let root = tree(&[("usr/local/sbin/drain", b"#!/bin/sh\n")]);
    let hook = Hook {
        point: HookPoint::BeforeStop,
        command: vec!["/usr/local/sbin/drain".into()],
        timeout: SignedDuration::from_secs(1),
        policy: HookPolicy::Warn,
        sandbox: true,
    };
    let settings = Settings { hooks: vec![hook], ..settings() };
    let mut host = host(&World::new());
    host.system = Arc::new(HostSystem::new(root.path().to_owned()));
    let results = results(&host, &settings, &options());
    let finding = finding(&results, "hooks-trusted").unwrap();
    assert_eq!(finding.severity, Severity::Blocker);
    assert!(finding.evidence[0].contains("drain is no program"), "it is not executable: {finding:?}");
    assert_eq!(finding.remedy.unwrap().command.as_deref(), Some("namei -l /usr/local/sbin/drain"));
}

#[test]
fn what_is_wrong_with_a_database_is_told() {
    type Change = fn(&mut World);
    let socket = || FileState {
        role: FileRole::Socket,
        path: "/tmp/mongodb-27017.sock".into(),
        exists: true,
        owner: "root".into(),
        mode: "0700".into(),
        problem: Some("mongodb cannot remove it".into()),
    };
    let cases: [(&str, Severity, &str, Change); 11] = [
        ("database-reachable", Severity::Blocker, "no answer in time", |world| world.database_is_mute = true),
        ("database-shutdown", Severity::Blocker, "lacks the action shutdown", |world| {
            world.condition.actions = Some(vec!["inprog".into()]);
        }),
        ("database-rights", Severity::Warning, "lacks serverStatus, getCmdLineOpts, getParameter", |world| {
            world.condition.actions = Some(vec!["inprog".into(), "shutdown".into()]);
        }),
        ("database-locked", Severity::Blocker, "fsyncLock", |world| world.condition.fsync_locked = Some(true)),
        ("database-compatibility", Severity::Warning, "data of 5.0", |world| {
            world.condition.compatibility = Some("5.0".into());
        }),
        ("database-journal", Severity::Warning, "storage.journal", |world| world.condition.journaled = Some(false)),
        ("database-set", Severity::Blocker, "mongod.service: it has left its replica set", |world| {
            world.database_facts.role = "other".into();
            world.database_facts.outside = Some("it has left its replica set rs0".into());
        }),
        ("database-process", Severity::Blocker, "leads to another mongod", |world| world.database_facts.pid = Some(99)),
        ("database-process", Severity::Blocker, "mongod.service has docker (7)", |world| {
            world.database_processes = vec![UnitProcess { pid: 7, name: "docker".into(), own_pid: 7 }];
            world.database_facts.pid = Some(1);
        }),
        ("database-process", Severity::Blocker, "neither its mongod.lock nor its log", |world| {
            world.database_processes.push(UnitProcess { pid: 8, name: "mongod".into(), own_pid: 1 });
            (world.database_facts.pid, world.database_facts.db_path) = (Some(1), None);
        }),
        ("database-process", Severity::Blocker, "mongod.service is down; process", |world| {
            world.unit("mongod.service").active = "inactive";
            world.started_by_hand = true;
        }),
    ];
    for (label, severity, text, change) in cases {
        let finding = said(label, change);
        assert_eq!(finding.severity, severity, "{label}");
        assert!(finding.evidence.join("\n").contains(text), "{label}: {finding:?}");
        assert!(finding.remedy.is_some(), "{label}");
    }
    let files = said("database-files", |world| world.database_files = vec![socket()]);
    assert!(files.evidence[0].contains("mongodb cannot remove it"), "{files:?}");
}

/// Where each check is provoked: on a machine, beside a real database, or here. A check that nothing provokes may never
/// speak.
/// `/boot` is in the table, and nothing is mounted there: `places.rs` has all kinds.
#[test]
fn a_boot_that_is_not_mounted_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("etc/fstab", "UUID=0000-0000 /boot ext4 noauto,nofail 0 2\n"),
        ("proc/self/mountinfo", "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let finding = said_of("places-writable", dir.path()).unwrap();
    assert!(finding.evidence[0].starts_with("/boot: UUID=0000-0000 is to be mounted there"), "{finding:?}");
}

/// As seen with Debian 12's dkms, whose hook fails for a module that excludes the kernel, and Debian 13's, whose does not.
#[test]
fn a_module_that_would_fail_the_installation_of_a_kernel_is_told() {
    const OLD: &[u8] = b"            echo $\"dkms-3.0.10\"\n";
    const EXCLUDED: &[u8] = b"AUTOINSTALL=\"yes\"\nBUILD_EXCLUSIVE_KERNEL=\"^5\\..*\"\n";
    const TAKEN: &[u8] = b"AUTOINSTALL=\"yes\"\n";
    const CONF: &str = "var/lib/dkms/lab/1/source/dkms.conf";
    const NEWER: &str = "var/lib/dkms/lab/2/source/dkms.conf";
    for (what, files, is_told) in [
        ("Debian 12", vec![("usr/sbin/dkms", OLD), (CONF, EXCLUDED)], true),
        ("Debian 13", vec![("usr/sbin/dkms", b"            echo \"dkms-3.2.2\"\n"), (CONF, EXCLUDED)], false),
        ("not by itself", vec![("usr/sbin/dkms", OLD), (CONF, b"BUILD_EXCLUSIVE_KERNEL=\"^5\\..*\"\n")], false),
        ("it takes the kernel", vec![("usr/sbin/dkms", OLD), (CONF, TAKEN)], false),
        ("a newer one takes it", vec![("usr/sbin/dkms", OLD), (CONF, EXCLUDED), (NEWER, TAKEN)], false),
        ("none is built", vec![("usr/sbin/dkms", OLD), (CONF, EXCLUDED), ("etc/dkms/no-autoinstall", b"")], false),
    ] {
        let dir = tree(&files);
        let world = World::new();
        for name in ["linux-image-6.1.0-50-amd64", "linux-headers-6.1.0-50-amd64"] {
            let (name, to) = (name.to_owned(), Some("6.1.1".to_owned()));
            let change = PackageChange { name, action: PackageAction::Install, from: None, to, origin: None };
            world.lock().unwrap().pending.push(change);
        }
        let mut host = host(&world);
        host.kernels = Arc::new(Kernel::new(dir.path().to_owned(), "/usr/bin/patchday"));
        let found = finding(&results(&host, &settings(), &options()), "kernel-hook");
        assert_eq!(found.is_some(), is_told, "{what}: {found:?}");
        if let Some(found) = found {
            assert!(found.evidence[0].starts_with("lab/1 does not take 6.1.0-50-amd64: "), "{found:?}");
        }
    }
}

/// What starts the host decides: what each kind of host is told is in `next_kernel.rs`.
#[test]
fn an_older_kernel_of_the_next_boot_is_a_blocker_where_the_run_may_reboot() {
    for (no_reboot, severity) in [(false, Severity::Blocker), (true, Severity::Warning)] {
        let mut scenario = Scenario::new();
        scenario.options.no_reboot = no_reboot;
        scenario.world().kernels = vec!["6.1.0-41-amd64"];
        let (_, run) = scenario.run_to_end();
        let check = run.checks.iter().find(|check| check.label == "next-kernel").unwrap();
        assert_eq!(check.finding.as_ref().unwrap().severity, severity, "{check:?}");
    }
}

/// Seen on emulated machines beside builds: systemd and timedated took longer than 15 and 20 s, and runs were refused.
#[test]
fn a_host_that_is_slow_is_not_refused() {
    let of_files = Duration::from_secs(10);
    for check in CATALOGUE.iter().filter(|check| check.deadline != of_files) {
        assert!(check.deadline >= Duration::from_secs(60), "{} has {:?}", check.label, check.deadline);
    }
}

#[test]
fn every_check_of_the_catalogue_is_provoked() {
    let machines = [
        "tests/lab/src/strangers/database.rs",
        "tests/lab/src/strangers/probes.rs",
        "tests/machine/checks.rs",
        "tests/machine/end_proof.rs",
        "tests/machine/hooks.rs",
        "tests/machine/least_restart.rs",
        "tests/machine/only_planned.rs",
        "tests/machine/upgrade.rs",
        "tests/lab/src/bin/mongodb/trouble.rs",
    ];
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let here = read("tests/suite/checks.rs") + &read("tests/suite/units.rs");
    let on_machines = machines.map(read).concat();
    // What a machine cannot show is listed there, with the reason.
    let (refused, on_machines) = {
        let (before, rest) = on_machines.split_once("const NOT_ON_A_MACHINE").unwrap();
        let (list, after) = rest.split_once("];").unwrap();
        (list.to_owned(), format!("{before}{after}"))
    };
    let (mut machine, mut memory, mut nowhere) = (Vec::new(), Vec::new(), Vec::new());
    for check in CATALOGUE {
        let quoted = format!("\"{}\"", check.label);
        match (on_machines.contains(&quoted), here.contains(&quoted)) {
            (true, _) => machine.push(check.label),
            (false, true) => memory.push(check.label),
            (false, false) => nowhere.push(check.label),
        }
    }
    println!(
        "{} checks: {} provoked on machines, {} elsewhere: {memory:?}",
        CATALOGUE.len(),
        machine.len(),
        memory.len()
    );
    assert!(nowhere.is_empty(), "nothing provokes {nowhere:?}");
    for label in memory.iter().filter(|label| !label.starts_with("database-")) {
        assert!(refused.contains(&format!("\"{label}\"")), "why is {label} on no machine?");
    }
}

#[test]
fn users_who_were_seen_lately_are_counted_in_the_database() {
    let world = World::new();
    let now = world.lock().unwrap().now;
    world.lock().unwrap().seen = [1, 4, 299, 301].map(|seconds| now - SignedDuration::from_secs(seconds)).to_vec();
    let source = UserSource::Documents {
        unit: "mongod.service".parse().unwrap(),
        collection: "shop.sessions".into(),
        field: "lastSeen".into(),
        within: SignedDuration::from_mins(5),
    };
    for (limit, is_content) in [(3, true), (2, false)] {
        let mut settings = settings();
        settings.preflight.users = Some(UserCount { source: source.clone(), limit });
        let finding = finding(&results(&host(&world), &settings, &options()), "users-active");
        assert_eq!(finding.is_none(), is_content, "{finding:?}");
        if let Some(finding) = finding {
            let told = "shop.sessions has documents with a lastSeen of the last 5 min: 3, the limit is 2";
            assert_eq!((finding.severity, finding.evidence[0].as_str()), (Severity::Blocker, told));
        }
    }
}

/// A probe that never worked is known before anything stops. What does not run is told elsewhere.
#[test]
fn every_probe_is_tried_before_anything_stops() {
    let tcp = || {
        let mut settings = settings();
        settings.services[1].readiness = ReadinessProbe::Tcp { address: "127.0.0.1:1".into() };
        settings
    };
    type Change = fn(&mut World);
    let cases: [(&str, Option<&str>, Change); 4] = [
        ("ready", None, |_| {}),
        ("not ready", Some("api.service: HTTP 503"), |world| world.unit(API).never_ready = true),
        ("asked too often", Some("asked too often (status 429), and to come back after 1 min"), |world| {
            world.asked_too_often = Some(SignedDuration::from_mins(1));
        }),
        ("does not run", None, |world| world.unit(API).active = "inactive"),
    ];
    for (case, expected, change) in cases {
        let world = World::new();
        change(&mut world.lock().unwrap());
        let found = finding(&results(&host(&world), &tcp(), &options()), "readiness");
        assert_eq!(found.is_some(), expected.is_some(), "{case}: {found:?}");
        if let (Some(found), Some(expected)) = (found, expected) {
            assert_eq!(found.severity, Severity::Blocker, "{case}");
            assert!(found.evidence[0].contains(expected), "{case}: {found:?}");
        }
    }
}
