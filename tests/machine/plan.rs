//! On a real machine: a plan changes nothing and costs little, windows keep runs out, and the estimate of the time
//! without services is held against what a run then took. See `docs/testing.md`.
use std::time::{Duration, Instant};

use crate::on_machine::{CONFIG, UNITS, assert_in_service, json, machine_with_patchday, patchday};
use jiff::SignedDuration;
use patchday_lab::{Machine, Suite, services, wait_for};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(540);

/// The window opens once in a long time, and not now.
fn configure(machine: &Machine, window: &str) {
    let services = services(machine, "start-timeout = \"60s\"\ndrain-timeout = \"3s\"", "");
    let text = format!("{window}\n{services}[reboot]\nwhen = \"always\"\n\n[verify]\nsettle = \"3s\"\n");
    machine.write_file(CONFIG, &text).unwrap();
}

const CLOSED: &str = "[[window]]\ncalendar = \"2190-01-01 02:00\"\nduration = \"4h\"\n";

/// Everything that a plan could have changed: files with their times and sizes, units with their states, invocations.
fn host(machine: &Machine) -> Vec<String> {
    let text = |command: &str| machine.exec_ok(&["sh", "-c", command]).unwrap();
    // What the journal, the database and the lookups of names write by themselves.
    let files = text(
        "find /etc /var/lib /run -xdev \\( -path /run/log -o -path /run/systemd/journal -o -path /var/lib/mongodb \
         -o -path '/var/lib/mongo*' -o -path /run/udev -o -path /var/lib/systemd/timers \\) -prune \
         -o -type f -printf '%p %T@ %s %m\\n' -o -type l -printf '%p -> %l\\n' | sort",
    );
    let units = text("systemctl list-units --all --plain --no-legend | awk '{print $1, $2, $3, $4}' | sort");
    let invocations = text(&format!("systemctl show -P InvocationID {}", UNITS.join(" ")));
    [files, units, invocations].iter().flat_map(|part| part.lines().map(str::to_owned)).collect()
}

/// The shortest of three.
fn fastest(machine: &Machine, command: &[&str]) -> Duration {
    let once = || {
        let began = Instant::now();
        machine.exec(command).unwrap();
        began.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap()
}

fn seconds(value: &Value) -> f64 {
    value.as_str().unwrap().parse::<SignedDuration>().unwrap().as_secs_f64()
}

/// One run through its reboot; what was estimated before, and measured after it, in seconds. How near they are is
/// printed, not asserted: it says as much about the machine as about the estimate.
fn run_and_measure(machine: &Machine) -> (f64, f64) {
    let planned = json(machine, &["plan", "--json"]);
    let boot = machine.boot_id().unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes", "--outside-window"]).unwrap();
    machine.wait_for_reboot(&boot, PATIENCE).unwrap_or_else(|error| {
        let _ = run.kill();
        panic!("{error}\n{}", patchday(machine, &["report"]).stdout);
    });
    let _ = run.wait();
    let end = patchday(machine, &["attach", "--last"]);
    assert_eq!(end.code(), Some(0), "{}{}", end.stdout, end.stderr);
    let away = &json(machine, &["report", "--json"])["away"];
    println!("{} packages; the report says {away}", planned["upgrade"]["changes"].as_array().unwrap().len());
    let (estimated, measured) = (seconds(&away["estimated"]), seconds(&away["measured"]));
    assert!(estimated > 0.0 && measured > 0.0, "{away}");
    // The run estimates anew once apt's lists are fresh.
    println!("planned {}, then {estimated} s", planned["downtime"]);
    (estimated, measured)
}

#[test]
fn a_plan_changes_nothing_and_is_held_against_what_a_run_took() {
    let machine = machine_with_patchday(Suite::Bookworm, "plan");
    configure(&machine, CLOSED);
    machine.wait_until_healthy(Duration::from_secs(60)).unwrap();
    patchday(&machine, &["plan"]);

    let before = host(&machine);
    let plan = patchday(&machine, &["plan"]);
    println!("{}{}", plan.stdout, plan.stderr);
    let after = host(&machine);
    let changed: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    let appeared: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(changed.is_empty() && appeared.is_empty(), "gone: {changed:#?}\nnew: {appeared:#?}");
    assert!(before.len() > 500, "only {} things were compared", before.len());
    println!("a plan changed none of {} files, links, units and invocations", before.len());

    let apt = fastest(&machine, &["apt-get", "-s", "dist-upgrade"]);
    let ours = fastest(&machine, &["patchday", "plan"]);
    let ratio = ours.as_secs_f64() / apt.as_secs_f64();
    println!("apt-get -s dist-upgrade {apt:.2?}, patchday plan {ours:.2?}: {ratio:.2} x");

    // Outside the window: by hand, and by a timer that fires late.
    let refused = patchday(&machine, &["run", "--yes"]);
    assert_eq!(refused.code(), Some(10), "{refused:?}");
    assert!(refused.stderr.contains("no maintenance window is open"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--outside-window"), "{}", refused.stderr);
    // To systemd it is no failure: nobody is alarmed.
    machine.exec_ok(&["systemctl", "start", "--wait", "patchday.service"]).unwrap();
    let said = || machine.exec_ok(&["journalctl", "--no-pager", "-u", "patchday.service"]);
    wait_for("the refusal in the journal", Duration::from_secs(60), || {
        Ok(said()?.contains("no maintenance window is open").then_some(()))
    })
    .unwrap();
    let state = machine.exec_ok(&["systemctl", "show", "-P", "ActiveState", "patchday.service"]).unwrap();
    assert_eq!(state.trim(), "inactive");
    assert!(json(&machine, &["history", "--json"])["runs"].as_array().is_none_or(Vec::is_empty));
    assert_in_service(&machine);

    // What was estimated, and what it took: first half of the packages, then the others, with a history.
    let half = "apt-get -s dist-upgrade | awk '/^Inst/ { if (n++ % 2) print $2 }' | xargs apt-mark hold";
    machine.exec_ok(&["sh", "-c", half]).unwrap();
    let (estimated, measured) = run_and_measure(&machine);
    println!("first run: services away: estimated {estimated:.0} s from sizes, measured {measured:.1} s");
    machine.exec_ok(&["sh", "-c", "apt-mark showhold | xargs apt-mark unhold"]).unwrap();

    // Now this host has a history.
    let again = patchday(&machine, &["plan"]).stdout;
    println!("{again}");
    assert!(again.contains("as before") && again.contains("last time"), "{again}");
    let (estimated, measured) = run_and_measure(&machine);
    println!("second run: services away: estimated {estimated:.0} s from the first, measured {measured:.1} s");
}
