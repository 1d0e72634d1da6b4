//! Patchday on disposable machines: real systemd, D-Bus, apt, mongod and reboots. See `docs/testing.md`.
use std::time::{Duration, Instant};

use crate::on_machine::{CONFIG, assert_in_service, json, machine_with_patchday, patchday, step};
use patchday_lab::{ApiFault, Machine, Output, Suite, Usage, services, wait_for};

const START: Duration = Duration::from_secs(60);
const REBOOT: Duration = Duration::from_secs(240);
const UPGRADE: Duration = Duration::from_secs(300);

fn machine(suite: Suite, name: &str) -> Machine {
    let machine = machine_with_patchday(suite, name);
    configure(&machine, "60s");
    machine
}

fn configure(machine: &Machine, stop_timeout: &str) {
    let stop = format!("stop-timeout = \"{stop_timeout}\"\n");
    let database = format!("{stop}start-timeout = \"60s\"\ndrain-timeout = \"3s\"");
    let services = services(machine, &database, &format!("{stop}start-timeout = \"20s\""));
    let text = format!("{services}[limits]\ncpu = \"80%\"\n[reboot]\nwhen = \"always\"\n[verify]\nsettle = \"3s\"\n");
    machine.write_file(CONFIG, &text).unwrap();
}

/// Runs, follows the run through its reboot, and returns its exit code, and what it used.
fn run_through_reboot(machine: &Machine) -> (i32, Usage) {
    let boot = machine.boot_id().unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    let began = Instant::now();
    let recorded = || Ok(json(machine, &["status", "--json"])["run"].as_str().map(str::to_owned));
    let id = wait_for("the run to be recorded", START, recorded).unwrap();
    let (usage, rebooted) = Usage::during(machine, &id, || {
        machine.wait_for_reboot(&boot, UPGRADE + REBOOT).map(|_| patchday(machine, &["attach", "--last"]))
    });
    let output = rebooted.unwrap_or_else(|error| {
        let _ = run.kill();
        let output = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        panic!("{error} after {:?}\n{said}\n{}", began.elapsed(), evidence(machine));
    });
    println!("{}{}", output.stderr, output.stdout);
    (output.code().unwrap(), usage)
}

/// What a coordinator may use, in a build that is not optimized: close bounds where a busy host changes nothing, wide ones for
/// what grows with the time that apt takes. Seen were 4,434 faults, 43 MiB, 12,594 reads and writes, and 11 % of apt's time.
/// `tests/lab/figures` measures what is shipped.
fn assert_cheap(usage: &Usage) {
    let (own, apt) = (usage.own(), usage.of_apt());
    let said = format!(
        "{own:?} of CPU beside {apt:?} of apt, {} KiB, {} faults, {} reads and writes",
        usage.peak_kib(),
        usage.faults(),
        usage.calls()
    );
    println!("{said}");
    assert!(own > Duration::ZERO && usage.faults() > 0 && usage.calls() > 0, "nothing was measured: {said}");
    assert!(usage.faults() <= 5_500, "{said}");
    assert!(usage.peak_kib() <= 50 * 1024, "{said}");
    assert!(usage.calls() <= 25_000, "{said}");
    assert!(own <= apt / 2, "{said}");
}

fn evidence(machine: &Machine) -> String {
    format!("{}\n{}", machine.journal(), patchday(machine, &["report"]).stdout)
}

