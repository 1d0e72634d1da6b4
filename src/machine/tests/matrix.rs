//! Every fact in every phase: what may follow, and what it makes of the phase. Everything else is an error.

use super::hooks::{HOOK, LATE_HOOK, at_work, call_ended, called, hooked};
use super::legal::LEGAL;
use super::sample::{
    after, api, at, baseline, before, begin, boot, booted, closed, end, failed, judged, open, planned, proof,
    reboot_requested, soft_reboot_requested, verified, window_missed,
};
use super::situations::{situations, watched};
use jiff::SignedDuration;

use crate::machine::apply;
use crate::machine::decide::next_planned;
use crate::model::{
    AheadChoice, Change, ClockAnchor, ExpectedProof, Fact, KernelPlan, LastLook, Notification, Occasion, Outcome,
    Phase, ProofSource, Recovery, Restart, RestartChoice, Run, Standstill, Step, UpgradePlan, WindowMissed,
};

/// One sample of every variant, in this order. The `match` is exhaustive on purpose: a new variant does not compile
/// until it has a sample here, and then it has no row below until somebody says what may follow it.
macro_rules! every {
    ($kind:ty: $($pattern:pat => $sample:expr),+ $(,)?) => {{
        fn variant(value: &$kind) -> &'static str {
            match value {
                $($pattern => stringify!($pattern),)+
            }
        }
        let samples = vec![$($sample),+];
        assert_eq!(samples.iter().map(variant).collect::<Vec<_>>(), [$(stringify!($pattern)),+]);
        samples
    }};
}

/// Every fact, such that it fits this run as well as it can.
fn facts(run: &Run) -> Vec<Fact> {
    let open = run.attempt.as_ref().map(|attempt| attempt.step.clone());
    let next = if run.phase.is_final() { Some(Step::Report) } else { next_planned(run) };
    let unit = match &open {
        Some(Step::Stop(wave)) => wave.units()[0].clone(),
        _ => api(),
    };
    let step = open.or(next).unwrap();
    let boot_now = run.boot.clone();
    // Skipped is the end that every step may have, but for a reboot that was asked for.
    let outcome = if run.phase == Phase::RebootRequested { Outcome::Failed } else { Outcome::Skipped };
    every!(Fact:
        Fact::StepBegan { .. } => Fact::StepBegan { step: step.clone(), boot: boot_now.clone(), at: at(50) },
        Fact::StepEnded { .. } => Fact::StepEnded { step: step.clone(), outcome, note: None, at: at(50) },
        Fact::GivenUp { .. } => Fact::GivenUp { step: step.clone(), reason: "no way on".into(), at: at(50) },
        Fact::WindowMissed(_) => Fact::WindowMissed(WindowMissed { step: step.clone(), at: at(50), reason: "late".into() }),
        Fact::ChecksAnswered(_) => Fact::ChecksAnswered(Vec::new()),
        Fact::UpgradePlanned(_) => Fact::UpgradePlanned(UpgradePlan::default()),
        Fact::AheadChosen(_) => Fact::AheadChosen(AheadChoice::default()),
        Fact::BatchPrepared(_) => Fact::BatchPrepared(Box::default()),
        Fact::NothingFound { .. } => Fact::NothingFound { at: at(50) },
        Fact::BaselineTaken(_) => Fact::BaselineTaken(Box::new(baseline())),
        Fact::ChangeIntended(_) => Fact::ChangeIntended(Change::Held(unit.clone())),
        Fact::ChangeUndone(_) => Fact::ChangeUndone(Change::Held(unit.clone())),
        Fact::ProofExpected(_) => Fact::ProofExpected(Box::new(ExpectedProof {
            unit: unit.clone(),
            invocation: "a1".into(),
            source: ProofSource::Command,
        })),
        Fact::ServiceStopped(_) => Fact::ServiceStopped(Box::new(proof(&unit))),
        Fact::StoodStill(_) => Fact::StoodStill(Standstill {
            step: step.clone(),
            attempt: 1,
            work: "upgrade".into(),
            why: "it waits".into(),
        }),
        Fact::RebootWanted(_) => Fact::RebootWanted(vec!["a new kernel".into()]),
        Fact::BootOwes(_) => Fact::BootOwes(Vec::new()),
        Fact::KernelExpected(_) => Fact::KernelExpected(KernelPlan { expected: "6.1".into(), managed_here: true, ..KernelPlan::default() }),
        Fact::RebootRequested { .. } => Fact::RebootRequested { at: at(50), restart: RestartChoice::default() },
        Fact::HoldsLetGo => Fact::HoldsLetGo,
        Fact::RebootForced { .. } => Fact::RebootForced { at: at(50) },
        Fact::BootChanged { .. } => Fact::BootChanged { boot: boot(9), by_kexec: false, at: at(50) },
        Fact::SoftRebooted { .. } => Fact::SoftRebooted { count: 1, at: at(50) },
        Fact::Resumed { .. } => Fact::Resumed { boot: boot_now, soft_reboots: None, automatic: true, at: at(50) },
        Fact::ClockAnchored(_) => Fact::ClockAnchored(ClockAnchor {
            boot: run.boot.clone(),
            at: at(50),
            since_boot: SignedDuration::from_secs(9),
            wall_ahead: SignedDuration::ZERO,
        }),
        Fact::RecoveryIntended(_) => Fact::RecoveryIntended(Recovery { unit: unit.clone(), at: at(50) }),
        Fact::RestartIntended(_) => Fact::RestartIntended(Recovery { unit: unit.clone(), at: at(50) }),
        Fact::Judged(_) => judged(run),
        Fact::LookedLast(_) => Fact::LookedLast(LastLook {
            at: at(50),
            serving: vec![unit.clone()],
            started_again: Vec::new(),
            findings: Vec::new(),
        }),
        Fact::FailedMeanwhile(_) => Fact::FailedMeanwhile(vec![unit.clone()]),
        Fact::HookBegan(_) => Fact::HookBegan(called(&step)),
        Fact::HookEnded(_) => Fact::HookEnded(call_ended()),
        Fact::Notified(_) => notified(&step),
        Fact::AbortRequested { .. } => Fact::AbortRequested { by: "a test".into(), at: at(50) },
        Fact::Reopened { .. } => Fact::Reopened { boot: boot(9) },
        Fact::Closed { .. } => Fact::Closed { exit_code: 0, at: at(50) },
    )
}

