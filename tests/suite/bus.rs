//! The systemd and logind adapters against mocks on a private bus: races, floods, lost replies and a bus that dies.

use crate::mock_bus::daemon::BusDaemon;
use crate::mock_bus::login1::{MockLogind, Version};
use crate::mock_bus::systemd1::{Ending, MockSystemd, MockUnit};
use crate::mock_bus::{Fault, soon};
use jiff::{SignedDuration, Timestamp};
use patchday::host::logind::Logind;
use patchday::host::systemd::{SystemdUnits, SystemdWork};
use patchday::host::{HostError, HostErrorKind, Power, UnitHold, Units, WorkUnits};
use patchday::model::{ActiveState, JobResult, LoadState, Restart, UnitName, WorkLook, WorkOutcome, WorkSpec};
use zbus::Connection;

const UNIT: &str = "mongod.service";
const WORK: &str = "patchday-test-upgrade.service";
const LONG: SignedDuration = SignedDuration::from_secs(25);

fn name(text: &str) -> UnitName {
    text.parse().unwrap()
}

/// A bus with a systemd on it, and the adapters of the program.
struct Scene {
    mock: MockSystemd,
    on: Option<Connection>,
    units: SystemdUnits,
    work: SystemdWork,
    daemon: BusDaemon,
}

impl Scene {
    async fn with(unit: MockUnit) -> Self {
        let daemon = BusDaemon::start();
        let mock = MockSystemd::new(&daemon);
        mock.unit(UNIT, unit);
        let on = Some(mock.attach(&daemon).await);
        let bus = daemon.bus();
        let units = SystemdUnits::new(bus.clone(), daemon.root());
        Self { mock, on, units, work: SystemdWork::new(bus, "/usr/bin/patchday"), daemon }
    }

    async fn stop(&self, timeout: SignedDuration) -> Result<JobResult, HostError> {
        soon("stop", self.units.stop(&name(UNIT), timeout)).await
    }

    async fn start(&self) -> Result<JobResult, HostError> {
        soon("start", self.units.start(&name(UNIT), LONG)).await
    }

    /// Waits until the stop was asked for and its reply is here: replies of one connection keep their order, so that the
    /// end of a later call proves it.
    async fn stop_replied(&self) {
        self.mock.called("StopUnit mongod.service", 1).await;
        soon("survey", self.units.survey()).await.unwrap();
    }

    fn on(&self) -> &Connection {
        self.on.as_ref().unwrap()
    }
}

fn spec(status: bool) -> WorkSpec {
    WorkSpec {
        unit: name(WORK),
        description: "test".into(),
        argv: vec!["/bin/true".into()],
        environment: Vec::new(),
        is_pinned: true,
        is_sandboxed: false,
        nice: 10,
        log: "/tmp/log".into(),
        status: status.then(|| "/tmp/status".into()),
        timeout: None,
    }
}

#[tokio::test]
async fn a_result_that_comes_before_the_reply_is_heard() {
    let scene = Scene::with(MockUnit::running()).await;
    assert_eq!(scene.stop(LONG).await, Ok(JobResult::Done));
    assert_eq!(scene.start().await, Ok(JobResult::Done));
    // The second wait met AlreadySubscribed.
    assert_eq!(scene.mock.count("Subscribe"), 2);
    assert_eq!(scene.mock.count("StopUnit mongod.service"), 1);
    assert_eq!(scene.mock.count("StartUnit mongod.service"), 1);
}

#[tokio::test]
async fn signals_of_other_jobs_neither_block_nor_count() {
    let scene = Scene::with(MockUnit::running()).await;
    scene.mock.ending(UNIT, Ending::BeforeReply { result: "done", noise: 3000 });
    assert_eq!(scene.stop(LONG).await, Ok(JobResult::Done));
}

#[tokio::test]
async fn every_word_of_a_job_is_kept() {
    let scene = Scene::with(MockUnit::dead()).await;
    for (word, result) in [
        ("failed", JobResult::Failed),
        ("timeout", JobResult::Timeout),
        ("dependency", JobResult::Dependency),
        ("canceled", JobResult::Canceled),
        ("skipped", JobResult::Skipped),
        ("frobnicated", JobResult::Other("frobnicated".into())),
    ] {
        scene.mock.ending(UNIT, Ending::with(word));
        assert_eq!(scene.start().await, Ok(result));
    }
}

