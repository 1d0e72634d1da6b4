//! What can go wrong around a run, on real machines: a systemd that does not answer, a reboot that does not come. See
//! `docs/reliability.md`.
use std::time::Duration;

use crate::on_machine::{
    UNITS, assert_in_service, json, machine_of_with_one_update, machine_with_one_update, patchday, step,
};
use patchday_lab::{Machine, Suite, wait_for};

const PATIENCE: Duration = Duration::from_secs(300);

fn evidence(machine: &Machine) -> String {
    format!("{}\n{}", machine.journal(), patchday(machine, &["report"]).stdout)
}

fn wait_until_closed(machine: &Machine) {
    wait_for("the end of the run", PATIENCE, || Ok(is_closed(machine).then_some(())))
        .unwrap_or_else(|error| panic!("{error}\n{}", evidence(machine)));
}

fn is_closed(machine: &Machine) -> bool {
    let Ok(status) = machine.exec(&["patchday", "status", "--json"]) else { return false };
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap_or_default();
    status["run"].is_string() && status["open"] == false && status["coordinator"].is_null()
}

/// A service that never stops, as one that waits for a dead file server.
pub(crate) fn add_stuck_service(machine: &Machine) {
    let unit = "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep infinity\nTimeoutStopSec=infinity\n\
                [Install]\nWantedBy=multi-user.target\n";
    machine.write_file("/etc/systemd/system/stuck.service", unit).unwrap();
    machine.exec_ok(&["systemctl", "daemon-reload"]).unwrap();
    machine.exec_ok(&["systemctl", "enable", "--now", "stuck.service"]).unwrap();
}

#[test]
fn a_reboot_that_hangs_is_named_and_taken_back() {
    let machine = machine_with_one_update("stuck-reboot", "[reboot]\nwhen = \"always\"\ngrace = \"25s\"\n");
    add_stuck_service(&machine);
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_until_closed(&machine);
    let _ = run.kill();
    let _ = run.wait();
    let attached = patchday(&machine, &["attach", "--last"]);
    println!("{}{}", attached.stderr, attached.stdout);
    assert_eq!(attached.code(), Some(22), "{}", evidence(&machine));
    assert_eq!(machine.boot_count(), 1);
    assert_in_service(&machine);
    let says = "the host was asked to reboot and is still up after 25 s, since systemd waits for the stop of \
                stuck.service; the shutdown was taken back";
    let reason = json(&machine, &["report", "--json"])["failure"]["reason"].clone();
    assert_eq!(reason, says);
    // The last screen has its beginning, the report all of it.
    let told = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told(&attached.stdout).contains("the host was asked to reboot and is still up"), "{}", attached.stdout);
    let report = patchday(&machine, &["report"]).stdout;
    assert!(told(&report).contains(says), "{report}");
    // Nothing of the shutdown is left: whoever comes next can log in, and start what he likes.
    let jobs = machine.exec_ok(&["systemctl", "list-jobs", "--no-legend"]).unwrap();
    assert!(!jobs.contains("reboot.target") && !jobs.contains("shutdown.target"), "{jobs}");
    assert!(!machine.exists("/run/nologin").unwrap(), "nobody can log in");
    machine.exec_ok(&["systemctl", "restart", "sample-api.service"]).unwrap();
}