fn happy_path(suite: Suite, name: &str) {
    let machine = machine(suite, name);
    let documents = machine.document_count().unwrap();
    let first_boot = machine.boot_id().unwrap();

    let (code, usage) = run_through_reboot(&machine);
    assert_eq!(code, 0, "{}", evidence(&machine));
    // The bounds are those of this release and its pending updates.
    if suite == Suite::Bookworm {
        assert_cheap(&usage);
    }
    assert_in_service(&machine);
    assert_ne!(machine.boot_id().unwrap(), first_boot);
    assert_eq!(machine.document_count().unwrap(), documents, "documents were lost");
    assert!(machine.pending_upgrades().unwrap().is_empty());

    let report = json(&machine, &["report", "--json"]);
    println!("{report:#}");
    assert_eq!(report["verdict"], "healthy");
    assert_eq!(report["exit_code"], 0);
    assert!(report["packages"]["changes"].as_array().map_or(0, Vec::len) >= 10, "{}", report["packages"]);
    let services = report["services"].as_array().unwrap();
    let service = |unit: &str| services.iter().find(|service| service["unit"] == unit).unwrap();
    let stopped = &service("mongod.service")["stopped"];
    assert_eq!(stopped["result"], "success", "{stopped}");
    assert_eq!(stopped["exit_status"], 0, "{stopped}");
    assert_eq!(stopped["database_evidence"]["lock_file_bytes"], 0, "{stopped}");
    assert_eq!(stopped["database_evidence"]["logged_exit_code"], 0, "{stopped}");
    // Somebody was there before them: on a busy host both may become ready between the same two looks, but not unseen.
    let order = report["order"].as_array().unwrap();
    let [edge] = order.as_slice() else { panic!("{order:?}") };
    let is_known = ["kept", "waited"].iter().any(|word| edge["order"] == *word);
    assert!(is_known || edge["why"] == "together", "{edge}");
    let log = machine.read_file("/var/log/mongod/mongod.log").unwrap();
    let since_start = log.rsplit_once("\"id\":4615611").unwrap().1;
    assert!(!since_start.contains("\"id\":22271"), "mongod found an unclean shutdown");

    // Directly after: nothing to do, nothing stopped.
    let invocation = || machine.exec_ok(&["systemctl", "show", "-P", "InvocationID", "mongod.service"]).unwrap();
    let before = invocation();
    let second = patchday(&machine, &["run", "--yes"]);
    assert_eq!(second.code(), Some(0), "{second:?}");
    assert!(second.stdout.to_lowercase().contains("nothing to do"), "{}", second.stdout);
    assert_eq!(invocation(), before, "mongod was stopped for nothing");
}

#[test]
fn a_debian_12_machine_is_patched_rebooted_and_verified() {
    happy_path(Suite::Bookworm, "happy-12");
}

#[test]
fn a_debian_13_machine_is_patched_rebooted_and_verified() {
    happy_path(Suite::Trixie, "happy-13");
}

#[test]
fn an_api_that_ignores_the_stop_ends_the_run_before_apt() {
    let machine = machine(Suite::Bookworm, "stubborn-api");
    configure(&machine, "5s");
    // systemd's own patience is longer than ours, and then it kills: that is the admin's setting, not our deed.
    let patience = "[Service]\nTimeoutStopSec=15s\n";
    machine.exec_ok(&["mkdir", "-p", "/etc/systemd/system/sample-api.service.d"]).unwrap();
    machine.write_file("/etc/systemd/system/sample-api.service.d/patience.conf", patience).unwrap();
    machine.exec_ok(&["systemctl", "daemon-reload"]).unwrap();
    machine.set_api_faults(&[ApiFault::IgnoreSigterm]).unwrap();
    machine.exec_ok(&["systemctl", "restart", "sample-api.service"]).unwrap();
    machine.wait_until_healthy(Duration::from_secs(30)).unwrap();
    let output = patchday(&machine, &["run", "--yes"]);
    assert_aborted_in_service(&machine, &output, "sample-api.service did not stop within 5");
}

#[test]
fn a_mongod_that_does_not_stop_in_time_ends_the_run_before_apt() {
    let machine = machine(Suite::Bookworm, "stubborn-mongod");
    configure(&machine, "6s");
    // The server ends, and the unit takes its time: what a slow flush or a slow backup hook looks like from outside.
    machine.exec_ok(&["mkdir", "-p", "/etc/systemd/system/mongod.service.d"]).unwrap();
    let slow = "[Service]\nExecStopPost=/bin/sleep 12\n";
    machine.write_file("/etc/systemd/system/mongod.service.d/slow.conf", slow).unwrap();
    machine.exec_ok(&["systemctl", "daemon-reload"]).unwrap();
    let output = patchday(&machine, &["run", "--yes"]);
    assert_aborted_in_service(&machine, &output, "mongod.service did not stop within 6");
}

