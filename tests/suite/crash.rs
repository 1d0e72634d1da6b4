//! The coordinator is killed, or the host loses power, at every moment that leaves a mark: the run must end all the same,
//! with the same end state, and nothing irreversible may happen twice.

use crate::fake_host::{API, Fault, MONGOD, Scenario, assert_in_service, assert_timers_as_before};
use jiff::SignedDuration;
use patchday::config::SilenceSettings;
use patchday::coordinator::RunEnd;
use patchday::exit_code;
use patchday::model::{Hook, HookPoint, HookPolicy, Outcome, Restart, Run, Step};

/// Every kind of moment that leaves a mark: each durable write, and both sides of each effect.
const MOMENTS: [&str; 21] = [
    "lock",
    "locked",
    "run created",
    "save",
    "saved",
    "event logged",
    "write file",
    "file written",
    "inhibit",
    "start work",
    "work started",
    "look",
    "collect",
    "collected",
    "stop",
    "stopped",
    "hold",
    "held",
    "watch",
    "reboot",
    "reboot asked for",
];

/// The walk came to an end by itself, and met every kind of moment on its way.
fn assert_walked(points: u32, last: &Scenario) {
    let world = last.world();
    println!("{points} moments: {:?}", world.moments);
    for moment in MOMENTS {
        assert!(world.moments.contains_key(moment), "no run came to \"{moment}\": {:?}", world.moments);
    }
    assert_eq!(points, world.moments.values().sum::<u32>(), "not every moment of a run was tried");
}

fn was_interrupted(run: &Run) -> bool {
    run.unplanned_reboots > 0 || run.history.iter().any(|record| record.outcome == Outcome::Interrupted)
}

#[test]
fn a_kill_at_any_moment_changes_nothing_of_the_end() {
    let mut points = 0;
    for point in 1_u32.. {
        let scenario = Scenario::new().crash_at(point, Fault::Kill);
        let (end, run) = scenario.run_to_end();
        if !scenario.has_crashed() {
            assert_walked(points, &scenario);
            break;
        }
        points = point;
        let context = format!("after a kill at point {point}");
        assert_eq!(end, RunEnd::Closed { exit_code: exit_code::DONE }, "{context}: {:?}", run.phase);
        assert_in_service(&scenario, &context);
        let world = scenario.world();
        assert!(world.pending.is_empty(), "packages are pending {context}");
        for (effect, count) in [("upgrade began", 1), ("upgrade ended", 1), ("reboot", 1)] {
            assert_eq!(world.effects_of(effect), count, "{effect} {context}: {:?}", world.effects);
        }
        assert_eq!(run.reboots, 1, "{context}");
        for unit in [API, MONGOD] {
            assert_eq!(world.effects_of(&format!("stop {unit}")), 1, "{unit} {context}: {:?}", world.effects);
            assert_eq!(world.effects_of(&format!("start {unit}")), 0, "{unit} {context}");
        }
    }
}

#[test]
fn a_power_cut_at_any_moment_ends_in_service_and_is_told() {
    let mut points = 0;
    for point in 1_u32.. {
        let scenario = Scenario::new().crash_at(point, Fault::PowerCut);
        let (end, run) = scenario.run_to_end();
        if !scenario.has_crashed() {
            assert_walked(points, &scenario);
            break;
        }
        points = point;
        let context = format!("after a power cut at point {point}");
        let RunEnd::Closed { exit_code } = end else { panic!("{end:?} {context}") };
        assert_in_service(&scenario, &context);
        // A fact that cannot follow is a fault in Patchday, never an ending.
        assert!(!format!("{:?}", run.phase).contains("cannot record"), "{context}: {:?}", run.phase);
        let world = scenario.world();
        assert!(world.effects_of("reboot") <= 1, "{context}: {:?}", world.effects);
        assert!(world.effects_of("upgrade began") <= 1, "{context}: {:?}", world.effects);
        if exit_code == exit_code::DONE {
            let verdict = run.verification.as_ref().unwrap();
            assert_eq!(verdict.boot, run.boot, "the verdict is of another boot {context}");
            assert!(world.pending.is_empty(), "an unpatched host was called done {context}");
        } else {
            assert!(was_interrupted(&run), "the cut is not told {context}: {:?}", run.phase);
        }
        if world.effects_of("upgrade began") == 1 && world.effects_of("upgrade ended") == 0 {
            assert!(run.has_finished(&Step::Repair), "dpkg was not repaired {context}");
        }
    }
}