/// A message on the occasion of the step, or else on another.
fn notified(step: &Step) -> Fact {
    let occasion = if let Step::Notify(occasion) = step { *occasion } else { Occasion::Test };
    Fact::Notified(Notification { number: 1, channel: "wall".into(), occasion, at: at(50), tries: 1, problem: None })
}

fn phases() -> Vec<Phase> {
    every!(Phase:
        Phase::Planned => Phase::Planned,
        Phase::PreflightPassed => Phase::PreflightPassed,
        Phase::PackagesFetched => Phase::PackagesFetched,
        Phase::OnlyFetched => Phase::OnlyFetched,
        Phase::NothingToDo => Phase::NothingToDo,
        Phase::BaselineTaken => Phase::BaselineTaken,
        Phase::ServicesStopped => Phase::ServicesStopped,
        Phase::PackagesUpgraded => Phase::PackagesUpgraded,
        Phase::KernelBuilt => Phase::KernelBuilt,
        Phase::Staged => Phase::Staged,
        Phase::RebootRequested => Phase::RebootRequested,
        Phase::Rebooted => Phase::Rebooted,
        Phase::Verified => Phase::Verified,
        Phase::Failed { .. } => Phase::Failed { step: Step::Upgrade, reason: String::new() },
        Phase::Aborted { .. } => Phase::Aborted { by: String::new() },
    )
}

fn attempt_of(run: &Run) -> String {
    run.attempt.as_ref().map_or("-".into(), |attempt| attempt.step.to_string())
}

