//! What a run calls and whom it tells on its way, on a host in memory: hooks, the silence of monitoring, announcements.

use crate::fake_host::{API, MONGOD, Scenario, ended};
use jiff::SignedDuration;
use patchday::config::{RebootWhen, SilenceSettings};
use patchday::exit_code;
use patchday::model::{Hook, HookPoint, HookPolicy, Outcome, Parcel, Phase, Run, Step};

fn with_hooks(hooks: &[(HookPoint, &str, HookPolicy)]) -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.hooks = hooks.iter().map(|(point, program, policy)| hook(*point, program, *policy)).collect();
    scenario
}

fn hook(point: HookPoint, program: &str, policy: HookPolicy) -> Hook {
    Hook { point, command: vec![program.into()], timeout: SignedDuration::from_secs(5), policy, sandbox: true }
}

/// What was called, and how each call ended.
fn calls(run: &Run) -> Vec<(String, Outcome)> {
    run.hooks.iter().map(|call| (call.program.clone(), call.end.as_ref().unwrap().outcome)).collect()
}

#[test]
fn hooks_are_called_at_their_points() {
    let points = HookPoint::ALL.map(|point| (point, point.name(), HookPolicy::MustSucceed));
    let scenario = with_hooks(&points);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert_eq!(calls(&run), points.map(|(_, name, _)| (name.to_owned(), Outcome::Succeeded)));
    let effects = scenario.world().effects.clone();
    let wanted = [
        "before-stop ended",
        "stop api.service",
        "stop mongod.service",
        "after-stop began",
        "upgrade began",
        "before-reboot ended",
        "reboot",
        "after-verify began",
    ];
    let positions: Vec<_> =
        wanted.iter().map(|wanted| effects.iter().position(|effect| effect == wanted).unwrap()).collect();
    assert!(positions.is_sorted(), "{effects:?}");
}

#[test]
fn a_hook_that_must_succeed_ends_the_run_in_safety() {
    for (point, code, upgraded) in [
        (HookPoint::BeforeStop, exit_code::UNTOUCHED, 0),
        (HookPoint::AfterStop, exit_code::STEP_FAILED, 0),
        (HookPoint::BeforeReboot, exit_code::STEP_FAILED, 1),
        // Past the point of no return: the host is patched, and something about it is not as it should be.
        (HookPoint::AfterVerify, exit_code::NOT_VERIFIED, 1),
    ] {
        for distrusted in [false, true] {
            let scenario = with_hooks(&[(point, "drain", HookPolicy::MustSucceed)]);
            if distrusted {
                scenario.world().distrusted = Some("drain".into());
            } else {
                scenario.world().failing_work = Some("drain");
            }
            let mut scenario = scenario;
            // So that it comes to the second look, right before the call.
            scenario.options.allowed_checks.push("hooks-trusted".into());
            let (end, run) = scenario.run_to_end();
            assert_eq!(ended(&end), code, "{point:?}: {:?}", run.phase);
            assert_eq!(calls(&run), [("drain".to_owned(), Outcome::Failed)], "{point:?}");
            let mut world = scenario.world();
            assert_eq!(world.effects_of("upgrade began"), upgraded, "{point:?}");
            assert_eq!(world.effects_of("reboot"), usize::from(point == HookPoint::AfterVerify), "{point:?}");
            assert_eq!(world.effects_of("drain began"), usize::from(!distrusted), "{point:?}");
            for unit in [API, MONGOD] {
                assert!(world.unit(unit).active == "active" && !world.unit(unit).held, "{unit} at {point:?}");
            }
        }
    }
}

#[test]
fn a_hook_that_only_warns_changes_no_run() {
    for policy in [HookPolicy::Warn, HookPolicy::Ignore] {
        let scenario = with_hooks(&HookPoint::ALL.map(|point| (point, "drain", policy)));
        scenario.world().failing_work = Some("drain");
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
        assert_eq!(
            run.hooks.iter().filter(|call| call.problem().is_some()).count(),
            if policy == HookPolicy::Warn { 4 } else { 0 }
        );
    }
}

