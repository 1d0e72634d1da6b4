//! Scripts of packages that want a service of the run: nobody waits for them without end while users go without, whatever
//! they wait for, whoever ends them, and whenever the world ends.

use crate::fake_host::{API, Fault, MONGOD, Scenario, WaitingScript, assert_in_service, at_every_moment, ended};
use jiff::SignedDuration;
use patchday::config::StopOrder;
use patchday::events::EventKind;
use patchday::exit_code;
use patchday::model::{Outcome, Phase, Run, Step};

const MINUTES: SignedDuration = SignedDuration::from_mins(1);
const WAITS_FOR_MONGOD: &str = "until mongosh --quiet --eval 1; do sleep 1; done";

fn waiting(works: &'static [&'static str], wants: Option<&'static str>, text: &'static str) -> Scenario {
    let scenario = Scenario::new();
    scenario.world().waiting_script = Some(WaitingScript { works, wants, text, cpu_percent: 0 });
    scenario
}

fn ends(run: &Run) -> Vec<(String, Outcome)> {
    let after_stops = run.history.iter().skip_while(|record| !matches!(record.attempt.step, Step::Stop(_)));
    let of_note = after_stops
        .filter(|record| matches!(record.attempt.step, Step::Upgrade | Step::Repair | Step::Restore | Step::Reboot));
    of_note.map(|record| (record.attempt.step.to_string(), record.outcome)).collect()
}

fn between(run: &Run, from: &Step, to: &Step) -> SignedDuration {
    let began = run.history.iter().find(|record| &record.attempt.step == from).unwrap().attempt.began;
    run.history.iter().find(|record| &record.attempt.step == to).unwrap().ended.duration_since(began)
}

fn notes(scenario: &Scenario, run: &Run) -> Vec<String> {
    let told = scenario.state.events(&run.id).read_new().unwrap().into_iter();
    told.filter_map(|event| match event.kind {
        EventKind::Noted { message } => Some(message),
        _ => None,
    })
    .collect()
}

#[test]
fn an_upgrade_whose_script_waits_for_a_service_of_the_run_goes_on_with_the_services_up() {
    // The script names what it waits for; or a program of its own does, and nobody sees it.
    for (text, cpu_percent, most) in
        [(WAITS_FOR_MONGOD, 0, 3), (WAITS_FOR_MONGOD, 60, 3), ("/usr/lib/shop/migrate", 0, 12)]
    {
        let scenario = waiting(&["upgrade"], Some(MONGOD), text);
        scenario.world().waiting_script.as_mut().unwrap().cpu_percent = cpu_percent;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::STEP_FAILED, "{text}: {:?}", run.phase);
        let expected = [("upgrade", Outcome::Failed), ("restore", Outcome::Succeeded), ("repair", Outcome::Succeeded)]
            .map(|(step, outcome)| (step.to_owned(), outcome));
        assert_eq!(ends(&run), expected, "{text}");
        let Phase::Failed { step: Step::Upgrade, reason } = &run.phase else { panic!("{:?}", run.phase) };
        assert!(reason.contains("upgrade stands still for") && reason.contains("postinst of shop-db"), "{reason}");
        assert_eq!(reason.contains("it may want mongod.service, which this run stopped"), text == WAITS_FOR_MONGOD);
        let away = between(&run, &Step::Upgrade, &Step::Restore);
        assert!(away < MINUTES * most, "{text}: services were away for {away:#}");
        let world = scenario.world();
        assert_eq!((world.effects_of("upgrade began"), world.effects_of("upgrade ended")), (1, 1), "{text}");
        assert!(world.pending.is_empty(), "{text}: the upgrade did not come to its end");
        drop(world);
        assert_in_service(&scenario, text);
        // Who waits is told before anything is done about it, where it does not even compute.
        if cpu_percent == 0 {
            let told = notes(&scenario, &run);
            let told: Vec<_> = told.iter().filter(|note| note.contains("stands still for 3")).collect();
            assert!(told.len() == 1 && told[0].contains("postinst of shop-db (process 51"), "{told:?}");
        }
    }
}

/// Somebody ends the script: the upgrade fails, and the repair runs the same script again.
#[test]
fn a_repair_that_waits_for_a_service_of_the_run_is_made_with_the_services_up() {
    for (works, left) in [(&["configure"][..], "configure"), (&["fix-broken"][..], "fix-broken")] {
        let scenario = waiting(works, Some(MONGOD), WAITS_FOR_MONGOD);
        scenario.world().failing_work = Some("upgrade");
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::STEP_FAILED);
        let expected = [
            ("upgrade", Outcome::Failed),
            ("repair", Outcome::Failed),
            ("restore", Outcome::Succeeded),
            ("repair", Outcome::Succeeded),
        ]
        .map(|(step, outcome)| (step.to_owned(), outcome));
        assert_eq!(ends(&run), expected, "{left}");
        assert!(between(&run, &Step::Repair, &Step::Restore) < MINUTES * 3, "{left}");
        assert_eq!(scenario.world().effects_of(&format!("{left} ended")), 1, "{left}: it was begun anew");
        assert_in_service(&scenario, left);
    }
}

