//! Debian's own PostgreSQL, MariaDB and Redis on a disposable machine: each proves its clean end, and one that is killed
//! under its stop ends the run before apt. See `docs/databases.md`.
use std::time::Duration;

use crate::on_machine::{CONFIG, json, machine_with_patchday, patchday};
use patchday_lab::{Machine, Suite, wait_for};
use serde_json::Value;

/// Each unit, with what must prove its end, the field of the report that holds the proof, and what a kill leaves.
const SERVERS: [(&str, &str, &str, &str); 3] = [
    ("postgresql@15-main.service", "postgresql", "state", "\"in production\""),
    ("mariadb.service", "mariadb", "innodb", "does not say that InnoDB was shut down"),
    ("redis-server.service", "redis", "end", "does not say that it was ready to exit"),
];

/// The report as one line: it is wrapped for a screen.
fn report(machine: &Machine) -> String {
    patchday(machine, &["report"]).stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Debian's packages, and one update of something else that waits.
fn furnish(machine: &Machine) {
    let install = "export DEBIAN_FRONTEND=noninteractive; apt-get -q update >/dev/null; \
                   apt-get -q -y --no-install-recommends install postgresql mariadb-server redis-server >/dev/null";
    machine.exec_ok(&["sh", "-euc", install]).unwrap();
    let services = SERVERS.iter().map(|(unit, proof, ..)| {
        format!("[[service]]\nunit = \"{unit}\"\nstop-proof = \"{proof}\"\nstop-timeout = \"60s\"\n\n")
    });
    let more = "[verify]\nsettle = \"1s\"\n[limits]\ncpu = \"100%\"\n[preflight]\nallow = [\"boot-space\"]\n";
    machine.write_file(CONFIG, &(services.collect::<String>() + more)).unwrap();
    let pending = machine.pending_upgrades().unwrap();
    let kept = pending.iter().find(|name| *name == "tzdata").or(pending.first()).unwrap();
    let held: Vec<&str> = pending.iter().filter(|name| *name != kept).map(String::as_str).collect();
    machine.exec_ok(&[&["apt-mark", "hold"], &held[..]].concat()).unwrap();
}

fn stopped(report: &Value, unit: &str) -> Value {
    let services = report["services"].as_array().unwrap();
    services.iter().find(|service| service["unit"] == unit).unwrap()["stopped"].clone()
}

/// What could not be proven is a blocker, and nothing is stopped.
fn assert_a_unit_without_the_server_is_refused(machine: &Machine) {
    let right = machine.read_file(CONFIG).unwrap();
    machine.write_file(CONFIG, &right.replace("postgresql@15-main", "postgresql")).unwrap();
    let run = patchday(machine, &["run", "--yes", "--no-reboot"]);
    assert_eq!(run.code(), Some(20), "{run:?}");
    let text = report(machine);
    for said in ["stop-proof", "postgresql.service: it has no process"] {
        assert!(text.contains(said), "{text}");
    }
    machine.write_file(CONFIG, &right).unwrap();
}

/// One machine for all of it: these servers take a minute to install, and listen where Debian has them listen, on the
/// network that machines share.
#[test]
fn debians_servers_prove_a_clean_end_and_a_kill_ends_the_run_before_apt() {
    let machine = machine_with_patchday(Suite::Bookworm, "end-proof");
    furnish(&machine);
    assert_a_unit_without_the_server_is_refused(&machine);
    let pending = machine.pending_upgrades().unwrap();
    for (unit, _, _, why) in SERVERS {
        let drop_in = format!("/etc/systemd/system/{unit}.d");
        machine.exec_ok(&["mkdir", "-p", &drop_in]).unwrap();
        // A service that may run nothing else (NoExecPaths=) needs no program for it.
        let kill = "[Service]\nExecStop=\nKillSignal=SIGKILL\n";
        machine.write_file(&format!("{drop_in}/kill.conf"), kill).unwrap();
        machine.exec_ok(&["systemctl", "daemon-reload"]).unwrap();
        let run = patchday(&machine, &["run", "--yes", "--no-reboot"]);
        let text = report(&machine);
        println!("--- {unit} is killed\n{text}");
        assert_eq!(run.code(), Some(21), "{run:?}");
        assert!(text.contains(&format!("{unit} did not end cleanly")) && text.contains(why), "{why}: {text}");
        assert_eq!(machine.pending_upgrades().unwrap(), pending, "apt was at work");
        machine.exec_ok(&["rm", "-r", &drop_in]).unwrap();
        machine.exec_ok(&["systemctl", "daemon-reload"]).unwrap();
        for (unit, ..) in SERVERS {
            wait_for("the servers", Duration::from_secs(60), || {
                Ok(machine.exec(&["systemctl", "is-active", "--quiet", unit])?.success().then_some(()))
            })
            .unwrap();
        }
    }

    let run = patchday(&machine, &["run", "--yes", "--no-reboot"]);
    let text = report(&machine);
    println!("--- all end cleanly\n{text}");
    assert_eq!(run.code(), Some(0), "{run:?}");
    let told = json(&machine, &["report", "--json"]);
    for (unit, proof, field, _) in SERVERS {
        let evidence = &stopped(&told, unit)["end_evidence"];
        assert_eq!(evidence["proof"], proof, "{unit}: {told:#}");
        println!("{unit}: {evidence}");
        match field {
            "state" => assert_eq!(evidence[field], "shut down"),
            "end" => assert_eq!(evidence[field], "saved"),
            _ => assert!(evidence[field]["complete"].as_u64().unwrap() > 0, "{evidence}"),
        }
    }
    assert!(text.contains("InnoDB shut down at log sequence number"), "{text}");
    assert_ne!(machine.pending_upgrades().unwrap(), pending);
}