#[tokio::test]
async fn a_unit_that_is_not_there_is_stopped_but_cannot_be_started() {
    let scene = Scene::with(MockUnit::running()).await;
    let absent = name("absent.service");
    assert_eq!(soon("stop", scene.units.stop(&absent, LONG)).await, Ok(JobResult::Done));
    let error = soon("start", scene.units.start(&absent, LONG)).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::NotFound);
    assert!(error.to_string().contains("absent.service"), "{error}");
    assert_eq!(soon("state", scene.units.state(&absent)).await.unwrap().load, LoadState::NotFound);
}

#[tokio::test]
async fn a_refusal_is_told_in_systemds_words() {
    let scene = Scene::with(MockUnit::dead()).await;
    let masked = Fault::new("org.freedesktop.systemd1.UnitMasked", "Unit mongod.service is masked.");
    scene.mock.ending(UNIT, Ending::Refused(masked));
    let error = scene.start().await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Refused);
    assert_eq!(error.to_string(), "start mongod.service: Unit mongod.service is masked.");
}

#[tokio::test]
async fn a_job_that_does_not_end_in_time_is_unknown() {
    let scene = Scene::with(MockUnit::running()).await;
    scene.mock.ending(UNIT, Ending::Never);
    let error = scene.stop(SignedDuration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Unknown);
    assert!(error.to_string().contains("mongod.service") && error.to_string().contains("job 1"), "{error}");
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again() {
    let scene = Scene::with(MockUnit::running()).await;
    scene.mock.ending(UNIT, Ending::LostReply { result: "done", fault: Fault::no_reply() });
    assert_eq!(scene.stop(LONG).await, Ok(JobResult::Done));
    assert_eq!(scene.mock.count("StopUnit mongod.service"), 2);
}

#[tokio::test]
async fn a_lost_signal_is_made_up_for_by_looking() {
    let scene = Scene::with(MockUnit::running()).await;
    scene.mock.ending(UNIT, Ending::Never);
    let stopping = async {
        scene.mock.called("StopUnit mongod.service", 1).await;
        scene.mock.end_silently(UNIT, "inactive", "dead");
    };
    let (result, ()) = tokio::join!(scene.stop(LONG), stopping);
    assert_eq!(result, Ok(JobResult::Done));
}

#[tokio::test]
async fn a_stop_whose_bus_died_is_judged_by_the_unit() {
    for (active, sub, expected) in
        [("inactive", "dead", Ok(JobResult::Done)), ("active", "running", Err(HostErrorKind::Unknown))]
    {
        let mut scene = Scene::with(MockUnit::running()).await;
        scene.mock.ending(UNIT, Ending::Never);
        let units = scene.units.clone();
        let stopping = tokio::spawn(async move { units.stop(&name(UNIT), LONG).await });
        scene.stop_replied().await;
        scene.daemon.kill();
        scene.mock.end_silently(UNIT, active, sub);
        scene.daemon.start_again();
        scene.on = Some(scene.mock.attach(&scene.daemon).await);
        let result = soon("stop", stopping).await.unwrap();
        assert_eq!(result.map_err(|error| error.kind), expected, "{active}");
        assert_eq!(scene.mock.count("StopUnit mongod.service"), 1);
    }
}

#[tokio::test]
async fn a_job_that_outlives_the_bus_is_waited_for_on_the_new_one() {
    let mut scene = Scene::with(MockUnit::running()).await;
    scene.mock.ending(UNIT, Ending::Never);
    let units = scene.units.clone();
    let stopping = tokio::spawn(async move { units.stop(&name(UNIT), LONG).await });
    scene.stop_replied().await;
    scene.daemon.kill();
    scene.daemon.start_again();
    scene.on = Some(scene.mock.attach(&scene.daemon).await);
    scene.mock.called("Subscribe", 2).await;
    scene.mock.end_job(scene.on(), UNIT, "timeout").await;
    assert_eq!(soon("stop", stopping).await.unwrap(), Ok(JobResult::Timeout));
    assert_eq!(scene.mock.count("StopUnit mongod.service"), 1);
}

#[tokio::test]
async fn the_state_is_read_afresh_and_completely() {
    let scene = Scene::with(MockUnit::running()).await;
    let group = scene.daemon.root().join("sys/fs/cgroup/system.slice/mongod.service");
    std::fs::create_dir_all(&group).unwrap();
    std::fs::write(group.join("cgroup.procs"), "4711\n4712\n").unwrap();
    let state = soon("state", scene.units.state(&name(UNIT))).await.unwrap();
    assert_eq!((&state.load, &state.active, state.sub.as_str()), (&LoadState::Loaded, &ActiveState::Active, "running"));
    assert_eq!((state.main_pid, state.processes, state.restarts), (Some(4711), 2, 3));
    assert_eq!(state.stop_timeout, Some(SignedDuration::from_secs(90)));
    assert_eq!(state.active_since_usec, Some(5_000_000));
    assert_eq!(state.exit_status, None, "it did not exit");
    assert_eq!(state.invocation, "0aff");
    assert_eq!(state.after, [name("network.target")]);
    scene.mock.change(UNIT, |unit| {
        (unit.active, unit.sub, unit.result) = ("failed", "failed", "exit-code");
        (unit.main_code, unit.main_status, unit.main_pid, unit.stop_timeout) = (1, 7, 0, u64::MAX);
    });
    let state = soon("state", scene.units.state(&name(UNIT))).await.unwrap();
    assert_eq!((state.active.clone(), state.exit_status, state.main_pid), (ActiveState::Failed, Some(7), None));
    assert_eq!((state.result.as_deref(), state.stop_timeout), (Some("exit-code"), None));
    assert!(!state.is_down(), "two processes are left");
    scene.mock.change(UNIT, |unit| (unit.main_code, unit.main_status, unit.active) = (2, 9, "frozen"));
    let state = soon("state", scene.units.state(&name(UNIT))).await.unwrap();
    assert_eq!((state.exit_status, state.active), (None, ActiveState::Other("frozen".into())));
}

#[tokio::test]
async fn the_survey_lists_active_and_failed_units() {
    let scene = Scene::with(MockUnit { active: "failed", ..MockUnit::dead() }).await;
    for (name, unit) in [("a.socket", MockUnit::running()), ("dev-x.device", MockUnit::running())] {
        scene.mock.unit(name, unit);
    }
    let survey = soon("survey", scene.units.survey()).await.unwrap();
    assert_eq!((survey.system_state.as_str(), survey.systemd_version.as_str()), ("running", "252.39-1~deb12u2"));
    assert_eq!((survey.active, survey.failed), (vec![name("a.socket")], vec![name(UNIT)]));
}

fn plain_hold(unit: &str) -> UnitHold {
    UnitHold { unit: name(unit), stop_timeout: None }
}

#[tokio::test]
async fn a_hold_is_written_and_seen_by_systemd_and_can_be_repeated() {
    let scene = Scene::with(MockUnit::running()).await;
    let unit = name(UNIT);
    let drop_in = scene.daemon.root().join("run/systemd/system/mongod.service.d/90-patchday-hold.conf");
    let flag = scene.daemon.root().join("run/patchday/hold/mongod.service");
    let hold = UnitHold { unit: name(UNIT), stop_timeout: Some(SignedDuration::from_mins(5)) };
    for _ in 0..2 {
        soon("hold", scene.units.hold(std::slice::from_ref(&hold))).await.unwrap();
        let text = std::fs::read_to_string(&drop_in).unwrap();
        assert!(text.contains("ConditionPathExists=!/run/patchday/hold/mongod.service\n"), "{text}");
        assert!(text.contains("[Service]\nRestart=no\nTimeoutStopSec=300000ms\n"), "{text}");
        assert!(flag.exists());
        assert_eq!(scene.mock.count("Reload"), 1);
    }
    for _ in 0..2 {
        soon("release", scene.units.release(std::slice::from_ref(&unit))).await.unwrap();
        assert!(!flag.exists() && !drop_in.parent().unwrap().exists());
        assert_eq!(scene.mock.count("Reload"), 2);
    }
}

#[tokio::test]
async fn a_hold_never_lowers_a_timeout() {
    let scene = Scene::with(MockUnit { stop_timeout: u64::MAX, ..MockUnit::running() }).await;
    let hold = UnitHold { unit: name(UNIT), stop_timeout: Some(SignedDuration::from_mins(5)) };
    soon("hold", scene.units.hold(&[hold])).await.unwrap();
    let drop_in = scene.daemon.root().join("run/systemd/system/mongod.service.d/90-patchday-hold.conf");
    assert!(!std::fs::read_to_string(drop_in).unwrap().contains("TimeoutStopSec"));
}

#[tokio::test]
async fn a_hold_that_systemd_does_not_see_is_an_error() {
    let scene = Scene::with(MockUnit::running()).await;
    scene.mock.ignore_drop_ins();
    let error = soon("hold", scene.units.hold(&[plain_hold(UNIT)])).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Failed);
    assert!(error.to_string().contains("90-patchday-hold.conf"), "{error}");
    // Nothing that systemd could see of it, until it comes.
    soon("hold", scene.units.hold(&[plain_hold("absent.service")])).await.unwrap();
}