/// All but the kernel is started anew, by somebody else. It is no reboot, and never taken for one; where systemd does not
/// count them, it is a crash of the coordinator, and the reboot that was asked for is asked for again. Where one comes
/// between the upgrade and the look at what runs, nobody is left who runs what was replaced: that look finds no need of a
/// reboot, rightly, and the run ends without one.
#[test]
fn a_soft_reboot_at_any_moment_ends_in_service_and_is_told() {
    for (counted, stride) in [(true, 1), (false, 7)] {
        let (mut points, mut instead, mut unneeded) = (0, 0, 0);
        for point in (1_u32..).step_by(stride) {
            let scenario = Scenario::new().crash_at(point, Fault::SoftReboot);
            scenario.world().soft_reboots = counted.then_some(0);
            let (end, run) = scenario.run_to_end();
            if !scenario.has_crashed() {
                break;
            }
            points = point;
            let context = format!("after a soft-reboot at point {point}, counted: {counted}");
            let RunEnd::Closed { exit_code } = end else { panic!("{end:?} {context}") };
            assert_in_service(&scenario, &context);
            assert!(!format!("{:?}", run.phase).contains("cannot record"), "{context}: {:?}", run.phase);
            let world = scenario.world();
            assert!(run.changes.is_empty(), "{context}: {:?}", run.changes);
            assert_eq!(run.unplanned_reboots, 0, "{context}");
            assert_eq!(run.rebooted.is_some(), world.boots > 1, "a soft-reboot was taken for a reboot {context}");
            if exit_code == exit_code::DONE {
                assert!(world.pending.is_empty(), "{context}: {:?}", run.phase);
                if world.boots == 1 {
                    let nobody_runs_old = world.old_code.is_empty() && run.owed.is_empty();
                    assert!(!counted && nobody_runs_old, "{context}: {:?}, {:?}", run.phase, run.owed);
                    assert!(run.reboot_reasons.is_empty() && run.reboots == 0, "{context}: {:?}", run.reboot_reasons);
                    unneeded += 1;
                }
                let verdict = run.verification.as_ref().unwrap();
                assert_eq!(verdict.boot, run.boot, "the verdict is of another boot {context}");
            } else {
                assert!(run.soft_reboots == 1 && counted, "{context}: {:?}", run.phase);
            }
            instead += u32::from(exit_code == exit_code::NOT_REBOOTED && run.reboots == 1);
        }
        assert!(points > 100, "only {points} moments were tried");
        assert_eq!(instead > 0, counted, "of {points} moments, {instead} came instead of the reboot");
        // Those between the upgrade and the look, and no more.
        let few = if counted { 0..=0 } else { 1..=5 };
        assert!(few.contains(&unneeded), "after {unneeded} of {points} moments no reboot was needed");
    }
}

#[test]
fn a_kill_while_a_shutdown_hangs_ends_in_service() {
    let mut points = 0;
    for point in 1_u32.. {
        let scenario = Scenario::new().crash_at(point, Fault::Kill);
        scenario.world().reboot_hangs = true;
        let (end, run) = scenario.run_to_end();
        if !scenario.has_crashed() {
            break;
        }
        points = point;
        let context = format!("after a kill at point {point}");
        assert_eq!(end, RunEnd::Closed { exit_code: exit_code::NOT_REBOOTED }, "{context}: {:?}", run.phase);
        assert_in_service(&scenario, &context);
        assert_eq!(scenario.world().effects_of("shutdown taken back"), 1, "{context}");
    }
    assert!(points > 100, "only {points} moments were tried");
}

/// systemd does not answer while holds are released; then the coordinator is killed too.
#[test]
fn a_kill_while_holds_are_released_leaves_none() {
    let mut points = 0;
    for point in 1_u32.. {
        let scenario = Scenario::new().crash_at(point, Fault::Kill);
        scenario.world().failing_work = Some("upgrade");
        scenario.world().unanswered_releases = 9;
        let (_, run) = scenario.run_to_end();
        if !scenario.has_crashed() {
            break;
        }
        points = point;
        assert_in_service(&scenario, &format!("after a kill at point {point}"));
        assert!(run.changes.is_empty(), "{:?} after a kill at point {point}", run.changes);
    }
    assert!(points > 100, "only {points} moments were tried");
}

#[test]
fn a_kill_while_leftovers_are_undone_leaves_none() {
    let mut walked = 0;
    for point in 1_u32.. {
        let scenario = Scenario::new();
        scenario.world().failing_work = Some("upgrade");
        scenario.world().unanswered_releases = u32::MAX;
        let (_, run) = scenario.run_to_end();
        scenario.world().unanswered_releases = 0;
        let until_now = scenario.world().moments.values().sum::<u32>();
        let scenario = scenario.crash_at(until_now + point, Fault::Kill);
        let run = scenario.undo_leftovers(&run.id);
        if !scenario.has_crashed() {
            break;
        }
        walked = point;
        assert!(run.closed.is_some() && run.changes.is_empty(), "{:?} after a kill at {point}", run.changes);
        assert_in_service(&scenario, &format!("after a kill at point {point} of the resume"));
    }
    assert!(walked > 10, "only {walked} moments were tried");
}

