//! On a real machine: hooks, the silence of monitoring, and what people who are logged in read. See `docs/hooks.md`.
use std::process::Child;
use std::time::Duration;

use crate::on_machine::{CONFIG, assert_in_service, json, machine_with_patchday, patchday, run_that_reboots};
use patchday_lab::{Machine, Suite, wait_for};
use serde_json::Value;

const HOOK: &str = "/usr/local/sbin/lab-hook";
const CALLS: &str = "/var/log/lab-hooks";
const TYPESCRIPT: &str = "/tmp/typescript";
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes down that it was called, does what its first argument says, and fails where a file of its point wants it.
const PROGRAM: &str = r#"#!/bin/sh
echo "$PATCHDAY_POINT $PATCHDAY_HOST $PATCHDAY_RUN_ID verdict=$PATCHDAY_VERDICT" >> /var/log/lab-hooks
echo "called with $*"
case $1 in sleep) sleep "$2" ;; esac
test ! -e "/etc/lab-fail-$PATCHDAY_POINT" || { echo "out of luck"; exit 3; }
"#;

fn configure(machine: &Machine) {
    let run_that_reboots = run_that_reboots(machine);
    let text = format!(
        r#"
{run_that_reboots}
[announce]
grace = "15s"
message = "{{host}} goes down at {{time}}"

[silence]
begin = ["{HOOK}", "be quiet"]
end = ["{HOOK}", "speak $up"]

[[hook]]
point = "before-stop"
command = ["{HOOK}", "leave the pool"]
policy = "must-succeed"

[[hook]]
point = "after-stop"
command = ["{HOOK}", "sleep", "8"]
policy = "must-succeed"

[[hook]]
point = "before-reboot"
command = ["{HOOK}", "sleep", "600"]
timeout = "2s"

[[hook]]
point = "after-verify"
command = ["{HOOK}", "join the pool"]
"#,
    );
    machine.write_file(CONFIG, &text).unwrap();
}

