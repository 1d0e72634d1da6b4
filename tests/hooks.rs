//! What a run calls and whom it tells on its way, on a host in memory: hooks, the silence of monitoring, announcements.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "common/fake_host.rs"]
mod fake_host;

use fake_host::{API, MONGOD, Scenario};
use jiff::SignedDuration;
use patchday::coordinator::RunEnd;
use patchday::exit_code;
use patchday::model::{Hook, HookPoint, HookPolicy, Outcome, Phase, Run};

fn ended(end: &RunEnd) -> u8 {
    match end {
        RunEnd::Closed { exit_code } => *exit_code,
        other => panic!("{other:?}"),
    }
}

fn with_hooks(hooks: &[(HookPoint, &str, HookPolicy)]) -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.hooks = hooks.iter().map(|(point, program, policy)| hook(*point, program, *policy)).collect();
    scenario
}

fn hook(point: HookPoint, program: &str, policy: HookPolicy) -> Hook {
    Hook { point, command: vec![program.into()], timeout: SignedDuration::from_secs(5), policy }
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
