//! The lab tests itself on real machines.

use patchday_lab::{ApiFault, Lab, Machine, Suite, wait_for};
use std::thread;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// What a test of Patchday needs at least, and what each image is made to have.
const LEAST_PENDING: usize = 10;

fn reboot(machine: &Machine) -> anyhow::Result<()> {
    let before = machine.boot_id()?;
    let ask_logind = "busctl call org.freedesktop.login1 /org/freedesktop/login1 \
                      org.freedesktop.login1.Manager Reboot b false";
    // A machine that goes down at once may never answer the call: only the next boot tells whether it worked.
    machine.exec(&ask_logind.split_whitespace().collect::<Vec<_>>())?;
    let after = machine.wait_for_reboot(&before, MINUTE)?;
    assert_ne!(before, after);
    Ok(())
}

fn check_machine(suite: Suite) -> anyhow::Result<()> {
    let machine = Lab::new()?.booted_machine(suite, &format!("lab-{suite}"))?;
    assert_eq!(machine.wait_until_up(MINUTE)?, "running", "a fresh machine has no failed unit");
    assert_eq!(machine.document_count()?, 500);
    machine.add_document()?;

    reboot(&machine)?;
    machine.wait_until_healthy(MINUTE)?;
    assert_eq!(machine.boot_count(), 2);
    assert_eq!(machine.document_count()?, 501, "the document written before the reboot is still there");

    let pending = machine.pending_upgrades()?;
    println!("{suite}: {} updates pending", pending.len());
    assert!(pending.len() >= LEAST_PENDING, "only {} updates pending on {suite}: {pending:?}", pending.len());
    Ok(())
}

#[test]
fn bookworm_serves_reboots_and_has_updates_pending() -> anyhow::Result<()> {
    check_machine(Suite::Bookworm)
}

#[test]
fn trixie_serves_reboots_and_has_updates_pending() -> anyhow::Result<()> {
    check_machine(Suite::Trixie)
}

#[test]
fn machines_side_by_side_do_not_meet() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let machines = thread::scope(|scope| {
        let boots = ["left", "right"].map(|name| {
            let lab = &lab;
            scope.spawn(move || lab.booted_machine(Suite::Bookworm, name))
        });
        boots.map(|boot| boot.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the boot panicked"))))
    });
    let [left, right] = machines;
    let (left, right) = (left?, right?);
    assert_ne!(left.boot_id()?, right.boot_id()?);
    assert_ne!(left.mongod_port(), right.mongod_port());

    left.exec_ok(&["systemctl", "stop", "sample-api.service", "mongod.service"])?;
    assert!(left.request("GET", "/health").is_err(), "nobody answers for the left API");
    assert_eq!(right.request("GET", "/health")?.status, 200, "the right one is untouched");
    left.pull_the_plug()?;
    assert_eq!(right.wait_until_up(MINUTE)?, "running");
    assert_eq!(right.exec_ok(&["systemctl", "is-active", "mongod.service"])?.trim(), "active");
    Ok(())
}

#[test]
fn the_api_misbehaves_as_told() -> anyhow::Result<()> {
    let machine = Lab::new()?.machine(Suite::Bookworm, "faults")?;
    machine.set_api_faults(&[ApiFault::LeakOnRestart(7), ApiFault::FailAfterReboot])?;
    machine.boot()?;
    machine.wait_until_up(MINUTE)?;
    machine.wait_until_healthy(MINUTE)?;

    machine.exec_ok(&["systemctl", "stop", "sample-api.service"])?;
    let leaking = machine.exec_ok(&["pgrep", "--full", "hold-connections"])?;
    assert_eq!(leaking.lines().count(), 1, "one process holds connections after the stop");
    let connections = machine.exec_ok(&["ss", "-Htnp", "state", "established"])?;
    assert!(connections.matches("sample-api").count() >= 7, "its connections are open: {connections}");
    machine.kill(leaking.trim().parse()?, "KILL")?;

    machine.set_api_faults(&[ApiFault::StartBeforeDatabase, ApiFault::IgnoreSigterm])?;
    machine.exec_ok(&["systemctl", "stop", "mongod.service"])?;
    machine.exec_ok(&["systemctl", "start", "sample-api.service"])?;
    // The API pulled the database up again.
    machine.exec_ok(&["systemctl", "stop", "mongod.service"])?;
    machine.wait_until_healthy(MINUTE)?;
    assert!(machine.document_count().is_err(), "healthy without a database");
    let pid = machine.exec_ok(&["systemctl", "show", "--property=MainPID", "--value", "sample-api.service"])?;
    machine.kill(pid.trim().parse()?, "TERM")?;
    wait_for("the API to tell of the signal", MINUTE, || {
        Ok(machine.journal().contains("SIGTERM ignored").then_some(()))
    })?;
    assert_eq!(machine.request("GET", "/health")?.status, 200, "it lives on");

    machine.set_api_faults(&[ApiFault::FailAfterReboot])?;
    machine.exec_ok(&["systemctl", "kill", "--signal=SIGKILL", "sample-api.service"])?;
    reboot(&machine)?;
    wait_for("the API to give up", MINUTE, || {
        let state = machine.exec(&["systemctl", "is-failed", "sample-api.service"])?;
        Ok(state.success().then_some(()))
    })?;
    assert!(machine.journal().contains("refusing to start after a reboot"));
    Ok(())
}

#[test]
fn files_are_looked_up_as_the_machine_does() -> anyhow::Result<()> {
    let machine = Lab::new()?.booted_machine(Suite::Bookworm, "files")?;
    // /var/run is an absolute link to /run in many systems; it must not lead to the host's.
    machine.exec_ok(&["ln", "-sfn", "/run", "/absolute"])?;
    machine.write_file("/absolute/patchday-lab/note", "inside")?;
    assert_eq!(machine.exec_ok(&["cat", "/run/patchday-lab/note"])?, "inside");
    assert!(!std::path::Path::new("/run/patchday-lab/note").exists(), "the host is untouched");
    assert!(machine.exists("/usr/bin/mongod")? && !machine.exists("/usr/bin/patchday")?);
    let output = machine.exec(&["sh", "-c", "echo out; echo err >&2; exit 7"])?;
    assert_eq!((output.code(), output.stdout.trim(), output.stderr.trim()), (Some(7), "out", "err"));
    // A machine goes down although the lab still runs a command in it.
    let mut staying = machine.spawn(&["sleep", "1000"])?;
    wait_for("the command to run", MINUTE, || Ok(machine.exec(&["pgrep", "sleep"])?.success().then_some(())))?;
    machine.power_off(MINUTE)?;
    assert_eq!(staying.wait()?.code(), Some(128 + 15), "it was ended by SIGTERM");
    assert!(machine.exec(&["true"]).is_err(), "a machine that is off runs nothing");
    Ok(())
}