#[test]
fn a_program_that_is_not_roots_alone_blocks_the_run() {
    let scenario = with_hooks(&[(HookPoint::BeforeStop, "drain", HookPolicy::Ignore)]);
    scenario.world().distrusted = Some("drain".into());
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::UNTOUCHED);
    assert!(matches!(&run.phase, Phase::Failed { reason, .. } if reason.contains("hooks-trusted")), "{:?}", run.phase);
}

#[test]
fn no_hook_speaks_of_a_reboot_that_does_not_come() {
    let mut scenario = with_hooks(&[(HookPoint::BeforeReboot, "drain", HookPolicy::MustSucceed)]);
    scenario.options.no_reboot = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    assert!(calls(&run).is_empty());
}

fn silenced() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.silence = Some(SilenceSettings {
        begin: vec!["silence".into()],
        end: vec!["speak".into(), "up now".into()],
        timeout: SignedDuration::from_secs(5),
        sandbox: true,
    });
    scenario
}

/// Before the stop, and again after the last thing that may raise an alarm; whatever becomes of the run.
#[test]
fn monitoring_speaks_again_however_the_run_ends() {
    type Change = fn(&mut Scenario);
    let ways: [(&str, u8, Change); 9] = [
        ("nothing", exit_code::DONE, |_| {}),
        ("no reboot", exit_code::DONE, |scenario| scenario.options.no_reboot = true),
        ("an abort", exit_code::STEP_FAILED, |scenario| scenario.abort_at = Some(Step::Upgrade)),
        ("an early abort", exit_code::UNTOUCHED, |scenario| scenario.abort_at = Some(Step::Silence)),
        ("a stop that hangs", exit_code::STEP_FAILED, |scenario| scenario.world().unit(API).ignores_stop = true),
        ("a failing upgrade", exit_code::STEP_FAILED, |scenario| scenario.world().failing_work = Some("upgrade")),
        ("a reboot nobody asked for", exit_code::STEP_FAILED, |scenario| {
            scenario.world().unplanned_reboot_in = Some("upgrade");
        }),
        ("no reboot in time", exit_code::NOT_REBOOTED, |scenario| scenario.world().reboot_does_nothing = true),
        // Half of the silence may be there.
        ("a begin that fails", exit_code::DONE, |scenario| scenario.world().failing_work = Some("silence")),
    ];
    for (way, code, change) in ways {
        let mut scenario = silenced();
        change(&mut scenario);
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), code, "{way}: {:?}", run.phase);
        assert!(run.changes.is_empty(), "{way}: {:?}", run.changes);
        let world = scenario.world();
        assert_eq!((world.effects_of("silence began"), world.effects_of("speak ended")), (1, 1), "{way}");
        let position = |effect: &str| world.effects.iter().position(|other| other == effect);
        let first_stop =
            world.effects.iter().position(|effect| effect.starts_with("stop ") && effect.ends_with(".service"));
        let first_stop = first_stop.unwrap_or(usize::MAX);
        assert!(position("silence ended").unwrap() < first_stop, "{way}: {:?}", world.effects);
        assert!(position("start api.service") < position("speak began"), "{way}: {:?}", world.effects);
    }
}

#[test]
fn a_silence_that_does_not_end_is_told_with_the_command() {
    let scenario = silenced();
    scenario.world().failing_work = Some("speak");
    let (end, run) = scenario.run_to_end();
    // The host is healthy, and nobody would hear if it fell ill.
    assert_eq!(ended(&end), exit_code::NOT_VERIFIED);
    assert_eq!(scenario.world().effects_of("speak began"), 3, "the network may come late");
    let report = std::fs::read_to_string(scenario.state_path().join(format!("runs/{}/report.txt", run.id))).unwrap();
    assert!(report.contains("speak 'up now'") && report.contains("monitoring (silenced)"), "{report}");
    assert!(report.contains("hint: patchday resume"), "{report}");
}

