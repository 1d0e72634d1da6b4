//! Patchday on a disposable machine: what every test there does.

use std::path::Path;
use std::time::Duration;

use crate::report_schema::assert_is_report;
use patchday_lab::{Lab, Machine, Output, Suite, services, wait_for};
use serde_json::Value;

pub(crate) const CONFIG: &str = "/etc/patchday/patchday.toml";
pub(crate) const UNITS: [&str; 2] = ["mongod.service", "sample-api.service"];

/// A booted machine with Patchday on it, and no configuration yet.
pub(crate) fn machine_with_patchday(suite: Suite, name: &str) -> Machine {
    let machine = Lab::new().unwrap().booted_machine(suite, name).unwrap();
    machine.install(Path::new(env!("CARGO_BIN_EXE_patchday")), Path::new("systemd")).unwrap();
    machine
}

pub(crate) fn patchday(machine: &Machine, args: &[&str]) -> Output {
    machine.exec(&[&["patchday"], args].concat()).unwrap()
}

pub(crate) fn json(machine: &Machine, args: &[&str]) -> Value {
    let output = patchday(machine, args);
    let value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    if args.first() == Some(&"report") {
        assert_is_report(&value);
    }
    value
}

/// The step at work, as `patchday status` tells it; none while the machine is between two boots.
pub(crate) fn step(machine: &Machine) -> Option<String> {
    let status = machine.exec(&["patchday", "status", "--json"]).ok()?;
    let status: Value = serde_json::from_str(&status.stdout).ok()?;
    status["attempt"]["step"].as_str().map(str::to_owned)
}

/// Settings under which a run upgrades all and reboots, to be gone on with.
pub(crate) fn run_that_reboots(machine: &Machine) -> String {
    let database = "start-timeout = \"60s\"\ndrain-timeout = \"3s\"";
    let services = services(machine, database, "start-timeout = \"20s\"");
    format!(
        r#"
{services}[limits]
cpu = "100%"

[reboot]
when = "always"

[verify]
settle = "3s"

[preflight]
allow = ["boot-space"]
"#
    )
}

/// Both services are up and ready, nothing of Patchday is left on the host, and the last report is one.
pub(crate) fn assert_in_service(machine: &Machine) {
    if machine.exists("/var/lib/patchday/runs").unwrap() {
        json(machine, &["report", "--json"]);
    }
    machine.wait_until_healthy(Duration::from_secs(30)).unwrap();
    for unit in UNITS {
        let show = |property: &str| machine.exec_ok(&["systemctl", "show", "-P", property, unit]).unwrap();
        assert_eq!(show("ActiveState").trim(), "active", "{unit}");
        let drop_ins = show("DropInPaths");
        assert!(!drop_ins.contains("patchday"), "{unit} is still held: {drop_ins}");
    }
    // The last coordinator may be a moment behind its own record.
    wait_for("the end of Patchday's units", Duration::from_secs(30), || {
        let patterns = ["list-units", "--all", "--plain", "--no-legend", "--type=service", "patchday-*"];
        let units = machine.exec_ok(&[&["systemctl"][..], &patterns].concat())?;
        let shipped = ["patchday-resume.service", "patchday-witness.service"];
        let is_left = |line: &str| !shipped.iter().any(|unit| line.starts_with(unit));
        Ok((!units.lines().any(is_left)).then_some(()))
    })
    .unwrap();
    let inhibitors = machine.exec_ok(&["systemd-inhibit", "--list", "--no-legend"]).unwrap();
    assert!(!inhibitors.to_lowercase().contains("patchday"), "{inhibitors}");
}

/// A machine with one package to upgrade, which takes no minutes, and the settings of its two services and of `more`.
pub(crate) fn machine_with_one_update(name: &str, more: &str) -> Machine {
    machine_of_with_one_update(Suite::Bookworm, name, more)
}

/// The same, of another release.
pub(crate) fn machine_of_with_one_update(suite: Suite, name: &str, more: &str) -> Machine {
    let machine = machine_with_patchday(suite, name);
    let services = services(&machine, "start-timeout = \"60s\"\ndrain-timeout = \"3s\"", "start-timeout = \"60s\"");
    let text = format!(
        r#"
{services}[verify]
settle = "1s"

[limits]
cpu = "100%"
nice = 0

[preflight]
allow = ["boot-space"]

{more}
"#
    );
    machine.write_file(CONFIG, &text).unwrap();
    let pending = machine.pending_upgrades().unwrap();
    let kept = pending.iter().find(|name| *name == "tzdata").or(pending.first()).unwrap();
    let held: Vec<&str> = pending.iter().filter(|name| *name != kept).map(String::as_str).collect();
    machine.exec_ok(&[&["apt-mark", "hold"], &held[..]].concat()).unwrap();
    machine
}
