//! Whole runs on a host in memory: the order of the steps, and every way in which one can end.

use crate::fake_host::{API, MONGOD, Scenario, ended};
use jiff::SignedDuration;
use patchday::config::{OnFailure, RebootWhen};
use patchday::coordinator::RunEnd;
use patchday::exit_code;
use patchday::model::{Occasion, Outcome, PackageAction, Parcel, Phase, Run, Step, Subject, Verdict};

fn steps(run: &Run) -> Vec<String> {
    run.history.iter().map(|record| record.attempt.step.to_string()).collect()
}

fn effects_between(scenario: &Scenario) -> Vec<String> {
    scenario.world().effects.clone()
}

#[test]
fn a_healthy_run_takes_every_step_in_order() {
    let scenario = Scenario::new();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE);
    let expected = [
        "preflight",
        "fetch",
        "baseline",
        "ahead",
        "notify-start",
        "announce",
        "look-again",
        "stop:api.service",
        "stop:mongod.service",
        "upgrade",
        "build-kernel",
        "stage-check",
        "notify-reboot",
        "reboot",
        "verify",
        "report",
        "notify-end",
    ];
    assert_eq!(steps(&run), expected);
    assert_eq!(run.verification.unwrap().verdict, Verdict::Healthy);
    assert_eq!(run.phase, Phase::Verified);
    assert_ne!(run.boot, run.first_boot);
    let effects = effects_between(&scenario);
    let position = |effect: &str| effects.iter().position(|other| other == effect).unwrap();
    assert!(position("download ended") < position("stop api.service"));
    assert!(position("stop api.service") < position("stop mongod.service"));
    assert!(position("stop mongod.service") < position("upgrade began"));
}

#[test]
fn nothing_to_do_stops_nothing() {
    let scenario = Scenario::new();
    scenario.world().pending.clear();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE);
    assert_eq!(run.phase, Phase::NothingToDo);
    assert_eq!(effects_between(&scenario), ["refresh began", "refresh ended"]);
}

#[test]
fn a_blocker_leaves_the_host_untouched() {
    let scenario = Scenario::new();
    scenario.world().unit(API).enabled = false;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::UNTOUCHED);
    assert!(effects_between(&scenario).is_empty());
    let Phase::Failed { step: Step::Preflight, reason } = run.phase else { panic!("{:?}", run.phase) };
    assert!(reason.contains("unit-enabled"), "{reason}");
}

#[test]
fn an_allowed_blocker_is_a_warning() {
    let mut scenario = Scenario::new();
    scenario.world().unit("patchday-resume.service").enabled = false;
    scenario.options.allowed_checks.push("resume-enabled".into());
    let (_, run) = scenario.run_to_end();
    assert!(run.has_finished(&Step::Preflight));
}

#[test]
fn a_removal_that_is_not_allowed_leaves_the_host_untouched() {
    // Seen in the package lists as they are, or only after they were refreshed: as where the first look was overruled.
    for (allowed, effects, step) in [
        (vec![], vec![], Step::Preflight),
        (vec!["removals".to_owned()], vec!["refresh began", "refresh ended"], Step::Fetch),
    ] {
        let mut scenario = Scenario::new();
        scenario.options.allowed_checks = allowed;
        scenario.world().pending[1].action = PackageAction::Remove;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::UNTOUCHED);
        assert_eq!(effects_between(&scenario), effects);
        let Phase::Failed { step: failed, reason } = run.phase else { panic!("{:?}", run.phase) };
        assert_eq!(failed, step);
        assert!(reason.contains(if step == Step::Fetch { "tzdata" } else { "removals" }), "{reason}");
    }
}

#[test]
fn a_service_that_does_not_stop_ends_the_run_before_the_upgrade() {
    for (stubborn, started_again) in [(API, 0), (MONGOD, 1)] {
        let scenario = Scenario::new();
        scenario.world().unit(stubborn).ignores_stop = true;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::STEP_FAILED, "{stubborn}");
        let mut world = scenario.world();
        assert_eq!(world.effects_of("upgrade began"), 0);
        assert_eq!(world.effects_of("reboot"), 0);
        assert_eq!(world.effects_of("start api.service"), started_again);
        for unit in [API, MONGOD] {
            assert!(world.unit(unit).active == "active" && !world.unit(unit).held, "{unit}");
        }
        assert!(matches!(&run.phase, Phase::Failed { reason, .. } if reason.contains(stubborn)), "{:?}", run.phase);
        assert!(run.changes.is_empty(), "{:?}", run.changes);
    }
}

#[test]
fn processes_that_a_service_left_behind_are_named() {
    let scenario = Scenario::new();
    scenario.world().unit(API).leaves_processes = 7;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED);
    let Phase::Failed { reason, .. } = &run.phase else { panic!("{:?}", run.phase) };
    for words in ["api.service stopped, but left", "python3 (700)", "2 more", "systemctl kill api.service"] {
        assert!(reason.contains(words), "{reason}");
    }
    assert!(scenario.world().unit(API).active == "active");
    // The rest of the stop timeout would only have been an outage.
    let stop = run.history.iter().find(|record| record.attempt.step.to_string() == "stop:api.service").unwrap();
    assert!(stop.ended.duration_since(stop.attempt.began) < SignedDuration::from_secs(15));
}

