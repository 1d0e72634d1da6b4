//! A host that comes back wrong, on a real machine: the verdict is right, and the first cause comes first. A selection;
//! `tests/lab/verify` goes through all of them.
use std::path::Path;

use patchday_lab::{Comeback, FAULTS, Suite};

const SELECTED: [&str; 3] =
    ["API ready before its database", "port of a service taken", "mount missing that a service needs"];

#[test]
fn what_is_wrong_after_a_reboot_is_told_first_cause_first() {
    let patchday = Path::new(env!("CARGO_BIN_EXE_patchday"));
    let server = Comeback::prepare(Suite::Bookworm, "comeback", patchday, Path::new("systemd"), "5s").unwrap();
    let run = server.run().unwrap();
    assert_eq!((run.verdict.as_str(), run.findings.as_slice()), ("healthy", [].as_slice()), "{:#}", run.json);

    let report = server.machine.exec_ok(&["patchday", "report", "--json"]).unwrap();
    crate::report_schema::assert_text_is_report(&report);

    server.remember().unwrap();
    for name in SELECTED {
        let fault = FAULTS.iter().find(|fault| fault.name == name).unwrap();
        let (judgement, took) = server.come_back(Some(fault)).unwrap();
        println!("{name}: {} after {:.0} s, {:?}", judgement.verdict, took.as_secs_f64(), judgement.findings);
        assert!(judgement.is_right(fault), "{name}: {:#}", judgement.json);
    }
}