#[test]
fn what_waits_for_ever_ends_the_run_in_service_and_is_named() {
    for (works, failing) in [(&["upgrade"][..], None), (&["configure"][..], Some("upgrade"))] {
        let scenario = waiting(works, None, "read answer < /run/nobody-writes");
        scenario.world().failing_work = failing;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::STEP_FAILED);
        assert!(between(&run, &Step::Upgrade, &Step::Restore) < MINUTES * 12);
        let repair = run.last_record(&Step::Repair).unwrap();
        let note = repair.note.as_deref().unwrap_or_default();
        assert!(repair.outcome == Outcome::Failed && note.contains("(process 51"), "{repair:?}");
        let mut world = scenario.world();
        for unit in [API, MONGOD] {
            assert!(world.unit(unit).active == "active" && !world.unit(unit).held, "{unit}");
        }
        assert_eq!(world.effects_of("reboot"), 0);
        assert!(run.changes.is_empty(), "{:?}", run.changes);
    }
}

#[test]
fn an_abort_need_not_wait_for_what_stands_still() {
    let mut scenario = waiting(&["upgrade"], Some(MONGOD), "/usr/lib/shop/migrate");
    scenario.abort_at = Some(Step::Upgrade);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::STEP_FAILED, "{:?}", run.phase);
    assert!(matches!(run.phase, Phase::Aborted { .. }), "{:?}", run.phase);
    assert!(between(&run, &Step::Upgrade, &Step::Restore) < MINUTES * 2);
    assert_in_service(&scenario, "after an abort");
}

#[test]
fn work_that_computes_or_tells_is_waited_for() {
    let scenario = waiting(&["upgrade"], None, "update-initramfs -u");
    scenario.world().waiting_script.as_mut().unwrap().cpu_percent = 90;
    let (_, run) = scenario.run_to_end();
    assert!(between(&run, &Step::Upgrade, &Step::Upgrade) > MINUTES * 30, "busy work was given up early");
}

#[test]
fn whenever_the_world_ends_services_come_back_and_the_upgrade_is_not_begun_twice() {
    // Each way to stand still meets one of the two.
    for (fault, works, failing) in
        [(Fault::Kill, &["upgrade"][..], None), (Fault::PowerCut, &["configure"][..], Some("upgrade"))]
    {
        let mut walked = 0;
        let scenario = || {
            let scenario = waiting(works, Some(MONGOD), WAITS_FOR_MONGOD);
            scenario.world().failing_work = failing;
            scenario
        };
        at_every_moment(fault, scenario, |scenario, run, code, context| {
            walked += 1;
            assert!(!format!("{:?}", run.phase).contains("cannot record"), "{context}: {:?}", run.phase);
            assert!(run.changes.is_empty(), "{context}: {:?}", run.changes);
            assert!(scenario.world().effects_of("upgrade began") <= 1, "{context}");
            assert_ne!(code, exit_code::DONE, "{context}");
        });
        assert!(walked > 100, "only {walked} moments were tried");
    }
}

/// `systemctl restart` in a script with `set -e`, of a service that runs on, protected.
#[test]
fn a_script_that_restarts_a_protected_service_fails_once_and_the_run_goes_on() {
    for (unit, fault) in [(API, Fault::Kill), (MONGOD, Fault::PowerCut)] {
        let scenario = || {
            let mut scenario = Scenario::new();
            scenario.settings.upgrade.order = StopOrder::LateStop;
            scenario.world().restarted_by_script = Some(unit);
            scenario
        };
        let one = scenario();
        let (end, run) = one.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{unit}: {:?}", run.phase);
        let ends: Vec<_> = ["upgrade", "repair"]
            .map(|step| {
                run.history
                    .iter()
                    .filter(|one| one.attempt.step.to_string() == step)
                    .map(|one| one.outcome)
                    .collect::<Vec<_>>()
            })
            .to_vec();
        assert_eq!(ends, [vec![Outcome::Interrupted, Outcome::Succeeded], vec![Outcome::Succeeded]], "{unit}");
        assert_in_service(&one, unit);
        at_every_moment(fault, scenario, |_, run, _, context| {
            assert!(run.changes.is_empty(), "{context}: {:?}", run.changes);
        });
    }
}