#[test]
fn services_come_back_in_dependency_order() {
    let scenario = Scenario::new();
    scenario.world().failing_work = Some("upgrade");
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED);
    let effects = effects_between(&scenario);
    let position = |effect: &str| effects.iter().position(|other| other == effect).unwrap();
    assert!(position("configure ended") < position("start mongod.service"), "{effects:?}");
    assert!(position("start mongod.service") < position("start api.service"), "{effects:?}");
    assert!(!effects.contains(&"reboot".to_owned()));
    assert_eq!(run.last_record(&Step::Repair).unwrap().outcome, Outcome::Succeeded);
}

#[test]
fn without_a_reboot_the_services_come_back_and_are_verified() {
    let mut scenario = Scenario::new();
    scenario.settings.reboot.when = RebootWhen::Never;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE);
    assert_eq!(steps(&run)[12..], ["notify-reboot", "reboot", "restore", "verify", "report", "notify-end"]);
    assert_eq!(scenario.world().effects_of("reboot"), 0);
    let verification = run.verification.unwrap();
    assert_eq!(verification.verdict, Verdict::Healthy);
    assert_eq!(verification.findings[0].key, "reboot-pending");
}

#[test]
fn a_reboot_that_does_not_happen_brings_the_services_back() {
    let scenario = Scenario::new();
    scenario.world().reboot_does_nothing = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_REBOOTED);
    assert!(matches!(run.phase, Phase::Failed { step: Step::Reboot, .. }));
    let mut world = scenario.world();
    assert!([API, MONGOD].iter().all(|unit| world.unit(unit).active == "active"));
}

#[test]
fn what_does_not_come_back_is_named_first_cause_first() {
    let scenario = Scenario::new();
    scenario.world().break_on_boot = vec![MONGOD];
    scenario.world().unit(API).never_ready = true;
    scenario.world().unit(API).never_ready = false;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_VERIFIED);
    let verification = run.verification.unwrap();
    assert_eq!(verification.verdict, Verdict::Failed);
    assert!(verification.findings[0].title.starts_with(MONGOD), "{:?}", verification.findings);
    // Patchday reports; it does not restart what the boot did not bring back.
    assert_eq!(scenario.world().effects_of("start mongod.service"), 0);
}

#[test]
fn a_service_is_restarted_once_where_that_is_wanted_and_is_never_called_passed() {
    for (mends, verdict, code) in
        [(true, Verdict::Degraded, exit_code::NOT_VERIFIED), (false, Verdict::Failed, exit_code::NOT_VERIFIED)]
    {
        let mut scenario = Scenario::new();
        scenario.settings.verify.on_failure = OnFailure::Restart;
        scenario.world().break_on_boot = vec![MONGOD];
        scenario.world().unit(MONGOD).mends_on_restart = mends;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), code);
        assert_eq!(scenario.world().effects_of("restart mongod.service"), 1);
        assert_eq!(run.recoveries.len(), 1, "the intent is saved");
        let verification = run.verification.unwrap();
        assert_eq!(verification.verdict, verdict, "{:?}", verification.findings);
        assert_eq!(verification.recovered.len(), usize::from(mends));
        let key = if mends { "service-recovered" } else { "service-not-ready" };
        assert_eq!(verification.findings[0].key, key);
    }
}

#[test]
fn a_first_cause_comes_with_its_journal_and_is_named_by_what_it_broke() {
    let scenario = Scenario::new();
    scenario.world().break_on_boot = vec![MONGOD, API];
    scenario.world().unit(API).enabled = true;
    let (_, run) = scenario.run_to_end();
    let verification = run.verification.unwrap();
    let first = &verification.findings[0];
    let (cause, consequence) = (Subject::from(MONGOD), &verification.findings[1]);
    assert_eq!((first.subject.as_ref(), first.because_of.as_ref()), (Some(&cause), None));
    assert_eq!((consequence.subject.clone(), consequence.because_of.as_ref()), (Some(API.into()), Some(&cause)));
    assert!(consequence.title.contains(&format!("{API} is not back, because of {MONGOD}: ")), "{}", consequence.title);
    assert!(first.journal.iter().any(|line| line.ends_with("said something")), "{first:?}");
}

#[test]
fn a_host_that_goes_down_during_the_upgrade_is_repaired_and_told() {
    let scenario = Scenario::new();
    scenario.world().unplanned_reboot_in = Some("upgrade");
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED);
    assert_eq!(run.last_record(&Step::Upgrade).unwrap().outcome, Outcome::Interrupted);
    assert_eq!(run.last_record(&Step::Repair).unwrap().outcome, Outcome::Succeeded);
    assert_eq!(run.unplanned_reboots, 1);
    assert_eq!(scenario.world().effects_of("reboot"), 0);
    assert!(scenario.world().dpkg_broken.is_empty());
}

