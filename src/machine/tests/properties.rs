//! What no sequence of decisions may do, whatever the host does meanwhile: the machine driven by a random world.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{TestCaseError, TestRunner};

use super::random_fact::random_fact;
use super::sample::{POLICY, api, at, boot, judged, planned, proof};
use crate::machine::{Decision, OpenWork, apply, decide, may_abort};
use crate::model::{
    Change, Fact, Observation, Outcome, Phase, Restart, RestartChoice, Run, RunWindow, Step, UnitName, WindowMissed,
    WorkLook, WorkOutcome,
};

/// The run is over after so many decisions, however the world behaves; a quiet world needs about thirty.
const BOUND: usize = 2_000;

/// A world that takes its chances from bytes, and turns quiet when they are used up.
struct World {
    chances: std::vec::IntoIter<u8>,
    boots: u32,
    soft_reboots: u32,
    now: Timestamp,
    run: Run,
}

impl World {
    fn new(chances: Vec<u8>) -> Self {
        let mut run = planned();
        // So near that some runs miss it; a quiet one does not.
        run.window = run.window.map(|window| RunWindow { closes: at(2_000), ..window });
        Self { chances: chances.into_iter(), boots: 1, soft_reboots: 0, now: at(0), run }
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u8) -> bool {
        self.chances.next().is_some_and(|byte| byte % times == times / 2)
    }

    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    fn observe(&mut self) -> Observation {
        let works = matches!(&self.run.attempt, Some(open) if matches!(open.step, Step::Upgrade | Step::BuildKernel));
        let exited = |result: &str, status| {
            WorkLook::Exited(WorkOutcome { result: result.into(), exit_status: Some(status), cpu_usec: None })
        };
        let work = match self.chances.next() {
            _ if !works => WorkLook::NoWork,
            Some(byte) if byte % 8 == 1 => WorkLook::Running,
            Some(byte) if byte % 8 == 2 => WorkLook::NotLoaded,
            Some(byte) if byte % 8 == 3 => WorkLook::Unknown("no answer".into()),
            Some(byte) if byte % 8 == 4 => exited("exit-code", 100),
            Some(byte) if byte % 8 == 5 => WorkLook::NoWork,
            _ => exited("success", 0),
        };
        let is_readable = !self.once_in(20);
        Observation { boot: is_readable.then(|| boot(self.boots)), soft_reboots: Some(self.soft_reboots), work }
    }

    /// Applies a fact of the coordinator. It must be legal, and keeps the promises that hold at every moment.
    fn record(&mut self, fact: Fact) -> Result<(), TestCaseError> {
        let name = fact.name();
        let next = match apply(&self.run, fact.clone()) {
            Ok(next) => next,
            Err(error) => return Err(TestCaseError::fail(format!("the coordinator was refused: {error}"))),
        };
        let went_down = next.boot != self.run.boot || next.soft_reboots != self.run.soft_reboots;
        let is_stale = self.run.verification.is_some() && went_down;
        if self.run.phase.is_final() && !is_stale {
            prop_assert_eq!(&next.phase, &self.run.phase, "{} left a final phase", name);
        }
        let judged_on = next.verification.as_ref().map(|verification| &verification.boot);
        prop_assert!(judged_on.is_none_or(|boot| boot == &next.boot), "a verdict outlived its boot");
        prop_assert!(next.reboots <= 1, "a second reboot was asked for");
        prop_assert!(next.history.len() >= self.run.history.len(), "{} forgot an attempt", name);
        prop_assert_eq!(&next.history[..self.run.history.len()], &self.run.history[..], "{} rewrote history", name);
        let softly = next.restarted() == Some(Restart::Soft) && !next.restart.restart.is_full();
        let is_new = next.boot != next.first_boot || softly;
        prop_assert!(next.rebooted.is_none() || is_new, "a soft-reboot was taken for a reboot");
        if matches!(next.phase, Phase::Rebooted) {
            prop_assert!(is_new, "rebooted, on the first boot");
        }
        if let Fact::StepBegan { step: Step::Reboot, .. } | Fact::RebootRequested { .. } = fact {
            for work in [Step::Upgrade, Step::BuildKernel, Step::StageCheck] {
                prop_assert!(next.has_finished(&work), "{} while {} had not ended well", name, work);
            }
        }
        self.run = next;
        Ok(())
    }

