//! `[reboot] least = "soft"`, with a systemd that can (Debian 13) and one that cannot (Debian 12); and `"kexec"`, which no
//! container can.

use std::time::Duration;

use patchday_lab::{Machine, Suite, wait_for};
use serde_json::Value;

use crate::on_machine::{assert_in_service, json, machine_of_with_one_update, patchday};
use crate::recovery::add_stuck_service;

const PATIENCE: Duration = Duration::from_secs(300);

fn evidence(machine: &Machine) -> String {
    format!("{}\n{}", machine.journal(), patchday(machine, &["report"]).stdout)
}

fn show(machine: &Machine, property: &str) -> String {
    machine.exec_ok(&["systemctl", "show", "-P", property]).unwrap().trim().to_owned()
}

/// As an upgrade of these packages leaves it: systemd and dbus run files that are replaced. By its program the lab knows
/// the first process, so that it is its library.
fn replace_what_runs(machine: &Machine) {
    let replace = "for file in /usr/bin/dbus-daemon /usr/lib/*/systemd/libsystemd-shared-*.so; do
                   cp -a $file $file.new && mv $file.new $file; done";
    machine.exec_ok(&["sh", "-c", replace]).unwrap();
}

fn is_closed(machine: &Machine) -> bool {
    let Ok(status) = machine.exec(&["patchday", "status", "--json"]) else { return false };
    let status: Value = serde_json::from_str(&status.stdout).unwrap_or_default();
    status["run"].is_string() && status["open"] == false && status["coordinator"].is_null()
}

/// A whole run on a host whose programs owe a boot. Gives the machine, and the report.
fn patched(suite: Suite, name: &str, settings: &str) -> (Machine, Value) {
    let machine = machine_of_with_one_update(suite, name, settings);
    replace_what_runs(&machine);
    let plan = patchday(&machine, &["plan"]);
    println!("{}", plan.stdout);
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("the end of the run", PATIENCE, || Ok(is_closed(&machine).then_some(())))
        .unwrap_or_else(|error| panic!("{error}\n{}", evidence(&machine)));
    let _ = run.wait();
    let text = patchday(&machine, &["report"]);
    println!("{}", text.stdout);
    let attached = patchday(&machine, &["attach", "--last"]);
    assert_eq!(attached.code(), Some(0), "{}", evidence(&machine));
    assert_in_service(&machine);
    let report = json(&machine, &["report", "--json"]);
    println!("away: {}, back after {}", report["away"], report["reboot"]["back_after"]);
    (machine, report)
}

#[test]
#[ignore = "takes more than a minute on a busy host; run it by name"]
fn a_debian_13_machine_whose_programs_owe_a_boot_is_soft_rebooted_and_verified() {
    let (machine, report) = patched(Suite::Trixie, "soft-13", "[reboot]\nleast = \"soft\"\n");
    let reboot = &report["reboot"];
    assert_eq!((&reboot["restart"], &reboot["restarted"]), (&"soft".into(), &"soft".into()), "{reboot}");
    assert_eq!(reboot["first_boot"], reboot["last_boot"]);
    assert_eq!((&reboot["soft"], &reboot["unplanned"], &reboot["asked"]), (&0.into(), &0.into(), &1.into()));
    assert_eq!((report["verdict"].as_str(), machine.boot_count()), (Some("healthy"), 1), "{}", evidence(&machine));
    assert_eq!(show(&machine, "SoftRebootsCount"), "1");
    // What was owed is paid, and nothing is left of the run.
    assert!(report["owed"].as_array().is_none_or(Vec::is_empty), "{}", report["owed"]);
    let held = machine.exec(&["ls", "-A", "/run/patchday/hold", "/run/systemd/system"]).unwrap();
    assert!(!held.stdout.contains("service"), "{}", held.stdout);
    let failed = machine.exec_ok(&["systemctl", "list-units", "--failed", "--plain", "--no-legend"]).unwrap();
    assert!(!failed.contains("patchday"), "{failed}");
    // Times count from the soft reboot, and somebody was there before the services.
    for service in report["services"].as_array().unwrap() {
        let ready = service["returned"]["ready_usec"].as_u64().unwrap();
        assert!((1..120_000_000).contains(&ready), "{service}");
    }
    let order = report["order"].as_array().unwrap();
    assert!(order.len() == 1 && ["kept", "waited"].iter().any(|word| order[0]["order"] == *word), "{order:?}");
}

