//! Who else wants something from the host, on real machines: other patch tools, their timers and their locks. See
//! `docs/reliability.md`.
use std::time::Duration;

use crate::on_machine::{UNITS, assert_in_service, json, machine_with_one_update, patchday, step};
use patchday_lab::{Machine, wait_for};

const PATIENCE: Duration = Duration::from_secs(300);

const TIMERS: [&str; 2] = ["apt-daily.timer", "apt-daily-upgrade.timer"];

fn show(machine: &Machine, unit: &str, property: &str) -> String {
    machine.exec_ok(&["systemctl", "show", "-P", property, unit]).unwrap().trim().to_owned()
}

fn of_timers(machine: &Machine, property: &str) -> Vec<String> {
    TIMERS.iter().map(|timer| show(machine, timer, property)).collect()
}

/// Holds dpkg's lock as apt does, in a unit of its own; returns the process.
fn hold_a_lock(machine: &Machine) -> String {
    let script = "use Fcntl; open(F, '+<', '/var/lib/dpkg/lock-frontend') or die; \
                  my $l = pack('s s x4 q q i x4', F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $l) or die; \
                  open(R, '>', '/run/lab-lock') or die; close R; sleep 1000000";
    machine.exec_ok(&["systemd-run", "--quiet", "--unit=lab-lock", "perl", "-e", script]).unwrap();
    wait_for("the lock", PATIENCE, || Ok(machine.exists("/run/lab-lock")?.then_some(()))).unwrap();
    show(machine, "lab-lock.service", "MainPID")
}

/// The events of the run, as they were told.
fn told(machine: &Machine) -> String {
    machine.exec(&["sh", "-c", "cat /var/lib/patchday/runs/*/events.jsonl"]).unwrap().stdout
}

/// apt's own timers, of which one is enabled, and one was only started by somebody.
#[test]
fn timers_of_apt_are_paused_and_go_on_even_after_a_crash() {
    let machine = machine_with_one_update("rival-timers", "[reboot]\nwhen = \"never\"\n");
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

    // Somebody else's package manager is at work, and the run waits for it while the services run.
    let rival = hold_a_lock(&machine);
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    let waits = format!(
        "waiting for apt's locks, 10 min at most: process {rival} (perl) of lab-lock.service holds /var/lib/dpkg/lock-frontend"
    );
    wait_for("the name of who holds apt's lock", PATIENCE, || Ok(told(&machine).contains(&waits).then_some(())))
        .unwrap_or_else(|error| panic!("{error}\n{}", told(&machine)));
    for unit in UNITS.iter().chain(&TIMERS) {
        assert_eq!(show(&machine, unit, "ActiveState"), "active", "{unit}");
    }
    machine.exec_ok(&["systemctl", "stop", "lab-lock.service"]).unwrap();

    wait_for("apt at work", PATIENCE, || Ok(step(&machine).filter(|step| step == "upgrade"))).unwrap();
    assert_eq!(of_timers(&machine, "ActiveState"), ["inactive", "inactive"]);
    let changed = patchday(&machine, &["status"]).stdout;
    assert!(changed.contains("apt-daily.timer (paused)"), "{changed}");

    // Whoever starts a service that is held comes too early.
    machine.exec(&["systemctl", "start", "mongod.service"]).unwrap();
    assert_eq!(show(&machine, "mongod.service", "ActiveState"), "inactive");

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
