//! One kill and one power cut on real machines; `tests/lab/faults` injects all the others. See `docs/reliability.md`.
use std::path::Path;
use std::time::Duration;

use patchday_lab::faults::{EndState, Experiment, Fault, Moment, Subject, Watched, configure, perform};
use patchday_lab::{Lab, Suite, Testbed};

const BOOT: Duration = Duration::from_secs(300);

fn prepare(machine: &dyn Testbed) {
    machine.install(Path::new(env!("CARGO_BIN_EXE_patchday")), Path::new("systemd")).unwrap();
    configure(machine).unwrap();
}

fn inject(subject: &dyn Subject, fault: Fault, moment: Moment) -> EndState {
    let recovery = perform(subject, &Experiment::new(fault, moment)).unwrap();
    println!("{recovery:#?}");
    assert!(recovery.judgement.violations.is_empty(), "{:?}", recovery.judgement.violations);
    crate::report_schema::assert_text_is_report(&subject.exec(&["patchday", "report", "--json"]).unwrap().stdout);
    recovery.judgement.end
}

#[test]
#[ignore = "takes minutes; run it by name"]
fn a_kill_between_the_last_stop_and_the_upgrade_changes_nothing_of_the_end() {
    let lab = Lab::new().unwrap();
    let machine = lab.booted_machine(Suite::Bookworm, "faults-kill").unwrap();
    prepare(&machine);
    let subject = Watched::new(&lab, machine).unwrap();
    let end = inject(&subject, Fault::Kill, Moment::event_of("step-ended", "stop:mongod.service"));
    assert_eq!(end, EndState::PatchedAndVerified);
}

#[test]
#[ignore = "takes minutes; run it by name"]
fn a_power_cut_while_dpkg_configures_is_repaired_and_told() {
    let machine = Lab::new().unwrap().uml_machine(Suite::Bookworm, "faults-cut").unwrap();
    machine.boot().unwrap();
    machine.wait_until_up(BOOT).unwrap();
    machine.wait_until_healthy(BOOT).unwrap();
    prepare(&machine);
    let moment = Moment::dpkg("status half-configured lab-daemon").plus_millis(500);
    assert_eq!(inject(&machine, Fault::PowerCut, moment), EndState::SafeAndBack);
}