    /// The step as the real one does it: it looks before it acts, may be killed anywhere, and may fail.
    fn perform(&mut self, step: &Step, fails: bool) -> Result<(), TestCaseError> {
        self.pass(3);
        for fact in self.facts_of(step) {
            if self.once_in(12) {
                return Ok(());
            }
            self.record(fact)?;
        }
        if self.run.phase == Phase::NothingToDo && self.run.attempt.is_none() {
            return Ok(());
        }
        let may_skip = matches!(step, Step::BuildKernel | Step::Repair | Step::Reboot);
        let outcome = match step {
            _ if self.once_in(12) => return Ok(()),
            _ if fails => Outcome::Failed,
            _ if may_skip && self.once_in(3) => Outcome::Skipped,
            Step::Reboot => {
                let restart = match self.chances.next() {
                    Some(byte) if byte % 3 == 1 => Restart::Soft,
                    Some(byte) if byte % 3 == 2 => Restart::Kexec,
                    _ => Restart::Full,
                };
                if restart == Restart::Kexec {
                    self.record(Fact::ChangeIntended(Change::KernelLoaded))?;
                    if self.once_in(12) {
                        return Ok(());
                    }
                }
                let choice = RestartChoice { restart, because: Vec::new() };
                self.record(Fact::RebootRequested { at: self.now, restart: choice })?;
                if restart == Restart::Soft && !self.once_in(4) {
                    self.record(Fact::HoldsLetGo)?;
                }
                return Ok(());
            }
            _ => Outcome::Succeeded,
        };
        self.end(step, outcome)
    }

    fn facts_of(&mut self, step: &Step) -> Vec<Fact> {
        match step {
            Step::Fetch if self.once_in(20) => vec![Fact::NothingFound { at: self.now }],
            Step::Stop(wave) => {
                let of = |unit: &UnitName| {
                    let held = Fact::ChangeIntended(Change::Held(unit.clone()));
                    let stopped = Fact::ChangeIntended(Change::Stopped(unit.clone()));
                    [held, stopped, Fact::ServiceStopped(Box::new(proof(unit)))]
                };
                wave.units().iter().flat_map(of).collect()
            }
            // Now and then it leaves something behind, as a restore does that failed half way.
            Step::Restore => {
                let keeps = self.once_in(10);
                let changes = self.run.changes.clone().into_iter();
                let undone = changes.filter(|change| !(keeps && change.unit() == Some(&api())));
                undone.map(Fact::ChangeUndone).collect()
            }
            Step::Baseline => vec![Fact::ChangeIntended(Change::Paused("apt-daily.timer".parse().unwrap()))],
            Step::Report => {
                let is_undone = |change: &&Change| matches!(change, Change::Paused(_) | Change::KernelLoaded);
                let paused = self.run.changes.iter().filter(is_undone);
                paused.cloned().map(Fact::ChangeUndone).collect()
            }
            Step::Verify => vec![judged(&self.run)],
            Step::StageCheck => vec![Fact::RebootWanted(vec!["a new kernel".into()])],
            _ => Vec::new(),
        }
    }

    fn end(&mut self, step: &Step, outcome: Outcome) -> Result<(), TestCaseError> {
        self.record(Fact::StepEnded { step: step.clone(), outcome, note: None, at: self.now })
    }

