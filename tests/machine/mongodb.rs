//! MongoDB under Patchday on a disposable machine: a canary through a whole run, and refusals to start. The long
//! form, with replica sets, writers and more troubles, is `tests/lab/mongodb`.
use std::time::Duration;

use crate::on_machine::{CONFIG, assert_in_service, json, machine_with_patchday, patchday};
use patchday_lab::{Machine, Suite, services, wait_for};

const REBOOT: Duration = Duration::from_secs(300);

/// Patchday's configuration. A flag of Debian's says that a reboot is wanted, so that no package need be upgraded.
fn configure(machine: &Machine) {
    // In the block of the connection, before its `uri`.
    let services = services(machine, "stop-timeout = \"60s\"\ndrain-timeout = \"2s\"", "")
        .replace("\nuri =", "\ncanary = \"sample.orders\"\nuri =");
    let text = format!("{services}[verify]\nsettle = \"2s\"\n");
    machine.write_file(CONFIG, &text).unwrap();
    machine.write_file("/run/reboot-required", "*** System restart required ***\n").unwrap();
    machine.write_file("/run/reboot-required.pkgs", "libc6\n").unwrap();
}

#[test]
fn the_canary_survives_a_reboot_and_the_proof_is_whole() {
    let machine = machine_with_patchday(Suite::Bookworm, "db-canary");
    configure(&machine);
    let boot = machine.boot_id().unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    machine.wait_for_reboot(&boot, REBOOT).unwrap();
    let _went_down_with_the_machine = run.wait();
    let end = patchday(&machine, &["attach", "--last"]);
    assert_eq!(end.code(), Some(0), "{end:?}\n{}", machine.journal());
    assert_in_service(&machine);
    let report = json(&machine, &["report", "--json"]);
    let services = report["services"].as_array().unwrap();
    let mongod = services.iter().find(|service| service["unit"] == "mongod.service").unwrap();
    println!("{mongod:#}");
    let (stopped, back) = (&mongod["stopped"], &mongod["database"]);
    assert_eq!(stopped["database_evidence"]["storage_closed"], true, "{stopped}");
    assert_eq!(back["start"]["unclean_shutdown_seen"], false, "{back}");
    assert_eq!(back["canary"], stopped["canary"]);
    assert_eq!(back["canary"]["documents"], 500, "{back}");
}

/// What is done to a stopped mongod, and the finding that names it.
const REFUSALS: [(&str, &[&str], &[&str]); 3] = [
    ("mongod-socket-owner", &["touch", "/tmp/mongodb-PORT.sock"], &["rm", "/tmp/mongodb-PORT.sock"]),
    (
        "mongod-dbpath-owner",
        &["chown", "root:root", "/var/lib/mongod/WiredTiger.wt"],
        &["chown", "mongod:mongod", "/var/lib/mongod/WiredTiger.wt"],
    ),
    ("mongod-dbpath-missing", &["mv", "/var/lib/mongod", "/root/away"], &["mv", "/root/away", "/var/lib/mongod"]),
];

#[test]
fn the_doctor_names_why_a_mongod_refuses_to_start() {
    let machine = machine_with_patchday(Suite::Bookworm, "db-doctor");
    let run = |words: &[&str]| {
        let port = machine.mongod_port().to_string();
        let words: Vec<String> = words.iter().map(|word| word.replace("PORT", &port)).collect();
        machine.exec_ok(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    };
    let healthy = patchday(&machine, &["doctor", "mongod.service"]);
    assert_eq!(healthy.code(), Some(0), "{healthy:?}");
    for (key, break_it, mend) in REFUSALS {
        run(&["systemctl", "stop", "sample-api.service", "mongod.service"]);
        run(break_it);
        machine.exec(&["systemctl", "start", "mongod.service"]).unwrap();
        wait_for("mongod's refusal", Duration::from_secs(60), || {
            let state = machine.exec_ok(&["systemctl", "show", "-P", "ActiveState", "mongod.service"])?;
            Ok((state.trim() == "failed").then_some(()))
        })
        .unwrap();
        let told = patchday(&machine, &["doctor", "mongod.service"]);
        println!("{}", told.stdout);
        assert_eq!(told.code(), Some(23), "{told:?}");
        let found = json(&machine, &["doctor", "mongod.service", "--json"]);
        assert_eq!(found["findings"][0]["key"], key, "{found:#}");
        run(mend);
        machine.exec(&["systemctl", "reset-failed", "mongod.service"]).unwrap();
    }
    run(&["systemctl", "start", "mongod.service", "sample-api.service"]);
    machine.wait_until_healthy(Duration::from_secs(60)).unwrap();
}