fn assert_aborted_in_service(machine: &Machine, output: &Output, reason: &str) {
    println!("{}{}", output.stderr, output.stdout);
    assert_eq!(output.code(), Some(21), "{}", evidence(machine));
    assert_in_service(machine);
    let report = json(machine, &["report", "--json"]);
    assert!(report["failure"].to_string().contains(reason), "{}", report["failure"]);
    assert!(!machine.pending_upgrades().unwrap().is_empty(), "apt has run");
    assert_eq!(machine.boot_count(), 1);
    let started = |unit: &str| {
        let usec = machine.exec_ok(&["systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", unit]).unwrap();
        usec.trim().parse::<u64>().unwrap()
    };
    assert!(started("mongod.service") <= started("sample-api.service"));
}

#[test]
fn an_api_that_is_broken_after_the_reboot_is_the_first_cause() {
    let machine = machine(Suite::Bookworm, "broken-api");
    machine.set_api_faults(&[ApiFault::FailAfterReboot]).unwrap();
    let (code, _) = run_through_reboot(&machine);
    assert_eq!(code, 23, "{}", evidence(&machine));
    let report = json(&machine, &["report", "--json"]);
    assert_eq!(report["verdict"], "failed");
    let first = report["findings"][0]["title"].as_str().unwrap().to_owned();
    assert!(first.starts_with("sample-api.service is not back"), "{first}");
}

#[test]
fn a_killed_coordinator_and_a_closed_terminal_change_nothing() {
    let machine = machine(Suite::Bookworm, "killed");
    let boot = machine.boot_id().unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("apt at work", UPGRADE, || Ok(step(&machine).filter(|step| step == "upgrade"))).unwrap();

    // The terminal goes first: the run goes on.
    run.kill().unwrap();
    run.wait().unwrap();
    let apt = || {
        let units = ["systemctl", "list-units", "--plain", "--no-legend", "--state=active", "patchday-upgrade-*"];
        machine.exec_ok(&units).unwrap()
    };
    wait_for("apt's unit", Duration::from_secs(20), || Ok((!apt().is_empty()).then_some(()))).unwrap();
    let status = json(&machine, &["status", "--json"]);
    let coordinator = u32::try_from(status["coordinator"].as_u64().unwrap()).unwrap();

    // A second run is refused, and told by whom.
    let second = patchday(&machine, &["run", "--yes"]);
    assert_eq!(second.code(), Some(11), "{second:?}");
    assert!(second.stderr.contains(&coordinator.to_string()), "{}", second.stderr);

    // Then the coordinator: apt goes on.
    machine.kill(coordinator, "KILL").unwrap();
    wait_for("the coordinator's end", Duration::from_secs(20), || {
        Ok(json(&machine, &["status", "--json"])["coordinator"].is_null().then_some(()))
    })
    .unwrap();
    let unit = apt();
    assert!(unit.contains("running"), "apt did not go on: {unit}");

    let mut resumed = machine.spawn(&["patchday", "resume"]).unwrap();
    machine.wait_for_reboot(&boot, UPGRADE + REBOOT).unwrap_or_else(|e| panic!("{e}\n{}", evidence(&machine)));
    let _ = resumed.wait();
    let output = patchday(&machine, &["attach", "--last"]);
    println!("{}{}", output.stderr, output.stdout);
    assert_eq!(output.code(), Some(0), "{}", evidence(&machine));
    assert_in_service(&machine);
    let log = machine.read_file("/var/log/apt/history.log").unwrap();
    assert!(!log.contains("Error:"), "dpkg was disturbed: {log}");
}