    /// Does what was decided; true where it was the end.
    fn carry_out(&mut self, decision: Decision, seen: &Observation) -> Result<bool, TestCaseError> {
        match decision {
            Decision::Begin(step) => {
                self.record(Fact::StepBegan { step: step.clone(), boot: self.run.boot.clone(), at: self.now })?;
                // Killed between the intent and the deed.
                if !self.once_in(12) {
                    let fails = self.once_in(12);
                    self.perform(&step, fails)?;
                }
            }
            Decision::GoOn { step, with: OpenWork::None } => {
                let fails = self.once_in(12);
                self.perform(&step, fails)?;
            }
            // It ends while it is followed, or whoever follows is killed.
            Decision::GoOn { step, with: OpenWork::Running } => {
                if !self.once_in(4) {
                    let fails = self.once_in(12);
                    self.perform(&step, fails)?;
                }
            }
            Decision::GoOn { step, with: OpenWork::Ended } => {
                let succeeded = matches!(&seen.work, WorkLook::Exited(outcome) if outcome.succeeded());
                self.end(&step, if succeeded { Outcome::Succeeded } else { Outcome::Failed })?;
            }
            Decision::CountAsInterrupted(step) => self.end(&step, Outcome::Interrupted)?,
            Decision::RecordBoot => {
                let Some(boot) = seen.boot.clone() else {
                    return Err(TestCaseError::fail("an unreadable boot ID was taken for a new boot"));
                };
                // Where it is awaited, and now and then for somebody else.
                let by_kexec = (self.run.awaits() == Some(Restart::Kexec)) != self.once_in(12);
                self.record(Fact::BootChanged { boot, by_kexec, at: self.now })?;
                prop_assert!(!self.run.has_loaded_kernel(), "a boot has left a kernel loaded");
            }
            Decision::RecordSoftReboot { count } => self.record(Fact::SoftRebooted { count, at: self.now })?,
            Decision::AwaitReboot { .. } => {
                self.pass(7);
                if self.once_in(6) {
                    *match self.run.awaits() {
                        Some(Restart::Soft) => &mut self.soft_reboots,
                        _ => &mut self.boots,
                    } += 1;
                }
            }
            Decision::ForceReboot => self.record(Fact::RebootForced { at: self.now })?,
            Decision::ConcludeNoReboot => self.end(&Step::Reboot, Outcome::Failed)?,
            Decision::MissWindow { step, reason } => {
                self.record(Fact::WindowMissed(WindowMissed { step, at: self.now, reason }))?;
            }
            Decision::GiveUp { step, reason } => self.record(Fact::GivenUp { step, reason, at: self.now })?,
            Decision::Stay { .. } => self.pass(1),
            Decision::Close { exit_code } => {
                self.check_the_end(exit_code)?;
                self.record(Fact::Closed { exit_code, at: self.now })?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What must be true of every run that is about to be closed.
    fn check_the_end(&self, exit_code: u8) -> Result<(), TestCaseError> {
        let run = &self.run;
        prop_assert!(run.phase.is_final() && run.attempt.is_none());
        prop_assert_eq!(exit_code, run.exit_code());
        prop_assert!(exit_code != crate::exit_code::UNEXPECTED, "{:?}", run.phase);
        let report = run.last_record(&Step::Report);
        prop_assert!(report.is_some(), "nobody wrote a report");
        if report.is_some_and(|report| report.outcome == Outcome::Succeeded) {
            let paused = run.changes.iter().any(|change| matches!(change, Change::Paused(_)));
            prop_assert!(!paused, "a timer is still paused");
            prop_assert!(!run.has_loaded_kernel(), "a kernel is still loaded");
        }
        let stopped = run.has_stopped_something();
        if stopped && run.rebooted.is_none() {
            prop_assert!(run.last_record(&Step::Restore).is_some(), "nobody brought the services back");
        }
        let worked = |step| run.last_record(&step).is_some_and(|record| record.outcome == Outcome::Failed);
        if worked(Step::Upgrade) || worked(Step::BuildKernel) {
            prop_assert!(run.last_record(&Step::Repair).is_some(), "nobody repaired the packages");
        }
        if run.window_missed.is_some() {
            prop_assert!(run.reboots == 0, "rebooted outside the window");
        }
        if run.phase == Phase::Verified {
            prop_assert!(run.verification.is_some() && run.has_finished(&Step::Upgrade));
        }
        Ok(())
    }

    /// From the plan to the end.
    fn live(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..BOUND {
            if self.once_in(25) {
                self.boots += 1;
            }
            if self.once_in(40) {
                self.soft_reboots += 1;
            }
            match self.chances.next() {
                Some(0) => self.pass(-86_400),
                Some(1) => self.pass(86_400),
                _ => self.pass(1),
            }
            if self.once_in(60) && may_abort(&self.run) {
                self.record(Fact::AbortRequested { by: "root".into(), at: self.now })?;
            }
            if self.once_in(80) && !self.run.phase.is_final() {
                let step = self.run.attempt.as_ref().map_or(Step::Report, |open| open.step.clone());
                self.record(Fact::GivenUp { step, reason: "the state cannot be saved".into(), at: self.now })?;
            }
            let seen = self.observe();
            let decision = decide(&self.run, &seen, self.now, &POLICY);
            if self.carry_out(decision, &seen)? {
                return Ok(());
            }
        }
        Err(TestCaseError::fail(format!("no end in sight: {:?}, {:?}", self.run.phase, self.run.attempt)))
    }
}

fn config(cases: u32) -> ProptestConfig {
    // A failing case is printed whole; files beside the sources would only grow old.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn every_run_ends_and_keeps_its_promises(chances in vec(any::<u8>(), 0..600)) {
        let mut world = World::new(chances);
        world.live()?;
        for fact in [
            Fact::StepBegan { step: Step::Report, boot: world.run.boot.clone(), at: world.now },
            Fact::BootChanged { boot: boot(99), by_kexec: false, at: world.now },
            Fact::SoftRebooted { count: u32::MAX, at: world.now },
            Fact::Resumed { boot: world.run.boot.clone(), soft_reboots: None, automatic: true, at: world.now },
            Fact::AbortRequested { by: "root".into(), at: world.now },
            Fact::Closed { exit_code: 0, at: world.now },
        ] {
            prop_assert!(apply(&world.run, fact).is_err(), "something followed the end");
        }
    }

    /// Facts in any order, from anywhere: refused or not, they neither panic nor break what always holds.
    #[test]
    fn no_order_of_facts_breaks_the_run(chances in vec(any::<(u8, u8)>(), 0..200)) {
        let mut run = planned();
        for (which, how) in chances {
            let Ok(next) = apply(&run, random_fact(&run, which, how)) else { continue };
            if run.phase.is_final() && (&run.boot, run.soft_reboots) == (&next.boot, next.soft_reboots) {
                prop_assert_eq!(&next.phase, &run.phase);
            }
            prop_assert!(run.is_open(), "something followed the end");
            prop_assert!(next.reboots <= 1);
            let (began, outcomes) = (next.attempt.as_ref(), &next.history);
            prop_assert!(began.is_none_or(|open| open.boot == next.boot), "an attempt outlived its boot");
            prop_assert!(outcomes.iter().all(|record| record.attempt.number >= 1));
            if next.phase == Phase::RebootRequested {
                prop_assert!(began.is_some_and(|open| open.step == Step::Reboot));
                prop_assert!(next.has_finished(&Step::Upgrade) && next.has_finished(&Step::BuildKernel));
            }
            run = next;
        }
    }
}

/// A world that never comes far would prove nothing.
#[test]
fn the_random_world_reaches_every_ending() {
    let mut runner = TestRunner::deterministic();
    let strategy = vec(any::<u8>(), 0..600);
    let mut endings = BTreeSet::new();
    for _ in 0..5_000 {
        let mut world = World::new(strategy.new_tree(&mut runner).unwrap().current());
        world.live().unwrap();
        let cause = match &world.run.phase {
            Phase::Failed { step, .. } => format!("failed at {step}"),
            phase => phase.name().to_owned(),
        };
        endings.insert(cause);
        endings.extend(world.run.window_missed.as_ref().map(|missed| format!("no time for {}", missed.step)));
        endings.extend((world.run.reboots == 1).then(|| "rebooted".to_owned()));
        let softly = world.run.restarted() == Some(Restart::Soft) && world.run.phase == Phase::Verified;
        endings.extend(softly.then(|| "verified after a soft reboot".to_owned()));
        let by_kexec = world.run.restarted() == Some(Restart::Kexec) && world.run.phase == Phase::Verified;
        endings.extend(by_kexec.then(|| "verified after a reboot by kexec".to_owned()));
        endings.extend((world.run.soft_reboots > 0).then(|| "soft-rebooted".to_owned()));
        endings.extend((world.run.unplanned_reboots > 1).then(|| "went down twice".to_owned()));
        let skipped = world.run.last_record(&Step::Reboot).is_some_and(|record| record.outcome == Outcome::Skipped);
        endings.extend((skipped && world.run.phase == Phase::Verified).then(|| "verified without a reboot".to_owned()));
    }
    let steps = planned().steps.into_iter().map(|step| format!("failed at {step}"));
    let others = ["verified", "nothing to do", "aborted", "failed at repair", "failed at restore", "rebooted"];
    let counted = [
        "soft-rebooted",
        "verified after a soft reboot",
        "verified after a reboot by kexec",
        "went down twice",
        "verified without a reboot",
    ];
    let expected: Vec<String> = steps.chain(others.iter().chain(&counted).map(|&other| other.to_owned())).collect();
    for ending in expected {
        assert!(endings.contains(&ending), "{ending:?} was never reached: {endings:?}");
    }
}
