//! What a run costs, in what can be counted without a machine: questions to the host, saves, and messages on the bus. Growth
//! fails here, in the change that makes it: ask once, or raise the bound and say what it is worth.
//! `tests/machine/runs.rs` holds what a real run uses to a bound.

use crate::fake_host::{Scenario, ended};
use crate::mock_bus::daemon::BusDaemon;
use crate::mock_bus::soon;
use crate::mock_bus::systemd1::{MockSystemd, MockUnit};
use futures_util::{FutureExt as _, StreamExt as _};
use patchday::exit_code;
use patchday::host::systemd::{SystemdUnits, SystemdWork};
use patchday::host::{Units as _, WorkUnits as _};
use patchday::model::{UnitName, WorkLook};
use zbus::MessageStream;
use zbus::message::Type;

/// How often a run of two services with one reboot asks what is dear: a program that reads all lists of apt or of dpkg, a
/// look at every process, at thousands of files or at each unit, a connection to the database.
const DEAR: [(&str, u32); 19] = [
    ("Database::facts", 10),
    ("DatabaseForensics::symptoms", 1),
    ("DatabaseInsight::condition", 4),
    ("Kernels::boot_survey", 2),
    ("Kernels::facts", 6),
    ("PackageSurvey::footprints", 2),
    ("PackageSurvey::outdated", 3),
    ("PackageSurvey::refusals", 2),
    ("Packages::installed", 4),
    ("Packages::simulate", 3),
    ("Packages::state", 5),
    ("Packages::unfetched", 1),
    ("Prober::probe", 16),
    ("RunningCode::old_code", 3),
    ("System::inventory", 3),
    ("Units::dependents", 5),
    ("Units::relations", 2),
    ("Units::state", 57),
    ("Units::survey", 7),
];

/// All questions together that look at the world in memory; those with a fixed answer are not counted.
const QUESTIONS: u32 = 291;
/// How often the run is saved: each time a disk must have it.
const SAVES: u32 = 62;
/// The bytes of the record in the end; each save writes all of it.
const RECORD: u64 = 20 * 1024;

#[test]
fn a_run_asks_and_saves_no_more_than_it_must() {
    let scenario = Scenario::new();
    let (end, run) = scenario.run_to_end();
    assert_eq!(ended(&end), exit_code::DONE);
    let world = scenario.world();
    let (asked, saves) = (world.questions(), world.moments["save"]);
    for (question, most) in DEAR {
        let times = asked.get(question).copied().unwrap_or_default();
        assert!(times <= most, "{question}: {times} times, not {most} at most\n{asked:#?}");
        assert!(times > 0, "{question} is not asked, or has another name\n{asked:#?}");
    }
    let all: u32 = asked.values().sum();
    assert!(all <= QUESTIONS, "{all} questions, not {QUESTIONS} at most\n{asked:#?}");
    assert!(saves <= SAVES, "{saves} saves, not {SAVES} at most");
    let record = scenario.state_path().join("runs").join(run.id.as_str()).join("run.json");
    let bytes = std::fs::metadata(record).unwrap().len();
    assert!(bytes <= RECORD, "{bytes} bytes of record, not {RECORD} at most");
    println!("{all} questions, {saves} saves, {bytes} bytes; {asked:?}");
}

/// Calls that have reached the other side of the bus, and were not counted before.
fn calls(heard: &mut MessageStream) -> usize {
    let mut calls = 0;
    while let Some(Some(Ok(message))) = heard.next().now_or_never() {
        calls += usize::from(message.message_type() == Type::MethodCall);
    }
    calls
}

#[tokio::test]
async fn a_question_takes_few_messages() {
    let daemon = BusDaemon::start();
    let mock = MockSystemd::new(&daemon);
    let name = |name: &str| name.parse::<UnitName>().unwrap();
    let (unit, other, work) = (name("mongod.service"), name("network.target"), name("patchday-test-upgrade.service"));
    for unit in [&unit, &other, &work] {
        mock.unit(unit.as_str(), MockUnit::running());
    }
    let on = mock.attach(&daemon).await;
    let units = SystemdUnits::new(daemon.bus(), daemon.root());
    let at_work = SystemdWork::new(daemon.bus(), "/usr/bin/patchday");
    let mut heard = MessageStream::from(&on);

    // Twice a second for as long as apt takes.
    assert_eq!(soon("look", at_work.look(&work)).await, WorkLook::Running);
    assert_eq!(calls(&mut heard), 1, "a look at work");
    soon("state", units.state(&unit)).await.unwrap();
    assert_eq!(calls(&mut heard), 3, "the state of a unit");
    soon("survey", units.survey()).await.unwrap();
    assert_eq!(calls(&mut heard), 4, "all units");
    // One for each unit that it leads to, and one for its type, which a target has none of.
    let related = soon("relations", units.relations(&[unit])).await.unwrap();
    assert_eq!((related.len(), calls(&mut heard)), (2, 3), "the relations of a unit");
}
