//! The lab's machines with a kernel of their own.

use patchday_lab::{Lab, Suite, Testbed, UML_PACKAGES, wait_for};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(240);

#[test]
#[ignore = "the image takes a minute; run it by name"]
fn a_uml_machine_serves_and_loses_what_was_not_synced() -> anyhow::Result<()> {
    let machine = Lab::new()?.uml_machine(Suite::Bookworm, "lab-uml")?;
    machine.boot()?;
    assert_eq!(machine.wait_until_up(PATIENCE)?, "running", "a fresh machine has no failed unit");
    machine.wait_until_healthy(PATIENCE)?;
    let simulated = machine.exec_ok(&["apt-get", "--simulate", "dist-upgrade"])?;
    for package in UML_PACKAGES {
        assert!(simulated.contains(&format!("Inst {package} [1.0] (2.0 ")), "{simulated}");
    }
    let controllers = machine.read_file("/sys/fs/cgroup/cgroup.controllers")?;
    assert!(["cpu", "io", "memory"].iter().all(|name| controllers.contains(name)), "{controllers}");

    machine.write_orders()?;
    wait_for("ten acknowledged orders", PATIENCE, || Ok((machine.sightings(0).len() >= 10).then_some(())))?;

    // What was synced survives a power cut; what was only written does not.
    let first_boot = machine.boot_id()?;
    machine.exec_ok(&["sh", "-c", "echo kept >/kept && sync /kept / && echo lost >/lost"])?;
    machine.cut_power()?;
    machine.boot()?;
    machine.wait_for_boot(2, PATIENCE)?;
    machine.wait_until_healthy(PATIENCE)?;
    assert_ne!(machine.boot_id()?, first_boot);
    assert_eq!(machine.read_file("/kept")?, "kept\n");
    assert!(machine.read_file("/lost").is_err(), "the page cache survived the power cut");
    Ok(())
}