#[test]
fn a_resume_after_the_end_has_monitoring_speak_again_whatever_boot_runs() {
    for (rebooted, mended) in [(false, true), (true, true), (false, false)] {
        let context = format!("rebooted: {rebooted}, mended: {mended}");
        let scenario = silenced();
        scenario.world().failing_work = Some("speak");
        let (_, run) = scenario.run_to_end();
        if mended {
            scenario.world().failing_work = None;
        }
        if rebooted {
            scenario.world().boot_anew();
        }
        let tried = scenario.world().effects_of("speak began");
        let run = scenario.resume_once(&run.id);
        assert!(run.closed.is_some(), "{context}");
        assert_eq!(run.leaves_monitoring_silent(), !mended, "{context}: {:?}", run.changes);
        assert_eq!(run.exit_code(), if mended { exit_code::DONE } else { exit_code::NOT_VERIFIED }, "{context}");
        let world = scenario.world();
        assert_eq!(world.effects_of("speak began") - tried, if mended { 1 } else { 3 }, "{context}");
        let starts = |unit: &str| world.effects_of(&format!("start {unit}"));
        assert_eq!((starts(API), starts("mongod.service")), (0, 0), "{context}: only monitoring was left");
    }
}

#[test]
fn nothing_to_do_silences_nobody() {
    let scenario = silenced();
    scenario.world().pending.clear();
    scenario.run_to_end();
    assert_eq!(scenario.world().effects_of("silence began"), 0);
}

/// What people were shown: walls, and the login notice as it was put and taken away.
fn shown(scenario: &Scenario) -> Vec<String> {
    let word = |parcel: &Parcel| match parcel {
        Parcel::Wall { text } if text.contains("maintenance begins") => Some("wall".to_owned()),
        Parcel::LoginNotice { text } => Some(if text.is_some() { "notice" } else { "taken away" }.to_owned()),
        _ => None,
    };
    scenario.world().sent.iter().filter_map(word).collect()
}

#[test]
fn who_is_logged_in_is_told_and_given_time() {
    let secs = SignedDuration::from_secs;
    for (sessions, grace, expected) in [
        (0, secs(0), ["notice", "taken away"].as_slice()),
        (2, secs(0), &["notice", "wall", "taken away"]),
        // Users of the services are told by other ways, and need their time as well.
        (0, secs(300), &["notice", "wall", "taken away"]),
    ] {
        let mut scenario = Scenario::new();
        scenario.settings.announce.grace = grace;
        scenario.settings.reboot.when = RebootWhen::Never;
        scenario.world().sessions = sessions;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
        assert_eq!(shown(&scenario), expected, "{sessions} sessions, {grace:#}");
        assert!(run.changes.is_empty(), "{:?}", run.changes);
        let announced = run.last_record(&Step::Announce).unwrap();
        assert_eq!(announced.ended.duration_since(announced.attempt.began), grace);
    }
}

#[test]
fn an_abort_ends_the_wait_at_once() {
    let mut scenario = Scenario::new();
    scenario.settings.announce.grace = SignedDuration::from_hours(1);
    scenario.abort_at = Some(Step::Announce);
    let began = scenario.world().now;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::UNTOUCHED, "{:?}", run.phase);
    assert!(matches!(run.phase, Phase::Aborted { .. }), "{:?}", run.phase);
    assert_eq!(shown(&scenario).last().unwrap(), "taken away");
    let world = scenario.world();
    assert!(world.now.duration_since(began) < SignedDuration::from_mins(5), "nobody waited");
    assert_eq!(world.effects_of("stop api.service"), 0);
}

#[test]
fn that_nobody_can_be_told_of_the_stop_changes_no_run() {
    let scenario = Scenario::new();
    scenario.world().nobody_listens = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
}