#[tokio::test]
async fn a_hold_that_another_drop_in_overrides_is_an_error() {
    let scene = Scene::with(MockUnit { restarts_anyway: true, ..MockUnit::running() }).await;
    let error = soon("hold", scene.units.hold(&[plain_hold(UNIT)])).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Failed);
    assert!(error.to_string().contains("Restart=always"), "{error}");
}

#[tokio::test]
async fn a_reload_without_a_reply_is_repeated() {
    let scene = Scene::with(MockUnit::running()).await;
    scene.mock.fail_reloads(2);
    soon("hold", scene.units.hold(&[plain_hold(UNIT)])).await.unwrap();
    assert_eq!(scene.mock.count("Reload"), 3);
}

#[tokio::test]
async fn work_is_started_looked_at_and_collected() {
    let scene = Scene::with(MockUnit::running()).await;
    let unit = name(WORK);
    assert_eq!(soon("look", scene.work.look(&unit)).await, WorkLook::NotLoaded);
    soon("start", scene.work.start(&spec(true))).await.unwrap();
    let properties = scene.mock.transient_properties(WORK);
    assert_eq!(properties["Slice"], zbus::Variant::from("patchday.slice").try_to_owned().unwrap());
    // What the mock's manager has of its own and we do not set.
    let unset = zbus::Variant::from(vec!["LANGUAGE", "PATH"]).try_to_owned().unwrap();
    assert_eq!(properties["UnsetEnvironment"], unset);
    assert_eq!(properties["Nice"], zbus::Variant::from(10i32).try_to_owned().unwrap());
    assert_eq!(soon("look", scene.work.look(&unit)).await, WorkLook::Running);

    let error = soon("start", scene.work.start(&spec(true))).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Refused, "{error}");
    let error = soon("collect", scene.work.collect(&unit)).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Refused, "{error}");
    assert_eq!(scene.mock.count("StopUnit patchday-test-upgrade.service"), 0);

    scene.mock.change(WORK, |unit| (unit.sub, unit.main_code, unit.cpu_nsec) = ("exited", 1, 1_500_000));
    let outcome = WorkOutcome { result: "success".into(), exit_status: Some(0), cpu_usec: Some(1500) };
    assert!(outcome.succeeded());
    assert_eq!(soon("look", scene.work.look(&unit)).await, WorkLook::Exited(outcome));
    for _ in 0..2 {
        soon("collect", scene.work.collect(&unit)).await.unwrap();
        assert_eq!(soon("look", scene.work.look(&unit)).await, WorkLook::NotLoaded);
    }
}

