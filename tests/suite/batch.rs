//! Packages that are installed without a sync for each file, on a host in memory: whenever the coordinator is killed, or the
//! power is cut, no package stays as the cut has left it.

use crate::fake_host::{Fault, Scenario, World, assert_in_service, at_every_moment, ended};
use patchday::config::{Durability, StopOrder};
use patchday::exit_code;
use patchday::model::{Change, Outcome, Step};

fn in_batch() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.settings.upgrade.durability = Durability::Batch;
    scenario
}

#[test]
fn what_booting_needs_comes_first_and_the_rest_is_synced_at_its_end() {
    for order in [StopOrder::StopFirst, StopOrder::LateStop] {
        let mut scenario = in_batch();
        scenario.settings.upgrade.order = order;
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
        let world = scenario.world();
        let at = |effect: &str| world.effects.iter().position(|one| one == effect).unwrap();
        assert!(
            at("upgrade-base ended") < at("upgrade began") && at("upgrade ended") < at("synced"),
            "{:?}",
            world.effects
        );
        assert!(at("synced") < at("reboot") && world.effects_of("unpack began") == 0, "{:?}", world.effects);
        // The log is there before anything stops or is touched.
        assert!(world.first["prepare batch"] < world.first["stop"]);
        drop(world);
        assert_in_service(&scenario, "after an upgrade in a batch");
        assert!(run.changes.is_empty(), "{:?}", run.changes);
    }
}

#[test]
fn each_file_is_synced_where_a_batch_would_not_be_safe_or_is_not_wanted() {
    let unfit: fn(&mut World) = |world| world.unfit = Some("/usr is on none of ext4, xfs");
    let nothing_else: fn(&mut World) = |world| world.boot_needs = vec!["libc6", "tzdata"];
    for (durability, spoil, base_ran) in [
        (Durability::File, (|_| {}) as fn(&mut World), false),
        (Durability::Batch, unfit, false),
        (Durability::Batch, nothing_else, false),
    ] {
        let mut scenario = in_batch();
        scenario.settings.upgrade.durability = durability;
        spoil(&mut scenario.world());
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
        let world = scenario.world();
        assert_eq!(world.effects_of("synced"), 0, "{:?}", world.effects);
        assert_eq!(world.effects_of("upgrade-base began") == 1, base_ran, "{:?}", world.effects);
        assert!(world.pending.is_empty());
    }
}

#[test]
fn a_kill_at_any_moment_changes_nothing_and_installs_nothing_twice() {
    at_every_moment(Fault::Kill, in_batch, |scenario, run, code, context| {
        assert_eq!(code, exit_code::DONE, "{context}: {:?}", run.phase);
        assert!(run.changes.is_empty(), "{:?} {context}", run.changes);
        let world = scenario.world();
        for (effect, count) in [("upgrade-base began", 1), ("upgrade began", 1), ("unpack began", 0), ("reboot", 1)] {
            assert_eq!(world.effects_of(effect), count, "{effect} {context}: {:?}", world.effects);
        }
    });
}

#[test]
fn after_a_power_cut_at_any_moment_a_batch_is_installed_again_and_only_then() {
    for order in [StopOrder::StopFirst, StopOrder::LateStop] {
        let late = || {
            let mut scenario = in_batch();
            scenario.settings.upgrade.order = order;
            scenario
        };
        let (mut again, mut moments) = (0, 0);
        at_every_moment(Fault::PowerCut, late, |scenario, run, code, context| {
            moments += 1;
            assert!(run.changes.is_empty(), "{:?} {context}", run.changes);
            assert!(!format!("{:?}", run.phase).contains("cannot record"), "{context}: {:?}", run.phase);
            let world = scenario.world();
            assert!(world.effects_of("upgrade began") <= 1, "{context}: {:?}", world.effects);
            if world.effects_of("unpack began") == 0 {
                return;
            }
            again += 1;
            assert_ne!(code, exit_code::DONE, "the cut is not told {context}");
            let repair = run.last_record(&Step::Repair).unwrap();
            assert_eq!(repair.outcome, Outcome::Succeeded, "{context}: {repair:?}");
            let note = repair.note.as_deref().unwrap_or_default();
            assert!(note.contains("installed 1 packages again"), "{context}: {note}");
            assert!(world.pending.is_empty(), "{context}: {:?}", world.pending);
            assert!(world.effects_of("mend ended") >= 1, "{context}: {:?}", world.effects);
        });
        assert!(again > 8 && moments > 100, "{again} of {moments} moments had the batch installed again");
    }
}

/// The second cut comes while the batch is being installed again.
#[test]
fn a_second_power_cut_has_it_installed_once_more() {
    let cut = in_batch();
    let (_, _) = cut.run_to_end();
    let first = cut.world().first["sync"];
    let mut again = 0;
    for point in 1..60 {
        let scenario = in_batch();
        // Right before the last sync of the batch: everything is in memory.
        let behind = cut.world().moments["sync"];
        assert_eq!(behind, 1);
        let scenario = scenario.crash_at(first, Fault::PowerCut);
        scenario.crash_again_after(point, Fault::PowerCut);
        let (end, run) = scenario.run_to_end();
        let context = format!("after a second cut {point} moments later");
        assert_ne!(ended(&end), exit_code::DONE, "{context}");
        assert_in_service(&scenario, &context);
        assert!(run.changes.is_empty(), "{:?} {context}", run.changes);
        again = again.max(scenario.world().effects_of("unpack began"));
    }
    assert_eq!(again, 2, "no second cut met the repair");
}

#[test]
fn a_disk_that_does_not_sync_ends_the_run_and_the_repair_tries_again() {
    for failing in [1, u32::MAX] {
        let scenario = in_batch();
        scenario.world().failing_syncs = failing;
        let (end, run) = scenario.run_to_end();
        let is_left = run.changes.iter().any(|change| matches!(change, Change::Unsynced { .. }));
        assert_eq!(is_left, failing > 1, "{:?}", run.changes);
        assert_ne!(ended(&end), exit_code::DONE, "{:?}", run.phase);
        if is_left {
            scenario.world().failing_syncs = 0;
            let run = scenario.undo_leftovers(&run.id);
            assert!(run.changes.is_empty(), "{:?}", run.changes);
        }
        assert_in_service(&scenario, "after a disk that did not sync");
    }
}

#[test]
fn a_spoiled_log_is_told_and_the_mark_stays() {
    let scenario = in_batch();
    let probe = in_batch();
    probe.run_to_end();
    let at = probe.world().first["sync"];
    let scenario = scenario.crash_at(at, Fault::PowerCut);
    scenario.world().log_is_spoiled = true;
    let (end, run) = scenario.run_to_end();
    assert_ne!(ended(&end), exit_code::DONE);
    assert!(run.has_lost_a_batch(), "{:?}", run.changes);
    let note = run.last_record(&Step::Repair).unwrap().note.clone().unwrap();
    assert!(note.contains("tzdata.deb is gone"), "{note}");
    scenario.world().log_is_spoiled = false;
    let run = scenario.undo_leftovers(&run.id);
    assert!(run.changes.is_empty(), "{:?}", run.changes);
    assert_in_service(&scenario, "after somebody has put the log right");
}
