//! Who else wants something from the host, on real machines: other patch tools, their timers and their locks. See
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

[limits]
cpu = "100%"
nice = 0

[preflight]
allow = ["boot-space"]

{more}
"#,
        mongod = machine.mongod_port(),
        api = machine.api_port(),
    );
    machine.exec_ok(&["mkdir", "-p", "/etc/patchday"]).unwrap();
    machine.write_file(CONFIG, &text).unwrap();
    // One package is an upgrade too, and takes no minutes.
    let pending = machine.pending_upgrades().unwrap();
    let kept = pending.iter().find(|name| *name == "tzdata").or(pending.first()).unwrap();
    let held: Vec<&str> = pending.iter().filter(|name| *name != kept).map(String::as_str).collect();
    machine.exec_ok(&[&["apt-mark", "hold"], &held[..]].concat()).unwrap();
    machine
}

const TIMERS: [&str; 2] = ["apt-daily.timer", "apt-daily-upgrade.timer"];

fn show(machine: &Machine, unit: &str, property: &str) -> String {
    machine.exec_ok(&["systemctl", "show", "-P", property, unit]).unwrap().trim().to_owned()
}

fn of_timers(machine: &Machine, property: &str) -> Vec<String> {
    TIMERS.iter().map(|timer| show(machine, timer, property)).collect()
}

/// apt's own timers, of which one is enabled, and one was only started by somebody.
#[test]
fn timers_of_apt_are_paused_and_go_on_even_after_a_crash() {
    let machine = machine("rival-timers", "[reboot]\nwhen = \"never\"\n");
    for timer in TIMERS {
        machine.exec_ok(&["systemctl", "unmask", timer]).unwrap();
        // Not now: they shall only be there.
        let later = "[Timer]\nOnCalendar=\nOnCalendar=2099-01-01\nPersistent=false\nRandomizedDelaySec=0\n";
        machine.exec_ok(&["mkdir", "-p", &format!("/etc/systemd/system/{timer}.d")]).unwrap();
        machine.write_file(&format!("/etc/systemd/system/{timer}.d/later.conf"), later).unwrap();
    }
    machine.exec_ok(&["systemctl", "daemon-reload"]).unwrap();
    machine.exec_ok(&["systemctl", "enable", TIMERS[0]]).unwrap();
    machine.exec_ok(&["systemctl", "disable", TIMERS[1]]).unwrap();
    machine.exec_ok(&["systemctl", "start", TIMERS[0], TIMERS[1]]).unwrap();
    assert_eq!(of_timers(&machine, "ActiveState"), ["active", "active"]);

    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("apt at work", PATIENCE, || Ok(step(&machine).filter(|step| step == "upgrade"))).unwrap();
    assert_eq!(of_timers(&machine, "ActiveState"), ["inactive", "inactive"]);
    let changed = patchday(&machine, &["status"]).stdout;
    assert!(changed.contains("apt-daily.timer (paused)"), "{changed}");

    let status = json(&machine, &["status", "--json"]);
    machine.kill(u32::try_from(status["coordinator"].as_u64().unwrap()).unwrap(), "KILL").unwrap();
    let _ = run.wait();
    wait_for("the coordinator's end", Duration::from_secs(20), || {
        Ok(json(&machine, &["status", "--json"])["coordinator"].is_null().then_some(()))
    })
    .unwrap();
    let resumed = patchday(&machine, &["resume"]);
    println!("{}{}", resumed.stderr, resumed.stdout);
    assert_eq!(resumed.code(), Some(0), "{}", patchday(&machine, &["report"]).stdout);
    assert_in_service(&machine);
    assert_eq!(of_timers(&machine, "ActiveState"), ["active", "active"]);
    assert_eq!(of_timers(&machine, "UnitFileState"), ["enabled", "disabled"], "nothing is enabled for anybody");
    assert_eq!(json(&machine, &["report", "--json"])["still_changed"].as_array().map(Vec::len), Some(0));
}