#[tokio::test]
async fn failed_work_is_looked_at_and_collected_too() {
    let scene = Scene::with(MockUnit::running()).await;
    let unit = name(WORK);
    soon("start", scene.work.start(&spec(false))).await.unwrap();
    scene.mock.change(WORK, |unit| {
        (unit.active, unit.sub, unit.result) = ("failed", "failed", "signal");
        (unit.main_code, unit.main_status) = (2, 9);
    });
    let outcome = WorkOutcome { result: "signal".into(), exit_status: None, cpu_usec: None };
    assert_eq!(soon("look", scene.work.look(&unit)).await, WorkLook::Exited(outcome));
    soon("collect", scene.work.collect(&unit)).await.unwrap();
    assert_eq!(soon("look", scene.work.look(&unit)).await, WorkLook::NotLoaded);
}

#[tokio::test]
async fn work_that_left_a_process_behind_is_collected_all_the_same() {
    let scene = Scene::with(MockUnit::running()).await;
    let unit = name(WORK);
    soon("start", scene.work.start(&spec(false))).await.unwrap();
    // Such a unit is not forgotten.
    scene.mock.change(WORK, |unit| (unit.sub, unit.main_code, unit.transient) = ("exited", 1, false));
    soon("collect", scene.work.collect(&unit)).await.unwrap();
    let error = soon("start", scene.work.start(&spec(false))).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn a_program_that_cannot_run_is_named_and_leaves_nothing() {
    let scene = Scene::with(MockUnit::running()).await;
    scene.mock.ending(WORK, Ending::with("failed"));
    let error = soon("start", scene.work.start(&spec(false))).await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Failed);
    assert!(error.to_string().contains("/bin/true") && error.to_string().contains("203"), "{error}");
    assert_eq!(soon("look", scene.work.look(&name(WORK))).await, WorkLook::NotLoaded);
}