/// What follows, written as a row of the table; every refusal is checked for naming both sides.
fn row(run: &Run) -> String {
    let mut legal = Vec::new();
    for fact in facts(run) {
        let name = fact.name();
        match apply(run, fact) {
            Ok(next) if next.phase == run.phase => legal.push(format!("{name} =")),
            Ok(next) => legal.push(format!("{name} {}", next.phase.name())),
            Err(error) => {
                let attempt = run.attempt.as_ref().map_or("no open attempt".into(), |attempt| attempt.step.to_string());
                let told = error.to_string();
                for side in [format!("\"{name}\""), format!("\"{}\"", run.phase.name()), attempt] {
                    assert!(told.contains(&side), "{told} does not name {side}");
                }
            }
        }
    }
    legal.join(", ")
}

#[test]
fn every_fact_in_every_phase_is_legal_or_named() {
    let mut seen = Vec::new();
    for phase in phases() {
        for run in situations(&phase) {
            assert_eq!(run.phase.name(), phase.name(), "a situation in the wrong phase");
            let (name, attempt) = (run.phase.name(), attempt_of(&run));
            let expected = LEGAL.iter().find(|(phase, open, _)| *phase == name && *open == attempt);
            let Some((.., expected)) = expected else { panic!("no row for {name:?} with {attempt}") };
            assert_eq!(row(&run), *expected, "{name:?} with {attempt}");
            seen.push((name, attempt));
        }
    }
    for (phase, attempt, _) in LEGAL {
        assert!(seen.contains(&(phase, attempt.to_owned())), "no run is {phase:?} with {attempt}");
    }
}

#[test]
fn nothing_follows_the_end() {
    for run in phases().iter().filter(|phase| phase.is_final()).flat_map(situations) {
        if run.attempt.is_some() {
            continue;
        }
        let closed = closed(&run);
        for fact in facts(&closed) {
            let name = fact.name();
            if name == "reopened" && closed.left_something() {
                continue;
            }
            let told = apply(&closed, fact).unwrap_err().to_string();
            for side in ["a closed run", name, run.phase.name()] {
                assert!(told.contains(side), "{told} does not name {side}");
            }
        }
    }
}

