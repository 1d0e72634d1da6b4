//! Ready once is not running, on a host in memory: before a run that nobody verified is closed, its services are looked at once
//! more, on every way out.

use crate::fake_host::{API, MONGOD, Scenario, assert_in_service, ended};
use patchday::exit_code;
use patchday::model::{Change, Phase, Run, Step, UnitName};

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

/// Ways out without a verification, the exit code of each, and whether services were stopped on it.
const WAYS: [(&str, u8, bool); 5] = [
    ("ahead fails", exit_code::STEP_FAILED, false),
    ("upgrade fails", exit_code::STEP_FAILED, true),
    ("a stop fails", exit_code::STEP_FAILED, true),
    ("no reboot comes", exit_code::NOT_REBOOTED, true),
    ("abort", exit_code::STEP_FAILED, true),
];

fn on_way(way: &str) -> Scenario {
    let mut scenario = Scenario::new();
    match way {
        "ahead fails" => {
            scenario = crate::ahead::with_new_kernel();
            scenario.world().failing_work = Some("ahead");
        }
        "upgrade fails" => scenario.world().failing_work = Some("upgrade"),
        "a stop fails" => scenario.world().unit(MONGOD).leaves_processes = 1,
        "no reboot comes" => scenario.world().reboot_does_nothing = true,
        _ => scenario.abort_at = Some(Step::stop(unit(MONGOD))),
    }
    scenario
}

fn dies(scenario: &Scenario, name: &str, times: u32) {
    scenario.world().unit(name).dies = times;
}

fn looked(run: &Run) -> &patchday::model::LastLook {
    run.last_look.as_ref().unwrap_or_else(|| panic!("nobody looked: {:?}", run.phase))
}

#[test]
fn what_ends_after_it_was_ready_is_started_once_more_on_every_way_out() {
    for (way, code, stops) in WAYS {
        for name in [API, MONGOD] {
            if way == "a stop fails" && name == MONGOD {
                continue;
            }
            let scenario = on_way(way);
            if stops {
                dies(&scenario, name, 1);
            } else {
                scenario.world().unit(name).ends_with_work = true;
            }
            let (end, run) = scenario.run_to_end();
            let context = format!("{way}, {name}: {:?}", run.phase);
            assert_eq!(ended(&end), code, "{context}");
            assert_in_service(&scenario, &context);
            assert_eq!(looked(&run).started_again, [unit(name)], "{context}");
            assert_eq!(looked(&run).serving.len(), 2, "{context}");
            assert!(run.changes.is_empty(), "{context}: {:?}", run.changes);
        }
    }
}

#[test]
fn what_stays_down_is_told_with_what_to_type_and_tried_again_by_resume() {
    for (way, _, stops) in WAYS {
        let scenario = on_way(way);
        if stops {
            dies(&scenario, API, 2);
        } else {
            scenario.world().unit(API).ends_with_work = true;
            scenario.world().unit(API).fails_to_start = true;
        }
        let (end, run) = scenario.run_to_end();
        let context = format!("{way}: {:?}", run.phase);
        let code = if way == "no reboot comes" { exit_code::NOT_REBOOTED } else { exit_code::STEP_FAILED };
        assert_eq!(ended(&end), code, "a service that is down leaves no host untouched, {context}");
        assert_eq!(run.changes, [Change::Stopped(unit(API))], "{context}");
        let finding = looked(&run).findings.iter().find(|finding| finding.is_about(&API.parse().unwrap())).unwrap();
        let command = finding.remedy.as_ref().unwrap().command.as_deref();
        assert_eq!(command, Some("systemctl restart api.service"), "{context}");
        let text = std::fs::read_to_string(scenario.state_path().join(format!("runs/{}/report.txt", run.id))).unwrap();
        assert!(text.contains("api.service is down") && !text.contains("were brought back"), "{context}: {text}");
        scenario.world().unit(API).fails_to_start = false;
        let run = scenario.undo_leftovers(&run.id);
        assert_in_service(&scenario, &context);
        assert!(run.changes.is_empty(), "{context}: {:?}", run.changes);
    }
}

/// After the end of a run its services are somebody else's: what he stopped since is not started by a resume.
#[test]
fn a_run_that_is_opened_again_looks_at_what_it_brings_back_alone() {
    let scenario = on_way("upgrade fails");
    dies(&scenario, API, 2);
    let (_, run) = scenario.run_to_end();
    scenario.world().unit(MONGOD).active = "inactive";
    let run = scenario.undo_leftovers(&run.id);
    assert_eq!(scenario.world().unit(MONGOD).active, "inactive", "somebody stopped it on purpose");
    assert_eq!(looked(&run).serving, [unit(API)]);
}

#[test]
fn a_server_that_somebody_starts_by_hand_ends_the_run_before_the_reboot() {
    let scenario = Scenario::new();
    scenario.world().started_by_hand = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    let Phase::Failed { step: Step::StageCheck, reason } = &run.phase else { panic!("{:?}", run.phase) };
    for words in ["mongod.service is stopped and held", "a mongod answers in its place, process 7"] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(run.reboots, 0);
}

/// A job of a timer that needed what was down: the reboot makes systemd forget its failure, and the report does not.
#[test]
fn a_unit_that_failed_before_the_reboot_is_told_after_it() {
    let scenario = Scenario::new();
    scenario.world().with_bond("backup.service", "nothing.service");
    scenario.world().unit("backup.service").active = "inactive";
    scenario.world().unit("backup.service").enabled = false;
    scenario.world().unit("backup.service").fails_under_work = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_VERIFIED, "{:?}", run.phase);
    assert_eq!(run.failed_meanwhile, [unit("backup.service")]);
    let findings = &run.verification.as_ref().unwrap().findings;
    let told = findings.iter().find(|finding| finding.key == "unit-failed-meanwhile").unwrap();
    assert_eq!(told.remedy.as_ref().unwrap().command.as_deref(), Some("systemctl start backup.service"));
}
