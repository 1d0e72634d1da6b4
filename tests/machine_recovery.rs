//! What can go wrong around a run, on real machines: a systemd that does not answer, a reboot that does not come. See
//! `docs/reliability.md`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "common/on_machine.rs"]
mod on_machine;

use std::time::Duration;

use on_machine::{CONFIG, assert_in_service, json, machine_with_patchday, patchday, step};
use patchday_lab::{Machine, Suite, wait_for};

const PATIENCE: Duration = Duration::from_secs(300);

fn machine(name: &str, more: &str) -> Machine {
    let machine = machine_with_patchday(Suite::Bookworm, name);
    let text = format!(
        r#"
[[service]]
unit = "mongod.service"
kind = "mongodb"
start-timeout = "60s"
drain-timeout = "3s"
[service.readiness]
probe = "mongodb"
[service.mongodb]
uri = "mongodb://127.0.0.1:{mongod}"

[[service]]
unit = "sample-api.service"
after = ["mongod.service"]
start-timeout = "60s"
[service.readiness]
probe = "http"
url = "http://127.0.0.1:{api}/health"

[verify]
settle = "1s"

[preflight]
allow = ["boot-space"]

{more}
"#,
        mongod = machine.mongod_port(),
        api = machine.api_port(),
    );
    machine.exec_ok(&["mkdir", "-p", "/etc/patchday"]).unwrap();
    machine.write_file(CONFIG, &text).unwrap();
    machine
}

fn evidence(machine: &Machine) -> String {
    format!("{}\n{}", machine.journal(), patchday(machine, &["report"]).stdout)
}

/// A service that never stops, as one that waits for a dead file server.
fn add_stuck_service(machine: &Machine) {
    let unit = "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep infinity\nTimeoutStopSec=infinity\n\
                [Install]\nWantedBy=multi-user.target\n";
    machine.write_file("/etc/systemd/system/stuck.service", unit).unwrap();
    machine.exec_ok(&["systemctl", "daemon-reload"]).unwrap();
    machine.exec_ok(&["systemctl", "enable", "--now", "stuck.service"]).unwrap();
}

#[test]
fn a_reboot_that_hangs_is_named_and_taken_back() {
    let machine = machine("stuck-reboot", "[reboot]\nwhen = \"always\"\ngrace = \"25s\"\n");
    add_stuck_service(&machine);
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("the end of the run", PATIENCE, || {
        let status = machine.exec(&["patchday", "status", "--json"])?;
        let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap_or_default();
        Ok((status["open"] == false && status["coordinator"].is_null()).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", evidence(&machine)));
    let _ = run.kill();
    let _ = run.wait();
    let attached = patchday(&machine, &["attach", "--last"]);
    println!("{}{}", attached.stderr, attached.stdout);
    assert_eq!(attached.code(), Some(22), "{}", evidence(&machine));
    assert_eq!(machine.boot_count(), 1);
    assert_in_service(&machine);
    let reason = json(&machine, &["report", "--json"])["failure"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("the stop of stuck.service") && reason.contains("was taken back"), "{reason}");
    // Nothing of the shutdown is left: whoever comes next can log in, and start what he likes.
    let jobs = machine.exec_ok(&["systemctl", "list-jobs", "--no-legend"]).unwrap();
    assert!(!jobs.contains("reboot.target") && !jobs.contains("shutdown.target"), "{jobs}");
    assert!(!machine.exists("/run/nologin").unwrap(), "nobody can log in");
    machine.exec_ok(&["systemctl", "restart", "sample-api.service"]).unwrap();
}

#[test]
fn a_reboot_that_hangs_is_forced_where_that_is_wanted() {
    let machine = machine("forced-reboot", "[reboot]\nwhen = \"always\"\ngrace = \"5s\"\nforce-after = \"20s\"\n");
    add_stuck_service(&machine);
    let boot = machine.boot_id().unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    machine.wait_for_reboot(&boot, PATIENCE).unwrap_or_else(|error| panic!("{error}\n{}", evidence(&machine)));
    let _ = run.wait();
    let attached = patchday(&machine, &["attach", "--last"]);
    println!("{}{}", attached.stderr, attached.stdout);
    assert_eq!(attached.code(), Some(0), "{}", evidence(&machine));
    assert_in_service(&machine);
    assert!(attached.stderr.contains("rebooted without waiting"), "{}", attached.stderr);
}

/// A reload of systemd's units takes longer than any call waits: as on a host with a generator that hangs.
#[test]
fn a_hold_is_released_even_where_systemd_does_not_answer_for_a_while() {
    let machine = machine("slow-reload", "[reboot]\nwhen = \"never\"\n");
    let generator = "#!/bin/sh\nif [ -e /run/slow-reload ]; then rm /run/slow-reload; sleep 65; fi\n";
    machine.write_program("/etc/systemd/system-generators/slow", generator.as_bytes()).unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("apt at work", PATIENCE, || Ok(step(&machine).filter(|step| step == "upgrade"))).unwrap();
    // The next reload is the one that releases the first service; apt's own come before, and may not be slow.
    wait_for("the end of apt", PATIENCE, || Ok((step(&machine).as_deref() != Some("upgrade")).then_some(()))).unwrap();
    machine.write_file("/run/slow-reload", "").unwrap();
    wait_for("the end of the run", PATIENCE, || {
        let status = machine.exec(&["patchday", "status", "--json"])?;
        let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap_or_default();
        Ok((status["open"] == false && status["coordinator"].is_null()).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", evidence(&machine)));
    let _ = run.wait();
    assert!(!machine.exists("/run/slow-reload").unwrap(), "no reload was slow: nothing is proven");
    let attached = patchday(&machine, &["attach", "--last"]);
    println!("{}{}", attached.stderr, attached.stdout);
    assert_eq!(attached.code(), Some(0), "{}", evidence(&machine));
    assert_in_service(&machine);
}
