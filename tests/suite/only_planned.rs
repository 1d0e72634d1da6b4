//! What is fetched on one day and installed on another, on a host in memory: nothing else is installed, and whatever the fetch
//! did not come to its end with counts for nothing.

use crate::fake_host::{Fault, Scenario, at_every_moment, ended};
use patchday::exit_code;
use patchday::model::{FetchedPlan, Phase, Run, Step};

fn fetch() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.upgrade.only_planned = true;
    scenario.options.fetch_only = true;
    scenario
}

/// On the host of a fetch, some days later.
fn install_what_was_fetched() -> Scenario {
    let mut scenario = fetch();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    scenario.options.fetch_only = false;
    let mut world = scenario.world();
    world.effects.clear();
    world.now += jiff::SignedDuration::from_hours(50);
    drop(world);
    scenario
}

fn names(fetched: &FetchedPlan) -> Vec<&str> {
    fetched.plan.changes.iter().map(|change| change.name.as_str()).collect()
}

fn said_by_check(run: &Run) -> Option<&str> {
    let check = run.checks.iter().find(|check| check.label == "fetched-plan")?;
    Some(check.finding.as_ref()?.title.as_str())
}

#[test]
fn a_fetch_keeps_the_plan_and_does_no_more() {
    let scenario = fetch();
    let (end, run) = scenario.run_to_end();
    assert_eq!((ended(&end), &run.phase), (exit_code::DONE, &Phase::OnlyFetched));
    let steps: Vec<&Step> = run.history.iter().map(|record| &record.attempt.step).collect();
    assert_eq!(steps, [&Step::Fetch, &Step::Report]);
    assert!(run.changes.is_empty(), "{:?}", run.changes);
    let world = scenario.world();
    assert_eq!(world.effects, ["refresh began", "refresh ended", "download began", "download ended"]);
    let fetched = world.fetched.as_ref().unwrap();
    assert_eq!((&fetched.run, names(fetched)), (&run.id, vec!["libc6", "tzdata"]));
}

#[test]
fn a_later_run_installs_just_that_and_refreshes_nothing() {
    let scenario = install_what_was_fetched();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let world = scenario.world();
    assert_eq!(world.effects_of("refresh began"), 0, "{:?}", world.effects);
    assert_eq!(world.effects_of("upgrade ended"), 1);
    drop(world);

    // The timer fires again, and nobody has fetched anything.
    let (end, run) = scenario.run_to_end();
    assert_eq!((ended(&end), &run.phase), (exit_code::DONE, &Phase::NothingToDo));
    assert_eq!(said_by_check(&run), Some("all that was fetched on 2026-11-23 is installed"));
}

#[test]
fn anything_else_is_refused_before_the_host_is_touched() {
    for (fetched, allowed, step, reason) in [
        (false, false, Step::Preflight, "nothing was fetched"),
        (false, true, Step::Fetch, "nothing was fetched: patchday plan --fetch"),
        (true, false, Step::Preflight, "apt would not do what was fetched on 2026-11-23"),
        (true, true, Step::Fetch, "tzdata 3 was not fetched, libc6 would stay at 1, and not become 2; fetch anew"),
    ] {
        let mut scenario = install_what_was_fetched();
        {
            let mut world = scenario.world();
            if !fetched {
                world.fetched = None;
            }
            world.pending.retain(|change| change.name != "libc6");
            world.pending.iter_mut().for_each(|change| change.to = Some("3".into()));
        }
        if allowed {
            scenario.options.allowed_checks.push("fetched-plan".into());
        }
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::UNTOUCHED, "{:?}", run.phase);
        assert!(scenario.world().effects.is_empty(), "{:?}", scenario.world().effects);
        let Phase::Failed { step: failed, reason: said } = &run.phase else { panic!("{:?}", run.phase) };
        assert_eq!(failed, &step);
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn a_fetch_that_fails_leaves_no_plan_not_even_the_one_before() {
    let mut scenario = install_what_was_fetched();
    scenario.options.fetch_only = true;
    scenario.world().failing_work = Some("download");
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::UNTOUCHED, "{:?}", run.phase);
    assert_eq!(scenario.world().fetched, None);
}

#[test]
fn whenever_the_world_ends_a_plan_is_kept_only_with_its_packages() {
    for fault in [Fault::Kill, Fault::PowerCut] {
        at_every_moment(fault, fetch, |scenario, run, code, context| {
            let world = scenario.world();
            if fault == Fault::Kill {
                assert_eq!(code, exit_code::DONE, "{context}: {:?}", run.phase);
            }
            let is_kept = world.fetched.is_some();
            assert!(is_kept || code != exit_code::DONE, "{context}");
            assert!(!is_kept || world.effects_of("download ended") > 0, "{context}");
            assert_eq!(world.effects_of("upgrade began"), 0, "{context}");
        });
    }
}
