//! What a boot owes, on a host in memory: whatever a run came to, nothing of it is forgotten on this boot, and nothing of
//! it is left on the next.

use crate::fake_host::{Fault, Scenario, ended};
use jiff::Timestamp;
use patchday::config::RebootWhen;
use patchday::exit_code;
use patchday::model::{BootReason, Hook, HookPoint, HookPolicy, Owed, Phase, Run, Step};
use patchday::report;

fn owed(scenario: &Scenario) -> Vec<Owed> {
    let (boot, soft_reboots) = (scenario.boot_id(), scenario.world().soft_reboots);
    scenario.state.owed(&boot, soft_reboots).unwrap()
}

fn asks(scenario: &Scenario) -> bool {
    owed(scenario).iter().any(|owed| owed.reason.asks_for_reboot())
}

fn first_line(run: &Run) -> String {
    report::build(run, &[], Timestamp::now()).summary
}

type Change = fn(&mut Scenario);

/// libc6 is upgraded, and the run ends without the reboot that this needs.
const WAYS: [(&str, u8, Change); 7] = [
    ("--no-reboot", exit_code::DONE, |scenario| scenario.options.no_reboot = true),
    ("when = never", exit_code::DONE, |scenario| scenario.settings.reboot.when = RebootWhen::Never),
    ("a failed hook", exit_code::STEP_FAILED, |scenario| {
        scenario.world().failing_work = Some("drain");
        scenario.settings.hooks = vec![Hook {
            point: HookPoint::BeforeReboot,
            command: vec!["drain".into()],
            timeout: jiff::SignedDuration::from_secs(5),
            policy: HookPolicy::MustSucceed,
        }];
    }),
    ("a failed look", exit_code::STEP_FAILED, |scenario| {
        scenario.world().new_kernel = Some("6.1.0-43-amd64");
        scenario.world().boot_entries = Some(vec!["6.1.0-42-amd64"]);
    }),
    ("an abort", exit_code::STEP_FAILED, |scenario| scenario.abort_at = Some(Step::Upgrade)),
    ("a reboot that does not come", exit_code::NOT_REBOOTED, |scenario| scenario.world().reboot_does_nothing = true),
    ("a reboot that is refused", exit_code::NOT_REBOOTED, |scenario| scenario.world().reboot_is_refused = true),
];

#[test]
fn a_boot_that_a_run_leaves_owed_is_kept_said_and_made_by_the_next_run() {
    for (way, code, change) in WAYS {
        let mut scenario = Scenario::new();
        change(&mut scenario);
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), code, "{way}: {:?}", run.phase);
        assert!(asks(&scenario), "{way}: nothing is owed");
        assert!(first_line(&run).contains("a boot is owed"), "{way}: {}", first_line(&run));
        assert!(scenario.world().pending.is_empty(), "{way}: the next run has something to upgrade");

        // The cause is gone, and no package is left to upgrade.
        {
            let fresh = Scenario::new();
            scenario.options = fresh.options.clone();
            scenario.settings = fresh.settings.clone();
            scenario.abort_at = None;
            let mut world = scenario.world();
            (world.failing_work, world.boot_entries) = (None, None);
            (world.reboot_does_nothing, world.reboot_is_refused) = (false, false);
        }
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "after {way}: {:?}", run.phase);
        assert_eq!((run.reboots, &run.phase), (1, &Phase::Verified), "after {way}");
        assert_eq!(owed(&scenario), [], "after {way}: it was rebooted");
        assert!(!first_line(&run).contains("owed"), "after {way}: {}", first_line(&run));

        let (end, run) = scenario.run_to_end();
        assert_eq!((ended(&end), run.phase), (exit_code::DONE, Phase::NothingToDo), "twice after {way}");
    }
}

#[test]
fn where_no_run_may_reboot_it_stays_shown_until_another_boot() {
    let mut scenario = Scenario::new();
    scenario.settings.reboot.when = RebootWhen::Never;
    scenario.run_to_end();
    let since: Vec<Timestamp> = owed(&scenario).iter().map(|owed| owed.since).collect();
    // Many runs later: no run forgets it, and none renews its date.
    for _ in 0..8 {
        let (end, run) = scenario.run_to_end();
        assert_eq!((ended(&end), &run.phase), (exit_code::DONE, &Phase::NothingToDo));
        assert!(first_line(&run).contains("a boot is owed"), "{}", first_line(&run));
        assert_eq!(owed(&scenario).iter().map(|owed| owed.since).collect::<Vec<_>>(), since);
    }
    scenario.world().boot_anew();
    assert_eq!(owed(&scenario), []);
    let (_, run) = scenario.run_to_end();
    assert!(first_line(&run).contains("nothing to do"), "{}", first_line(&run));
}

/// What may be half installed may be in force half.
#[test]
fn what_an_upgrade_may_have_done_is_owed_whenever_the_coordinator_is_killed() {
    for point in 1_u32.. {
        let mut scenario = Scenario::new().crash_at(point, Fault::Kill);
        scenario.options.no_reboot = true;
        let (end, run) = scenario.run_to_end();
        if !scenario.has_crashed() {
            break;
        }
        assert_eq!(ended(&end), exit_code::DONE, "after a kill at point {point}: {:?}", run.phase);
        assert!(asks(&scenario), "forgotten after a kill at point {point}");
    }
}

/// All but the kernel was started anew: what ran is gone, and what the kernel read is not.
#[test]
fn a_soft_reboot_pays_what_programs_owe() {
    let mut scenario = Scenario::new();
    let mut microcode = scenario.world().pending[0].clone();
    microcode.name = "intel-microcode".into();
    scenario.world().pending.push(microcode);
    scenario.options.no_reboot = true;
    scenario.run_to_end();
    assert_eq!(owed(&scenario).len(), 2);
    scenario.world().soft_reboot();
    for _ in 0..2 {
        let left: Vec<BootReason> = owed(&scenario).into_iter().map(|owed| owed.reason).collect();
        let [BootReason::ReadAtBoot { package, .. }] = left.as_slice() else { panic!("{left:?}") };
        assert_eq!(package, "intel-microcode");
        scenario.run_to_end();
    }
}
