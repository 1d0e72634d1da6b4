//! What a boot owes, on a host in memory: whatever a run came to, nothing of it is forgotten on this boot, and nothing of
//! it is left on the next.

use crate::fake_host::{API, Fault, Scenario, ended};
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
    report::build(run, &[], Timestamp::now()).summary.to_string()
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
            sandbox: true,
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
    let host = || {
        let mut scenario = Scenario::new();
        scenario.options.no_reboot = true;
        // Nobody can tell afterwards, so that the forecast must last.
        scenario.world().maps_are_hidden = true;
        scenario
    };
    let whole = host();
    whole.run_to_end();
    let world = whole.world();
    let (first, last) = (world.first["start work"], world.points());
    for point in (first..last).step_by(9) {
        let scenario = host().crash_at(point, Fault::Kill);
        let (end, run) = scenario.run_to_end();
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

/// A host on which these units run, all of them with replaced files.
fn running_old(units: &[&str]) -> Scenario {
    let mut scenario = Scenario::new();
    scenario.options.no_reboot = true;
    {
        let mut world = scenario.world();
        for unit in units {
            let like = world.unit(API).clone();
            world.units.insert((*unit).to_owned(), like);
        }
        world.pending.retain(|change| change.name == "tzdata");
        world.old_code.extend(units.iter().map(|unit| (*unit).to_owned()));
    }
    scenario
}

fn kinds(scenario: &Scenario) -> Vec<String> {
    owed(scenario)
        .iter()
        .map(|owed| format!("{}{}", owed.reason, if owed.reason.asks_for_reboot() { "" } else { "?" }))
        .collect()
}

/// Names forecast, and what runs decides: both ways, and neither where nobody can tell.
#[test]
fn what_runs_decides_whether_an_upgrade_needs_a_boot() {
    type Change = fn(&Scenario);
    let only = |scenario: &Scenario, name: &str| {
        let mut world = scenario.world();
        world.pending.truncate(1);
        world.pending[0].name = name.into();
    };
    let cases: [(&str, &str, u32, Change); 5] = [
        ("nobody runs the old libssl3", "libssl3", 0, |_| {}),
        ("nobody can tell who runs it", "libssl3", 1, |scenario| scenario.world().maps_are_hidden = true),
        ("a package of no name, and PID 1 runs its old self", "zlib1g", 1, |scenario| {
            scenario.world().old_code.insert("init.scope".into());
        }),
        ("only a person's session runs its old self", "zlib1g", 0, |scenario| {
            scenario.world().old_code.insert("session-3.scope".into());
        }),
        ("no process shows microcode", "intel-microcode", 1, |_| {}),
    ];
    for (case, package, reboots, change) in cases {
        let scenario = Scenario::new();
        only(&scenario, package);
        change(&scenario);
        let (end, run) = scenario.run_to_end();
        assert_eq!(ended(&end), exit_code::DONE, "{case}: {:?}", run.phase);
        assert_eq!(run.reboots, reboots, "{case}: {:?}", run.reboot_reasons);
        assert!(!asks(&scenario), "{case}: {:?}", owed(&scenario));
    }
}

#[test]
fn what_can_be_restarted_is_once_and_the_rest_is_owed_by_name() {
    let units = ["cron.service", "dbus.service", "init.scope", "session-3.scope", "systemd-journald.service"];
    let scenario = running_old(&units);
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE, "{:?}", run.phase);
    let restarts: Vec<&str> = run.restarts.iter().map(|restart| restart.unit.as_str()).collect();
    assert_eq!(restarts, ["cron.service", "systemd-journald.service"]);
    for unit in units {
        let wanted = usize::from(restarts.contains(&unit));
        assert_eq!(scenario.world().effects_of(&format!("restart {unit}")), wanted, "{unit}");
    }
    let told = first_line(&run);
    assert!(told.contains("healthy: a boot is owed") && told.contains("dbus.service, systemd (PID 1)"), "{told}");
    assert_eq!(
        kinds(&scenario),
        [
            "dbus.service still runs replaced files",
            "systemd (PID 1) still runs replaced files",
            "main of session 3 still runs replaced files?"
        ]
    );

    // By policy: nothing is restarted, and all of it is owed.
    let mut scenario = running_old(&units);
    scenario.settings.reboot.restart_outdated = false;
    let (_, run) = scenario.run_to_end();
    assert_eq!((run.restarts.len(), kinds(&scenario).len()), (0, 5));
    // With a reboot none of it is needed.
    let mut scenario = running_old(&units);
    scenario.options.no_reboot = false;
    let (_, run) = scenario.run_to_end();
    assert_eq!((run.reboots, run.restarts.len(), kinds(&scenario).len()), (1, 0, 0));
}

/// What does not change by a restart, or does not survive one, is left to a boot.
#[test]
fn a_restart_is_not_made_where_it_would_do_harm() {
    for (unit, change) in [
        ("backup.service", (|fake| fake.service_type = "oneshot") as fn(&mut crate::fake_host::FakeUnit)),
        ("ended.service", |fake| fake.active = "inactive"),
    ] {
        let scenario = running_old(&[unit]);
        change(scenario.world().unit(unit));
        let (_, run) = scenario.run_to_end();
        assert_eq!(run.restarts, [], "{unit}");
        assert_eq!(kinds(&scenario), [format!("{unit} still runs replaced files")]);
    }
}

#[test]
fn a_restart_is_made_once_whenever_the_coordinator_is_killed() {
    let host = || running_old(&["cron.service", "init.scope"]);
    let whole = host();
    whole.run_to_end();
    let world = whole.world();
    let (first, last) = (world.first["restart"], world.first["restarted"]);
    for point in first.saturating_sub(6)..=last + 8 {
        let scenario = host().crash_at(point, Fault::Kill);
        let (end, run) = scenario.run_to_end();
        let context = format!("after a kill at point {point}");
        assert!(scenario.has_crashed(), "{context}");
        assert_eq!(ended(&end), exit_code::DONE, "{context}: {:?}", run.phase);
        assert!(scenario.world().effects_of("restart cron.service") <= 1, "{context}");
        assert!(asks(&scenario), "{context}");
    }
}

/// The host goes down two minutes after a verdict: it is not well.
#[test]
fn a_shutdown_that_a_script_has_scheduled_is_a_finding() {
    let mut scenario = Scenario::new();
    scenario.options.no_reboot = true;
    scenario.world().script_schedules_shutdown = true;
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::NOT_VERIFIED, "{:?}", run.phase);
    assert!(first_line(&run).starts_with("degraded: a reboot of the host is scheduled for "), "{}", first_line(&run));
}
