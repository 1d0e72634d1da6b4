//! What a plan costs beside the simulation in it, on a real machine.

use std::time::Duration;

use crate::checks::{bash, configure};
use crate::on_machine::machine_with_patchday;
use patchday_lab::{Machine, Suite};

/// Wall times in milliseconds, taken in turn so that a busy moment hits both.
fn times(machine: &Machine) -> (u64, u64) {
    let script = r#"
now() { echo $(( ${EPOCHREALTIME/./} / 1000 )); }
for i in 1 2 3 4 5; do
    a=$(now); apt-get -s dist-upgrade >/dev/null; b=$(now); patchday plan >/dev/null 2>&1; c=$(now)
    echo $((b - a)) $((c - b))
done"#;
    let output = machine.exec_ok(&["bash", "-c", script]).unwrap();
    let median = |column: usize| {
        let mut all: Vec<u64> = output.lines().filter_map(|line| line.split(' ').nth(column)?.parse().ok()).collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    (median(0), median(1))
}

#[test]
fn a_plan_takes_little_longer_than_the_simulation_in_it() {
    let machine = machine_with_patchday(Suite::Bookworm, "plan-time");
    configure(&machine, "");
    machine.wait_until_healthy(Duration::from_secs(120)).unwrap();
    let (apt, plan) = times(&machine);
    println!("apt-get -s dist-upgrade {apt} ms, patchday plan {plan} ms: {:.2} times", plan as f64 / apt as f64);
    bash(
        &machine,
        "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n' > /run/systemd/system/many@.service
         systemctl daemon-reload; systemctl start many@{1..500}.service",
    );
    let (apt_many, plan_many) = times(&machine);
    println!("with 500 more units: {apt_many} ms, {plan_many} ms: {:.2} times", plan_many as f64 / apt_many as f64);
    // The aim is 1.5; a busy host measures worse. What makes it twice as slow is a second simulation.
    for (apt, plan) in [(apt, plan), (apt_many, plan_many)] {
        assert!(plan < 2 * apt + 300, "{plan} ms beside {apt} ms");
    }
}