fn calls(machine: &Machine) -> Vec<String> {
    let text = machine.read_file(CALLS).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn points(machine: &Machine) -> Vec<String> {
    calls(machine).iter().filter_map(|call| call.split(' ').next()).map(str::to_owned).collect()
}

/// A person at a terminal, and of no unit that a reboot would be missed for; what the terminal shows is in `file`.
fn log_in(machine: &Machine, file: &str) -> Child {
    let script = format!("sleep infinity | script -qfc 'login -f root' {file}");
    let person = machine.spawn(&["bash", "-c", &script]).unwrap();
    wait_for("the login", PATIENCE, || Ok(machine.read_file(file).ok().filter(|text| text.contains('#')).map(drop)))
        .unwrap();
    person
}

fn hooks(report: &Value) -> Vec<(String, String)> {
    let hooks = report["hooks"].as_array().unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    hooks.iter().map(|call| (word(&call["step"]), word(&call["end"]["outcome"]))).collect()
}

fn wait_for_the_end(machine: &Machine) {
    wait_for("the end of the run", Duration::from_secs(300), || {
        Ok((!machine.exists("/var/lib/patchday/open-run")?).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", machine.journal()));
}

#[test]
fn hooks_are_called_once_people_are_told_and_monitoring_speaks_again() {
    let machine = machine_with_patchday(Suite::Bookworm, "hooks");
    configure(&machine);
    machine.write_program(HOOK, PROGRAM.as_bytes()).unwrap();

    // Somebody else than root could replace it: nothing is begun.
    machine.exec_ok(&["chmod", "0775", HOOK]).unwrap();
    let refused = patchday(&machine, &["run", "--yes"]);
    assert_eq!(refused.code(), Some(20), "{refused:?}");
    assert!(refused.stdout.contains("hooks-trusted") || refused.stderr.contains("hooks-trusted"), "{refused:?}");
    machine.exec_ok(&["chmod", "0755", HOOK]).unwrap();
    assert!(calls(&machine).is_empty());

    // A hook that must succeed, and does not: no service is stopped, and monitoring speaks again.
    machine.write_file("/etc/lab-fail-before-stop", "").unwrap();
    let failed = patchday(&machine, &["run", "--yes"]);
    assert_eq!(failed.code(), Some(20), "{failed:?}");
    assert_eq!(points(&machine), ["begin-silence", "before-stop", "end-silence"]);
    assert_in_service(&machine);
    let text = patchday(&machine, &["report"]).stdout;
    println!("--- a hook that must succeed\n{text}");
    assert!(text.contains("exit status 3") && text.contains("out of luck"), "{text}");
    assert!(!machine.exists("/run/motd.d/patchday-maintenance").unwrap());
    machine.exec_ok(&["rm", "/etc/lab-fail-before-stop", CALLS]).unwrap();

    // The whole way. The coordinator is killed while a hook is at work.
    let first = log_in(&machine, TYPESCRIPT);
    machine.exec_ok(&["systemctl", "start", "--no-block", "patchday.service"]).unwrap();
    wait_for("the login notice", PATIENCE, || Ok(machine.exists("/run/motd.d/patchday-maintenance")?.then_some(())))
        .unwrap();
    let late_one = log_in(&machine, "/tmp/late");
    let late = machine.read_file("/tmp/late").unwrap();
    println!("--- who logs in meanwhile\n{late}");
    assert!(late.contains("goes down at"), "{late}");
    wait_for("the hook after the stop", PATIENCE, || {
        Ok(points(&machine).contains(&"after-stop".to_owned()).then_some(()))
    })
    .unwrap();
    let wall = machine.read_file(TYPESCRIPT).unwrap();
    println!("--- who is logged in\n{wall}");
    assert!(wall.contains("goes down at"), "{wall}");
    let boot = machine.boot_id().unwrap();
    let pid = machine.exec_ok(&["systemctl", "show", "-P", "MainPID", "patchday.service"]).unwrap();
    machine.kill(pid.trim().parse().unwrap(), "KILL").unwrap();
    machine.exec_ok(&["systemctl", "start", "--no-block", "patchday-resume.service"]).unwrap();
    machine
        .wait_for_reboot(&boot, Duration::from_secs(300))
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", machine.journal(), patchday(&machine, &["report"]).stdout));
    for mut person in [first, late_one] {
        let _ = person.kill();
        let _ = person.wait();
    }
    wait_for_the_end(&machine);

    for call in calls(&machine) {
        println!("--- {call}");
    }
    let report = json(&machine, &["report", "--json"]);
    println!("{}", patchday(&machine, &["report"]).stdout);
    assert_eq!((&report["verdict"], &report["exit_code"]), (&"healthy".into(), &0.into()), "{report:#}");
    let order = ["begin-silence", "before-stop", "after-stop", "before-reboot", "after-verify", "end-silence"];
    assert_eq!(points(&machine), order, "each once");
    assert!(calls(&machine)[4].ends_with("verdict=healthy"), "{:?}", calls(&machine));
    assert!(calls(&machine)[0].contains(report["run"].as_str().unwrap()), "{:?}", calls(&machine));
    let outcomes: Vec<String> = hooks(&report).into_iter().map(|(_, outcome)| outcome).collect();
    // The one before the reboot took too long, was ended, and only warned.
    assert_eq!(outcomes, ["succeeded", "succeeded", "succeeded", "failed", "succeeded", "succeeded"], "{report:#}");
    assert!(report["hooks"][3]["end"]["why"].as_str().unwrap().contains("longer than 2 s"), "{report:#}");
    assert_eq!(report["hooks"][5]["end"]["lines"][0], "called with speak $up", "no shell, and nothing is expanded");
    assert_eq!(report["still_changed"], serde_json::json!([]));
    assert_in_service(&machine);
}