#[test]
fn our_own_lock_that_logind_still_lists_does_not_stop_the_reboot() {
    let scenario = Scenario::new();
    // The preflight looks as well.
    scenario.world().own_lock_lingers = 30;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(scenario.world().effects_of("reboot"), 1);
}

#[test]
fn a_lock_of_somebody_else_stops_the_reboot() {
    let scenario = Scenario::new();
    scenario.world().foreign_lock = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_REBOOTED, "{:?}", run.phase);
    assert_eq!(scenario.world().effects_of("reboot"), 0);
    assert_eq!(scenario.world().unit(API).active, "active");
}

#[test]
fn an_abort_ends_in_service_at_every_step_before_the_point_of_no_return() {
    for (step, exit_code, upgraded) in [
        ("preflight", exit_code::UNTOUCHED, false),
        ("fetch", exit_code::UNTOUCHED, false),
        ("baseline", exit_code::UNTOUCHED, false),
        ("stop:api.service", exit_code::STEP_FAILED, false),
        ("stop:mongod.service", exit_code::STEP_FAILED, false),
        ("upgrade", exit_code::STEP_FAILED, true),
        ("build-kernel", exit_code::STEP_FAILED, true),
        ("stage-check", exit_code::STEP_FAILED, true),
        ("reboot", exit_code::STEP_FAILED, true),
    ] {
        let mut scenario = Scenario::new();
        scenario.abort_at = Some(step.parse().unwrap());
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code, "{step}: {:?}", run.phase);
        assert!(matches!(run.phase, Phase::Aborted { .. }), "{step}: {:?}", run.phase);
        let mut world = scenario.world();
        assert_eq!(world.effects_of("reboot"), 0, "{step}");
        // A step at work comes to its end: apt is never cut short.
        assert_eq!(world.effects_of("upgrade ended"), usize::from(upgraded), "{step}");
        for unit in [API, MONGOD] {
            assert!(world.unit(unit).active == "active" && !world.unit(unit).held, "{unit} at {step}");
        }
    }
}

#[test]
fn after_the_point_of_no_return_an_abort_changes_nothing() {
    let mut scenario = Scenario::new();
    scenario.abort_at = Some(Step::Verify);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(run.abort, None);
}

/// The signal came from the shutdown: what is down stays down, since systemd would start nothing now.
#[test]
fn a_shutdown_of_somebody_else_parks_the_run() {
    let mut scenario = Scenario::new();
    scenario.abort_at = Some(Step::Upgrade);
    scenario.world().system_state = "stopping";
    let (end, run) = scenario.run_to_end();
    assert_eq!(end, RunEnd::Parked);
    assert!(run.is_open() && run.has_finished(&Step::Upgrade), "{:?}", run.phase);
    assert_eq!(scenario.world().effects_of("start mongod.service"), 0);
}

/// What was told: the wall's first words, and where the switch was pinged.
fn told(scenario: &Scenario) -> Vec<String> {
    let told = |parcel: &Parcel| match parcel {
        Parcel::Wall { text } => Some(text.split([':', '.']).next().unwrap().to_owned()),
        Parcel::Post { suffix, .. } => Some(format!("ping{suffix}")),
        Parcel::LoginNotice { .. } => None,
        other => panic!("{other:?}"),
    };
    scenario.world().sent.iter().filter_map(told).collect()
}

#[test]
fn those_who_wait_are_told_of_each_turn() {
    let scenario = Scenario::new();
    let (_, run) = scenario.run_to_end();
    assert_eq!(told(&scenario), ["Patchday begins on web1", "ping/start", "web1", "ping"]);
    assert!(run.notifications.iter().all(|told| told.problem.is_none() && told.tries == 1));

    let scenario = Scenario::new();
    scenario.world().failing_work = Some("upgrade");
    scenario.run_to_end();
    assert_eq!(told(&scenario), ["Patchday begins on web1", "web1", "ping/fail"], "no reboot was near");

    let scenario = Scenario::new();
    scenario.world().pending.clear();
    scenario.run_to_end();
    assert_eq!(told(&scenario), ["ping"], "nothing changed");
}

#[test]
fn that_nobody_can_be_told_changes_no_run() {
    let (_, heard) = Scenario::new().run_to_end();
    let scenario = Scenario::new();
    scenario.world().nobody_listens = true;
    let began = scenario.world().now;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE);
    assert_eq!((&run.phase, steps(&run)), (&heard.phase, steps(&heard)));
    let tries: Vec<_> = run.notifications.iter().map(|told| (told.occasion, told.tries > 1)).collect();
    // Only at the end, when nobody waits for us, it is tried again.
    let end = Occasion::End;
    assert_eq!(tries, [(Occasion::Start, false), (Occasion::Reboot, false), (end, true), (end, true)]);
    assert!(scenario.world().now.duration_since(began) < SignedDuration::from_mins(10), "not for ever");
    assert!(run.notifications.iter().all(|told| told.problem.as_deref() == Some("wall: nobody listens")));
}