#[test]
fn a_reboot_that_hangs_is_forced_where_that_is_wanted() {
    let machine = machine_with_one_update(
        "forced-reboot",
        "[reboot]\nwhen = \"always\"\ngrace = \"5s\"\nforce-after = \"20s\"\n",
    );
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

/// A reboot hangs, and somebody has systemd start all but the kernel anew: it was not the reboot that was asked for.
#[test]
#[ignore = "takes more than a minute, and tests/suite/crash.rs has it in memory; run it by name"]
fn a_soft_reboot_is_not_taken_for_the_reboot() {
    let settings = "[reboot]\nwhen = \"always\"\n";
    let machine = machine_of_with_one_update(Suite::Trixie, "soft-reboot", settings);
    add_stuck_service(&machine);
    let boot = machine.boot_id().unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("the reboot to hang", PATIENCE, || {
        let jobs = machine.exec(&["systemctl", "list-jobs", "--no-legend"])?.stdout;
        Ok((jobs.contains("stuck.service") && jobs.contains("reboot.target")).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", evidence(&machine)));
    // With a reboot under way, a soft-reboot would only wait behind it.
    machine.exec_ok(&["systemctl", "cancel"]).unwrap();
    machine.exec_ok(&["systemctl", "kill", "--signal=KILL", "stuck.service"]).unwrap();
    machine.exec_ok(&["systemctl", "soft-reboot", "--force"]).unwrap();
    let _ = run.wait();
    wait_until_closed(&machine);
    let attached = patchday(&machine, &["attach", "--last"]);
    println!("{}{}", attached.stderr, attached.stdout);
    assert_eq!(attached.code(), Some(22), "{}", evidence(&machine));
    assert_eq!((machine.boot_id().unwrap(), machine.boot_count()), (boot, 1));
    assert_in_service(&machine);
    let report = json(&machine, &["report", "--json"]);
    let reason = report["failure"]["reason"].as_str().unwrap();
    assert!(reason.contains("was soft-rebooted instead"), "{reason}");
    assert_eq!((&report["reboot"]["soft"], &report["reboot"]["unplanned"]), (&1.into(), &0.into()));
    assert_eq!(report["reboot"]["noticed"], serde_json::Value::Null);
}

/// A reload of systemd's units takes longer than any call waits: as on a host with a generator that hangs.
#[test]
fn a_hold_is_released_even_where_systemd_does_not_answer_for_a_while() {
    let machine = machine_with_one_update("slow-reload", "[reboot]\nwhen = \"never\"\n");
    let generator = "#!/bin/sh\nif [ -e /run/slow-reload ]; then rm /run/slow-reload; sleep 65; fi\n";
    machine.write_program("/etc/systemd/system-generators/slow", generator.as_bytes()).unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("apt at work", PATIENCE, || Ok(step(&machine).filter(|step| step == "upgrade"))).unwrap();
    // The next reload is the one that releases the first service; apt's own come before, and may not be slow.
    wait_for("the end of apt", PATIENCE, || Ok((step(&machine).as_deref() != Some("upgrade")).then_some(()))).unwrap();
    machine.write_file("/run/slow-reload", "").unwrap();
    wait_until_closed(&machine);
    let _ = run.wait();
    assert!(!machine.exists("/run/slow-reload").unwrap(), "no reload was slow: nothing is proven");
    let attached = patchday(&machine, &["attach", "--last"]);
    println!("{}{}", attached.stderr, attached.stdout);
    assert_eq!(attached.code(), Some(0), "{}", evidence(&machine));
    assert_in_service(&machine);
}

/// Everything that somebody may do to the record of an open run: it is refused with a remedy, and nothing is touched.
#[test]
fn a_broken_record_is_refused_with_a_remedy() {
    let machine = machine_with_one_update("broken-record", "");
    let good = include_str!("../fixtures/state/v1-planned.json");
    let run = "20261123t231000z-0f3a";
    assert!(good.contains(&format!("\"id\": \"{run}\"")));
    let directory = format!("/var/lib/patchday/runs/{run}");
    let path = format!("{directory}/run.json");
    machine.exec_ok(&["mkdir", "-p", "-m", "0700", &directory]).unwrap();
    machine.write_file("/var/lib/patchday/open-run", &format!("{run}\n")).unwrap();
    let unheard_of = good.replace("\"closed\": null", "\"closed\": null, \"was\": 1");
    let invocation = || machine.exec_ok(&["systemctl", "show", "-P", "InvocationID", "mongod.service"]).unwrap();
    let before = invocation();
    let half = &good[..good.len() / 2];
    let newer = good.replacen("\"format\": 1", "\"format\": 99", 1);
    for (attack, content, says) in [
        ("truncated", half, "not as Patchday wrote it"),
        ("empty", "", "not as Patchday wrote it"),
        ("garbage", "\u{1}\u{2}no record", "not as Patchday wrote it"),
        ("newer", newer.as_str(), "written by a newer Patchday (format 99"),
        ("a field of nobody", unheard_of.as_str(), "unknown field `was`"),
    ] {
        machine.write_file(&path, content).unwrap();
        let resumed = patchday(&machine, &["resume", "--foreground"]);
        println!("{attack}: {}", resumed.stderr);
        assert_eq!(resumed.code(), Some(30), "{attack}: {}", resumed.stderr);
        assert!(resumed.stderr.contains(says) && resumed.stderr.contains("hint: "), "{attack}: {}", resumed.stderr);
        let second = patchday(&machine, &["run", "--yes"]);
        assert_eq!(second.code(), Some(11), "{attack}: a new run is not begun beside it: {}", second.stderr);
        assert_eq!(machine.read_file(&path).unwrap(), content, "{attack}: it was written over");
    }
    machine.exec_ok(&["rm", "-r", &directory]).unwrap();
    for verb in [&["resume"][..], &["run", "--yes"]] {
        let refused = patchday(&machine, verb);
        println!("gone: {}", refused.stderr);
        assert_eq!(refused.code(), Some(30), "{}", refused.stderr);
        assert!(refused.stderr.contains("rm /var/lib/patchday/open-run"), "{}", refused.stderr);
    }
    assert_eq!(invocation(), before, "a service was touched");
    machine.wait_until_healthy(PATIENCE).unwrap();
}

const STATE: &str = "/var/lib/patchday";

/// The state cannot be saved any more, in the middle of the upgrade: the services come back all the same, and when it can
/// be saved again, the run is taken to its end.
fn assert_services_come_back_without_a_state(name: &str, attack: &str, remedy: &str) {
    let machine = machine_with_one_update(name, "[reboot]\nwhen = \"never\"\n");
    machine.exec_ok(&["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", STATE]).unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    wait_for("apt at work", PATIENCE, || Ok(step(&machine).filter(|step| step == "upgrade"))).unwrap();
    machine.exec_ok(&["sh", "-c", attack]).unwrap();
    wait_for("the coordinator's end", PATIENCE, || {
        Ok(json(&machine, &["status", "--json"])["coordinator"].is_null().then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", evidence(&machine)));
    let _ = run.kill();
    let _ = run.wait();
    println!("{}", machine.journal());
    machine.wait_until_healthy(PATIENCE).unwrap();
    for unit in UNITS {
        assert!(!machine.exists(&format!("/run/patchday/hold/{unit}")).unwrap(), "{unit} is held");
    }
    machine.exec_ok(&["sh", "-c", remedy]).unwrap();
    let resumed = patchday(&machine, &["resume", "--foreground"]);
    println!("{}{}", resumed.stderr, resumed.stdout);
    assert_in_service(&machine);
    assert_eq!(json(&machine, &["status", "--json"])["open"], false);
    assert_eq!(machine.exec_ok(&["dpkg", "--audit"]).unwrap(), "");
}

#[test]
#[ignore = "takes more than a minute, and tests/suite/crash.rs has it in memory; run it by name"]
fn a_state_directory_without_room_leaves_no_service_down() {
    let attack = format!("dd if=/dev/zero of={STATE}/filler bs=4k; true");
    assert_services_come_back_without_a_state("full-state", &attack, &format!("rm {STATE}/filler"));
}

#[test]
#[ignore = "takes more than a minute, and tests/suite/crash.rs has it in memory; run it by name"]
fn a_state_directory_that_turns_read_only_leaves_no_service_down() {
    // What has a file open for writing keeps its mount from turning: a second one on top of it turns.
    let attack = format!("mount --bind {STATE} {STATE} && mount -o bind,remount,ro {STATE}");
    assert_services_come_back_without_a_state("read-only-state", &attack, &format!("umount {STATE}"));
}

/// systemd executes itself anew all the time, and dbus dies twice. In the pauses it must come to start dbus again, on a
/// host that other machines keep busy too.
#[test]
fn a_bus_that_goes_away_again_and_again_changes_nothing_of_the_end() {
    let machine = machine_with_one_update("lost-bus", "[reboot]\nwhen = \"never\"\n");
    let mut again = machine.spawn(&["sh", "-c", "while systemctl daemon-reexec; do sleep 5; done"]).unwrap();
    let mut run = machine.spawn(&["patchday", "run", "--yes"]).unwrap();
    let mut kills = 0;
    for at in ["stop:mongod.service", "upgrade"] {
        // While systemd is away a look takes long: what it was to see, and all of the run, may be over by then.
        let is_due = || match step(&machine) {
            Some(step) if step == at || step == "upgrade" => Some(true),
            _ => is_closed(&machine).then_some(false),
        };
        if wait_for(at, PATIENCE, || Ok(is_due())).unwrap() {
            machine.exec_ok(&["pkill", "--signal=KILL", "--exact", "dbus-daemon"]).unwrap();
            kills += 1;
        }
    }
    assert!(kills > 0, "the run was over before the bus went away");
    wait_until_closed(&machine);
    let _ = again.kill();
    let _ = (again.wait(), run.wait());
    machine.exec_ok(&["pkill", "--full", "daemon-reexec"]).unwrap();
    let attached = patchday(&machine, &["attach", "--last"]);
    println!("{}{}", attached.stderr, attached.stdout);
    assert_eq!(attached.code(), Some(0), "{}", evidence(&machine));
    assert_in_service(&machine);
}