#[test]
fn a_state_that_cannot_be_saved_leaves_no_service_down() {
    let mut tried = 0;
    for saves in 1.. {
        let scenario = Scenario::new();
        scenario.world().save_fails_after = Some(saves);
        let (end, _) = scenario.run_to_end();
        let world = scenario.world();
        for unit in [API, MONGOD] {
            let fake = &world.units[unit];
            assert!(fake.active == "active" && !fake.held, "{unit} after {saves} saves: {fake:?}");
        }
        assert_timers_as_before(&world.units, &format!("after {saves} saves"));
        if end == (RunEnd::Closed { exit_code: exit_code::DONE }) {
            break;
        }
        tried = saves;
    }
    assert!(tried > 15, "only {tried} moments were tried");
}

/// What a hook did, nobody can undo: it is called once at most, and none is forgotten.
#[test]
fn whenever_the_world_ends_no_hook_is_called_twice_or_forgotten() {
    // Every moment is met by one of the two.
    for (first, fault) in [(1, Fault::Kill), (2, Fault::PowerCut)] {
        let mut interrupted = 0;
        for point in (first..).step_by(2) {
            let mut scenario = Scenario::new();
            let hook = |point: HookPoint| Hook {
                point,
                command: vec![point.name().into()],
                timeout: SignedDuration::from_secs(60),
                policy: HookPolicy::Warn,
                sandbox: true,
            };
            // What services do meanwhile is walked above.
            scenario.settings.services.clear();
            scenario.settings.notify.clear();
            scenario.settings.silence = Some(SilenceSettings {
                begin: vec!["silence".into()],
                end: vec!["speak".into()],
                timeout: SignedDuration::from_secs(60),
                sandbox: true,
            });
            scenario.settings.hooks = HookPoint::ALL.map(hook).to_vec();
            let scenario = scenario.crash_at(point, fault);
            let (end, run) = scenario.run_to_end();
            if !scenario.has_crashed() {
                break;
            }
            let context = format!("after {fault:?} at point {point}");
            assert_in_service(&scenario, &context);
            assert!(!format!("{:?}", run.phase).contains("cannot record"), "{context}: {:?}", run.phase);
            if fault == Fault::Kill {
                assert_eq!(end, RunEnd::Closed { exit_code: exit_code::DONE }, "{context}: {:?}", run.phase);
                let late = run.hooks.iter().filter(|call| matches!(call.step, Step::Hook(_)));
                assert_eq!(late.count(), HookPoint::ALL.len(), "{context}: {:?}", run.hooks);
            }
            assert!(run.changes.is_empty(), "{context}: {:?}", run.changes);
            let world = scenario.world();
            let is_silenced = world.effects_of("silence began") > 0;
            assert!(!is_silenced || world.effects_of("speak ended") > 0, "{context}: {:?}", world.effects);
            for hook in &scenario.settings.hooks {
                let program = &hook.command[0];
                let began = world.effects_of(&format!("{program} began"));
                let calls: Vec<_> = run.hooks.iter().filter(|call| &call.program == program).collect();
                assert!(began <= 1 && began <= calls.len() && calls.len() <= 1, "{program} {context}: {calls:?}");
                for end in calls.iter().map(|call| call.end.as_ref().unwrap()) {
                    interrupted += u32::from(end.outcome == Outcome::Interrupted);
                    assert!(began == 1 || end.outcome == Outcome::Interrupted, "{program} {context}: {end:?}");
                }
            }
        }
        assert!(interrupted > 0, "no {fault:?} met a hook at work");
    }
}