#[tokio::test]
async fn work_whose_start_was_not_confirmed_is_started_once() {
    let scene = Scene::with(MockUnit::running()).await;
    scene.mock.ending(WORK, Ending::LostReply { result: "done", fault: Fault::no_reply() });
    soon("start", scene.work.start(&spec(false))).await.unwrap();
    assert_eq!(scene.mock.count("StartTransientUnit patchday-test-upgrade.service"), 2);
    assert_eq!(soon("look", scene.work.look(&name(WORK))).await, WorkLook::Running);
}

#[tokio::test]
async fn a_bus_that_is_gone_makes_everything_unknown() {
    let mut scene = Scene::with(MockUnit::running()).await;
    assert!(soon("state", scene.units.state(&name(UNIT))).await.is_ok());
    scene.daemon.kill();
    let unit = name(UNIT);
    let (state, look) = soon("answers", async { tokio::join!(scene.units.state(&unit), scene.work.look(&unit)) }).await;
    assert_eq!(state.unwrap_err().kind, HostErrorKind::Unknown);
    assert!(matches!(look, WorkLook::Unknown(_)), "{look:?}");
}

#[tokio::test]
async fn a_lock_lasts_until_the_guard_is_dropped() {
    let daemon = BusDaemon::start();
    let mock = MockLogind::new(Version::V257);
    let _on = mock.attach(&daemon).await;
    let logind = Logind::new(daemon.bus());
    let guard = soon("inhibit", logind.inhibit("patching")).await.unwrap();
    let lock = ("shutdown:sleep", "Patchday", "patching", "block");
    assert_eq!(mock.locks(), [(lock.0.into(), lock.1.into(), lock.2.into(), lock.3.into())]);
    let listed = soon("list", logind.inhibitors()).await.unwrap();
    assert_eq!((listed.len(), listed[0].pid), (1, std::process::id()));
    let closed = mock.clone();
    let closed = tokio::spawn(async move { closed.lock_closed().await });
    // Another round trip: were the descriptor closed early, its end would be seen by now.
    soon("list", logind.inhibitors()).await.unwrap();
    assert!(!closed.is_finished());
    drop(guard);
    closed.await.unwrap();
}

#[tokio::test]
async fn a_reboot_over_a_lock_is_refused_with_the_holders_name() {
    for version in [Version::V257, Version::V262] {
        let daemon = BusDaemon::start();
        let mock = MockLogind::new(version);
        mock.foreign_lock("shutdown:idle", "Unattended Upgrades Shutdown", "block");
        mock.foreign_lock("sleep", "NetworkManager", "delay");
        let _on = mock.attach(&daemon).await;
        let error = soon("reboot", Logind::new(daemon.bus()).reboot(Restart::Full)).await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Refused, "{version:?}");
        let text = error.to_string();
        assert!(text.contains("Unattended Upgrades Shutdown (process 42: testing)"), "{text}");
        assert!(!text.contains("NetworkManager"), "{text}");
        assert_eq!(mock.reboots(), 0);
    }
}

#[tokio::test]
async fn a_reboot_is_asked_for_once() {
    let daemon = BusDaemon::start();
    let mock = MockLogind::new(Version::V252);
    let _on = mock.attach(&daemon).await;
    let logind = Logind::new(daemon.bus());
    for restart in [Restart::Full, Restart::Full, Restart::Soft] {
        soon("reboot", logind.reboot(restart)).await.unwrap();
    }
    assert_eq!(mock.reboots(), 1);
}

#[tokio::test]
async fn a_soft_reboot_is_one_flag_of_logind() {
    let daemon = BusDaemon::start();
    let mock = MockLogind::new(Version::V257);
    let _on = mock.attach(&daemon).await;
    soon("soft reboot", Logind::new(daemon.bus()).reboot(Restart::Soft)).await.unwrap();
    assert_eq!((mock.reboots(), mock.flags()), (1, Some(4)));
}

#[tokio::test]
async fn a_scheduled_shutdown_is_read() {
    let daemon = BusDaemon::start();
    let mock = MockLogind::new(Version::V257);
    let _on = mock.attach(&daemon).await;
    let logind = Logind::new(daemon.bus());
    for (kind, usec) in [("", 0), ("", u64::MAX), ("reboot", u64::MAX)] {
        mock.schedule(kind, usec);
        assert_eq!(soon("read", logind.scheduled_shutdown()).await, Ok(None));
    }
    mock.schedule("reboot", 1_000_000);
    let at = Timestamp::from_second(1).unwrap();
    assert_eq!(soon("read", logind.scheduled_shutdown()).await, Ok(Some(("reboot".into(), at))));
}