#[test]
#[ignore = "tests/suite/least_restart.rs has it in memory; run it by name"]
fn a_debian_12_machine_reboots_in_full_and_says_why() {
    let (machine, report) = patched(Suite::Bookworm, "soft-12", "[reboot]\nleast = \"soft\"\n");
    let reboot = &report["reboot"];
    assert_eq!((&reboot["restart"], &reboot["restarted"]), (&"full".into(), &"full".into()), "{reboot}");
    let because = reboot["restart_because"].to_string();
    assert!(because.contains("counts no soft reboots"), "{because}");
    let check = "least-restart";
    let plan = json(&machine, &["plan", "--json"]);
    let found = plan["checks"].as_array().unwrap().iter().find(|one| one["label"] == check).unwrap();
    assert_eq!(found["finding"]["severity"], "info", "{found}");
    assert_eq!(machine.boot_count(), 2);
}

#[test]
#[ignore = "tests/suite/least_restart.rs has it in memory; run it by name"]
fn a_container_is_not_started_by_kexec_and_says_why() {
    let (machine, report) = patched(Suite::Bookworm, "kexec-12", "[reboot]\nleast = \"kexec\"\n");
    let reboot = &report["reboot"];
    assert_eq!((&reboot["restart"], &reboot["restarted"]), (&"full".into(), &"full".into()), "{reboot}");
    let because = reboot["restart_because"].to_string();
    assert!(because.contains("a container has no kernel of its own"), "{because}");
    assert_eq!((report["verdict"].as_str(), machine.boot_count()), (Some("healthy"), 2), "{}", evidence(&machine));
}

/// The figure beside that of the soft reboot.
#[test]
#[ignore = "a figure to compare with; run it by name"]
fn a_debian_13_machine_is_rebooted_in_full_where_nobody_allows_less() {
    let (machine, report) = patched(Suite::Trixie, "full-13", "");
    assert_eq!(report["reboot"]["restarted"], "full");
    assert_eq!(machine.boot_count(), 2);
}

/// The power goes between the request and the soft reboot.
#[test]
#[ignore = "takes more than a minute, and tests/suite/crash.rs has it in memory; run it by name"]
fn a_power_cut_between_the_request_and_the_soft_reboot_is_a_reboot() {
    let machine = machine_of_with_one_update(Suite::Trixie, "soft-cut", "[reboot]\nleast = \"soft\"\n");
    replace_what_runs(&machine);
    // The shutdown has something to wait for.
    add_stuck_service(&machine);
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("the soft reboot to hang", PATIENCE, || {
        let jobs = machine.exec(&["systemctl", "list-jobs", "--no-legend"])?.stdout;
        Ok((jobs.contains("stuck.service") && jobs.contains("soft-reboot.target")).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", evidence(&machine)));
    machine.pull_the_plug().unwrap();
    let _ = run.wait();
    machine.boot().unwrap();
    wait_for("the end of the run", PATIENCE, || Ok(is_closed(&machine).then_some(())))
        .unwrap_or_else(|error| panic!("{error}\n{}", evidence(&machine)));
    let report = json(&machine, &["report", "--json"]);
    let reboot = &report["reboot"];
    assert_eq!((&reboot["restart"], &reboot["restarted"]), (&"soft".into(), &"full".into()), "{reboot}");
    assert_eq!(report["verdict"], "healthy", "{}", evidence(&machine));
    assert_in_service(&machine);
}

/// A soft reboot that does not come to its end is taken back in the grace period.
#[test]
#[ignore = "takes more than a minute, and tests/suite/least_restart.rs has it in memory; run it by name"]
fn a_soft_reboot_that_hangs_is_named_and_taken_back() {
    let settings = "[reboot]\nleast = \"soft\"\ngrace = \"20s\"\n";
    let machine = machine_of_with_one_update(Suite::Trixie, "soft-stuck", settings);
    replace_what_runs(&machine);
    add_stuck_service(&machine);
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("the end of the run", PATIENCE, || Ok(is_closed(&machine).then_some(())))
        .unwrap_or_else(|error| panic!("{error}\n{}", evidence(&machine)));
    let _ = run.kill();
    let _ = run.wait();
    let attached = patchday(&machine, &["attach", "--last"]);
    assert_eq!(attached.code(), Some(22), "{}", evidence(&machine));
    assert_eq!((machine.boot_count(), show(&machine, "SoftRebootsCount").as_str()), (1, "0"));
    assert_in_service(&machine);
    let reason = json(&machine, &["report", "--json"])["failure"]["reason"].to_string();
    assert!(reason.contains("waits for the stop of stuck.service; the shutdown was taken back"), "{reason}");
}