/// A soft reboot is asked for, and around it, at every moment, the coordinator is killed, the power goes, or somebody else
/// has all but the kernel started anew: the run ends in service, and says which restart it was.
#[test]
fn whatever_happens_around_a_soft_reboot_that_is_asked_for_ends_in_service() {
    let softly = || {
        let mut scenario = Scenario::new();
        scenario.settings.reboot.least = Restart::Soft;
        scenario
    };
    let known = softly();
    known.run_to_end();
    // Until then nothing is different from the walks above.
    let from = known.world().first["let go"] - 60;
    for fault in [Fault::Kill, Fault::PowerCut, Fault::SoftReboot] {
        let (mut points, mut softly_done, mut fully, mut restored) = (0, 0, 0, 0);
        for point in from.. {
            let scenario = softly().crash_at(point, fault);
            let (end, run) = scenario.run_to_end();
            let has_crashed = scenario.has_crashed();
            let world = scenario.world();
            if !has_crashed {
                assert!(world.moments.contains_key("holds let go"), "{:?}", world.moments);
                break;
            }
            points = point;
            let context = format!("after {fault:?} at point {point}");
            let (asked, boots, effects) = (world.effects_of("soft reboot"), world.boots, world.effects.clone());
            let is_patched = world.pending.is_empty();
            drop(world);
            let RunEnd::Closed { exit_code } = end else { panic!("{end:?} {context}") };
            assert_in_service(&scenario, &context);
            assert!(!format!("{:?}", run.phase).contains("cannot record"), "{context}: {:?}", run.phase);
            assert!(run.changes.is_empty() && !run.holds_let_go, "{context}: {:?}", run.changes);
            assert!(asked <= 1 && !effects.contains(&"reboot".to_owned()), "{context}: {effects:?}");
            match run.restarted() {
                Some(Restart::Soft) => softly_done += 1,
                Some(Restart::Full) => fully += 1,
                Some(Restart::Kexec) | None => {}
            }
            restored += u32::from(run.restarted() == Some(Restart::Soft) && run.has_finished(&Step::Restore));
            assert!(run.restarted() != Some(Restart::Full) || boots > 1, "{context}: {:?}", run.phase);
            if exit_code == exit_code::DONE {
                assert!(is_patched, "{context}");
                let verdict = run.verification.as_ref().unwrap();
                assert_eq!(verdict.boot, run.boot, "the verdict is of another boot {context}");
            }
            match fault {
                Fault::Kill => {
                    assert_eq!((exit_code, asked, boots), (exit_code::DONE, 1, 1), "{context}: {:?}", run.phase);
                    assert_eq!((run.restarted(), run.soft_reboots), (Some(Restart::Soft), 0), "{context}");
                }
                Fault::PowerCut => assert_eq!(run.soft_reboots, 0, "{context}"),
                Fault::SoftReboot => {
                    assert_eq!((run.unplanned_reboots, boots), (0, 1), "{context}");
                    assert!(exit_code == exit_code::DONE || run.soft_reboots == 1, "{context}: {:?}", run.phase);
                }
            }
        }
        assert!(points > from + 100 && softly_done > 0, "{softly_done} of {points} moments of {fault:?}");
        assert_eq!(fully > 0, fault == Fault::PowerCut, "{fault:?}");
        // Between the request and the letting go.
        assert_eq!(restored > 0, fault == Fault::SoftReboot, "{fault:?}");
    }
}

/// A kernel is loaded, and a reboot by kexec is asked for: at every moment from then on the coordinator is killed, or the
/// power goes. The run ends in service, says which restart it was, and leaves no kernel loaded.
#[test]
fn whatever_happens_around_a_reboot_by_kexec_ends_in_service() {
    let by_kexec = || {
        let mut scenario = Scenario::new();
        scenario.settings.reboot.least = Restart::Kexec;
        scenario.world().no_kexec = None;
        scenario
    };
    let known = by_kexec();
    known.run_to_end();
    let from = known.world().first["load kernel"] - 20;
    for fault in [Fault::Kill, Fault::PowerCut] {
        let (mut points, mut by_kexec_done, mut fully) = (0, 0, 0);
        for point in from.. {
            let scenario = by_kexec().crash_at(point, fault);
            let (end, run) = scenario.run_to_end();
            if !scenario.has_crashed() {
                break;
            }
            points = point;
            let context = format!("after {fault:?} at point {point}");
            let RunEnd::Closed { exit_code } = end else { panic!("{end:?} {context}") };
            assert_in_service(&scenario, &context);
            assert!(run.changes.is_empty(), "{context}: {:?}", run.changes);
            let world = scenario.world();
            assert_eq!(world.loaded_kernel, None, "{context}");
            assert!(run.rebooted.is_none() || world.boots > 1, "{context}");
            assert!(world.effects_of("reboot by kexec") <= 1 && world.effects_of("reboot") == 0, "{context}");
            by_kexec_done += u32::from(run.restarted() == Some(Restart::Kexec));
            fully += u32::from(run.restarted() == Some(Restart::Full));
            if fault == Fault::Kill {
                assert_eq!((exit_code, run.restarted()), (exit_code::DONE, Some(Restart::Kexec)), "{context}");
            }
        }
        assert!(points > from + 50 && by_kexec_done > 0, "{by_kexec_done} of {points} moments of {fault:?}");
        assert_eq!(fully > 0, fault == Fault::PowerCut, "{fault:?}");
    }
}
