//! Runs for the tests, reached by facts only: a state that no run can be in proves nothing.

use jiff::{SignedDuration, Timestamp};

use crate::config::settings::Policy;
use crate::machine::apply;
use crate::model::{
    Attempt, AttemptRecord, Baseline, BootId, Change, Fact, KernelFacts, OneShotBoot, Outcome, Phase, PlannedService,
    Restart, RestartChoice, Run, RunId, RunOptions, RunWindow, ServiceKind, Step, StopProof, Trigger, UnitName,
    UnitSurvey, Verdict, Verification, WindowMissed,
};

pub(super) const GRACE: SignedDuration = SignedDuration::from_mins(5);
pub(super) const POLICY: Policy = Policy { reboot_grace: GRACE, reboot_force_after: None, max_boots: 2 };

pub(super) fn at(seconds: i64) -> Timestamp {
    "2026-11-23T03:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub(super) fn boot(number: u32) -> BootId {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

pub(super) fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

pub(super) fn api() -> UnitName {
    unit("api.service")
}

pub(super) fn mongod() -> UnitName {
    unit("mongod.service")
}

pub(super) fn step(name: &str) -> Step {
    name.parse().unwrap()
}

/// A run of which nothing has happened yet.
pub(super) fn planned() -> Run {
    let service = |unit, kind, after| PlannedService { unit, kind, after };
    let mut run = Run::plan(
        RunId::mint(at(0), 1),
        "web1".into(),
        at(0),
        boot(1),
        RunOptions::new(Trigger::Operator),
        vec![
            Step::Preflight,
            Step::Fetch,
            Step::Baseline,
            Step::stop(api()),
            Step::stop(mongod()),
            Step::Upgrade,
            Step::BuildKernel,
            Step::StageCheck,
            Step::Reboot,
            Step::Verify,
        ],
        vec![service(mongod(), ServiceKind::Mongodb, Vec::new()), service(api(), ServiceKind::Service, vec![mongod()])],
    );
    run.soft_reboots_of_boot = Some(0);
    run.window = Some(RunWindow { opens: at(-60), closes: at(CLOSES), reserve: SignedDuration::from_mins(15) });
    run
}

/// When the window of every run closes.
pub(super) const CLOSES: i64 = 1_000_000;

/// The window no longer suffices for the step.
pub(super) fn window_missed(run: &Run, step: Step) -> Run {
    after(run, Fact::WindowMissed(WindowMissed { step, at: at(CLOSES), reason: "the window closed".into() }))
}

/// The run after the fact, which must be legal.
pub(super) fn after(run: &Run, fact: Fact) -> Run {
    apply(run, fact).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn began(run: &Run, step: Step) -> Fact {
    Fact::StepBegan { step, boot: run.boot.clone(), at: at(10) }
}

pub(super) fn begin(run: &Run, step: Step) -> Run {
    after(run, began(run, step))
}

pub(super) fn ended(run: &Run, outcome: Outcome) -> Fact {
    let step = run.attempt.as_ref().map(|attempt| attempt.step.clone()).unwrap();
    Fact::StepEnded { step, outcome, note: Some("as it was told".into()), at: at(20) }
}

pub(super) fn end(run: &Run, outcome: Outcome) -> Run {
    after(run, ended(run, outcome))
}

pub(super) fn booted(run: &Run, number: u32) -> Run {
    let run = after(run, Fact::BootChanged { boot: boot(number), by_kexec: false, at: at(30) });
    after(&run, Fact::Resumed { boot: boot(number), soft_reboots: Some(0), automatic: false, at: at(30) })
}

pub(super) fn soft_rebooted(run: &Run) -> Run {
    after(run, Fact::SoftRebooted { count: 1, at: at(30) })
}

pub(super) fn reboot_requested(run: &Run) -> Run {
    after(run, Fact::RebootRequested { at: at(25), restart: RestartChoice::default() })
}

pub(super) fn soft_reboot_requested(run: &Run) -> Run {
    let restart = RestartChoice { restart: Restart::Soft, because: Vec::new() };
    after(run, Fact::RebootRequested { at: at(25), restart })
}

pub(super) fn closed(run: &Run) -> Run {
    after(run, Fact::Closed { exit_code: run.exit_code(), at: at(99) })
}

/// The step, from its beginning to its good end, with the facts that the real one records.
pub(super) fn done(run: &Run, step: Step) -> Run {
    let mut run = begin(run, step.clone());
    match &step {
        Step::Stop(wave) => {
            for unit in wave.units() {
                run = after(&run, Fact::ChangeIntended(Change::Held(unit.clone())));
            }
        }
        Step::Restore => {
            for change in run.changes.clone() {
                run = after(&run, Fact::ChangeUndone(change));
            }
        }
        Step::Verify => run = after(&run, judged(&run)),
        Step::Reboot => return booted(&reboot_requested(&run), 2),
        _ => {}
    }
    end(&run, Outcome::Succeeded)
}

/// Every planned step before this one is done.
pub(super) fn before(step: &Step) -> Run {
    let run = planned();
    let steps = run.steps.clone();
    steps.into_iter().take_while(|earlier| earlier != step).fold(run, |run, earlier| done(&run, earlier))
}

/// Every planned step before this one is done, and this one is open.
pub(super) fn open(step: Step) -> Run {
    begin(&before(&step), step)
}

pub(super) fn failed(step: Step) -> Run {
    end(&open(step), Outcome::Failed)
}

pub(super) fn aborted(run: &Run) -> Run {
    after(run, Fact::AbortRequested { by: "a test".into(), at: at(40) })
}

pub(super) fn nothing_to_do() -> Run {
    after(&open(Step::Fetch), Fact::NothingFound { at: at(20) })
}

pub(super) fn only_fetched() -> Run {
    let mut run = planned();
    run.options.fetch_only = true;
    run.steps = vec![Step::Fetch];
    done(&run, Step::Fetch)
}

pub(super) fn verified() -> Run {
    done(&before(&Step::Verify), Step::Verify)
}

/// The services are down, and no reboot was wanted.
pub(super) fn reboot_skipped() -> Run {
    end(&open(Step::Reboot), Outcome::Skipped)
}

/// A new kernel is on trial, and the host is not well under it.
pub(super) fn failed_on_trial() -> Run {
    let trial = OneShotBoot {
        kernel: "6.1.0-50-amd64".into(),
        kernel_entry: "new".into(),
        fallback: "6.1.0-42-amd64".into(),
        fallback_entry: "old".into(),
        saved_before: None,
    };
    let rebooting = after(&open(Step::Reboot), Fact::ChangeIntended(Change::OneShotBoot(trial)));
    let verifying = begin(&booted(&reboot_requested(&rebooting), 2), Step::Verify);
    let Fact::Judged(mut verification) = judged(&verifying) else { panic!("judged is no verdict") };
    verification.kernel = "6.1.0-50-amd64".into();
    verification.verdict = Verdict::Failed;
    end(&after(&verifying, Fact::Judged(verification)), Outcome::Failed)
}

pub(super) fn judged(run: &Run) -> Fact {
    Fact::Judged(Box::new(Verification {
        boot: run.boot.clone(),
        kernel: "6.1.0-42-amd64".into(),
        vulnerabilities: Vec::new(),
        verdict: Verdict::Healthy,
        services: Vec::new(),
        databases: Vec::new(),
        findings: Vec::new(),
        edges: Vec::new(),
        expected: Vec::new(),
        recovered: Vec::new(),
    }))
}

pub(super) fn baseline() -> Baseline {
    Baseline {
        taken: at(5),
        uptime: SignedDuration::from_hours(9),
        units: UnitSurvey::default(),
        services: Vec::new(),
        sockets: Vec::new(),
        mounts: [].into(),
        kernel: KernelFacts::default(),
        packages: [].into(),
        dkms: None,
        inventory: None,
    }
}

pub(super) fn proof(unit: &UnitName) -> StopProof {
    StopProof {
        unit: unit.clone(),
        was_running: true,
        result: Some("success".into()),
        exit_status: Some(0),
        restarts: 0,
        processes_left: 0,
        took: SignedDuration::from_secs(1),
        drained: None,
        shutdown: None,
        clients_left: Vec::new(),
        database: None,
        database_evidence: None,
        end_evidence: None,
        ended_by_signal: false,
        replica_set: None,
        compatibility: None,
        canary: None,
    }
}

/// A run with this history and phase, written as `upgrade failed, repair succeeded`; for the helpers, which look at
/// nothing else.
pub(super) fn with_history(history: &str, phase: Phase) -> Run {
    let mut run = planned();
    run.phase = phase;
    for record in history.split(", ").filter(|record| !record.is_empty()) {
        let (name, outcome) = record.split_once(' ').unwrap();
        let outcome = match outcome {
            "succeeded" => Outcome::Succeeded,
            "failed" => Outcome::Failed,
            "skipped" => Outcome::Skipped,
            "interrupted" => Outcome::Interrupted,
            other => panic!("{other}"),
        };
        let number = run.attempts_of(&step(name)) + 1;
        let attempt = Attempt { step: step(name), number, boot: run.boot.clone(), began: at(1) };
        run.history.push(AttemptRecord { attempt, outcome, note: None, ended: at(2) });
    }
    run
}