/// Facts of the right kind that do not fit: each guard of `apply` by itself.
#[test]
fn a_fact_must_fit_the_run() {
    let cases = [
        (planned(), began_on(Step::Fetch, 1), "not the next step"),
        (missed_twice(), missed(Step::Reboot), "once is enough"),
        (without_window(), missed(Step::Upgrade), "a window that nobody configured"),
        (before(&Step::Upgrade), missed(Step::Reboot), "not the next step"),
        (planned(), began_on(Step::Preflight, 2), "another boot"),
        (planned(), began_on(Step::Report, 1), "a report of a run that goes on"),
        (planned(), began_on(Step::Repair, 1), "a repair where no package was touched"),
        (planned(), began_on(Step::Restore, 1), "a restore where nothing was stopped"),
        (failed(Step::Upgrade), began_on(Step::Upgrade, 1), "a planned step after the end"),
        (open(Step::Fetch), ended_as(Step::Preflight, Outcome::Succeeded), "not the open step"),
        (open(Step::Reboot), ended_as(Step::Reboot, Outcome::Succeeded), "only a boot proves a reboot"),
        (asked(), ended_as(Step::Reboot, Outcome::Succeeded), "only a boot proves a reboot"),
        (asked(), ended_as(Step::Reboot, Outcome::Skipped), "it was asked for"),
        (asked(), ended_as(Step::Reboot, Outcome::Interrupted), "it is on its way"),
        (asked(), requested(Restart::Full), "one reboot a run"),
        (asked(), Fact::HoldsLetGo, "a full reboot forgets the holds"),
        (soft_reboot_requested(&open(Step::Reboot)), requested(Restart::Full), "one reboot a run"),
        (after(&asked(), Fact::RebootForced { at: at(50) }), Fact::RebootForced { at: at(51) }, "forced once"),
        (
            open(Step::stop(api())),
            Fact::ChangeIntended(Change::Held(super::sample::mongod())),
            "a change of another unit",
        ),
        (
            open(Step::stop(api())),
            Fact::ProofExpected(Box::new(ExpectedProof {
                unit: super::sample::mongod(),
                invocation: "a1".into(),
                source: ProofSource::Command,
            })),
            "a proof of another unit",
        ),
        (hooked(&before(&Step::stop(api()))), began_on(LATE_HOOK, 1), "nothing is verified yet"),
        (verified(), began_on(LATE_HOOK, 1), "a hook that was not planned"),
        (end(&at_work(&verified(), LATE_HOOK), Outcome::Interrupted), began_on(LATE_HOOK, 1), "no hook twice"),
        (begin(&hooked(&before(&Step::stop(api()))), HOOK), Fact::HookBegan(called(&LATE_HOOK)), "another hook"),
        (at_work(&verified(), LATE_HOOK), Fact::HookBegan(called(&LATE_HOOK)), "it is at work"),
        (begin(&verified(), Step::Report), Fact::HookBegan(called(&Step::Report)), "not a step that calls"),
        (planned(), began_on(Step::Notify(Occasion::End), 1), "the end of a run that goes on"),
        (verified(), began_on(Step::Notify(Occasion::End), 1), "nobody waits"),
        (watched(&verified()), began_on(Step::Notify(Occasion::End), 1), "the report comes first"),
        (begin(&verified(), Step::Report), notified(&Step::Notify(Occasion::End)), "not while messages are sent"),
        (planned(), Fact::BootChanged { boot: boot(1), by_kexec: false, at: at(50) }, "the same boot"),
        (planned(), Fact::Resumed { boot: boot(2), soft_reboots: None, automatic: true, at: at(50) }, "another boot"),
        (planned(), Fact::SoftRebooted { count: 0, at: at(50) }, "as often as was known"),
        (Run { soft_reboots_of_boot: None, ..planned() }, Fact::SoftRebooted { count: 1, at: at(50) }, "never counted"),
        (booted(&open(Step::Verify), 3), judged(&open(Step::Verify)), "a judgement of an older boot"),
        (begin(&booted(&open(Step::Verify), 3), Step::Verify), judged(&open(Step::Verify)), "of an older boot"),
    ];
    for (run, fact, why) in cases {
        let name = fact.name();
        assert!(apply(&run, fact).is_err(), "{name} was taken: {why}");
    }
}

fn requested(restart: Restart) -> Fact {
    Fact::RebootRequested { at: at(50), restart: RestartChoice { restart, because: Vec::new() } }
}

fn began_on(step: Step, number: u32) -> Fact {
    Fact::StepBegan { step, boot: boot(number), at: at(50) }
}

fn ended_as(step: Step, outcome: Outcome) -> Fact {
    Fact::StepEnded { step, outcome, note: None, at: at(50) }
}

fn missed(step: Step) -> Fact {
    Fact::WindowMissed(WindowMissed { step, at: at(50), reason: "late".into() })
}

fn missed_twice() -> Run {
    window_missed(&before(&Step::Reboot), Step::Reboot)
}

fn without_window() -> Run {
    Run { window: None, ..before(&Step::Upgrade) }
}

fn asked() -> Run {
    reboot_requested(&open(Step::Reboot))
}

#[test]
fn an_error_names_both_sides() {
    let error = apply(&open(Step::Upgrade), Fact::Closed { exit_code: 0, at: at(50) }).unwrap_err();
    assert_eq!(error.to_string(), "\"closed\" cannot follow \"services stopped\" with an open attempt at upgrade");
    let error = apply(&planned(), judged(&planned())).unwrap_err();
    assert_eq!(error.to_string(), "\"judged\" cannot follow \"planned\" with no open attempt");
    let run = after(&planned(), Fact::GivenUp { step: Step::Preflight, reason: "x".into(), at: at(50) });
    let error = apply(&closed(&run), judged(&run)).unwrap_err();
    assert_eq!(error.to_string(), "\"judged\" cannot follow \"failed\" with a closed run");
}
