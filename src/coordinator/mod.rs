//! The loop: observe, decide, record the intent, perform, record the outcome, tell.

mod journal;
mod leftovers;
mod narrator;
pub mod session;
mod shutdown;
mod time;

use std::collections::BTreeSet;

use jiff::SignedDuration;

pub use journal::{Journal, RunStorage};
pub use narrator::{Narrator, ViewFn};
pub use session::{Beginning, NewRun};

pub use crate::steps::AbortFlag;

use crate::config::Settings;
use crate::events::{EventKind, EventSink};
use crate::host::{Host, InhibitorGuard};
use crate::machine::{Decision, OpenWork, decide, may_abort};
use crate::model::{Change, Fact, Inhibits, Observation, Outcome, Phase, Run, Step, WindowMissed, WorkLook};
use crate::steps::{self, Recorder, StepContext, StepEnd, StepError, StepResult};

/// How long a state of the host that cannot be read is waited for before the run is left open for a resume.
const STAY_FOR: SignedDuration = SignedDuration::from_mins(10);
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// How the loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// The run is over.
    Closed {
        /// What it is worth.
        exit_code: u8,
    },
    /// The host is going down, as it was asked to; the next boot goes on.
    Parked,
    /// The host cannot be read. Nothing was touched since, and the run is open.
    Stayed {
        /// What is not known.
        reason: String,
    },
}

/// Carries one run from where it is to its end.
pub struct Coordinator<'a, S: RunStorage> {
    host: &'a Host,
    settings: &'a Settings,
    journal: Journal<S>,
    events: &'a dyn EventSink,
    abort: &'a AbortFlag,
    inhibitor: Option<Box<dyn InhibitorGuard>>,
    stayed: SignedDuration,
    /// The reboot that was asked for, and of which nothing is seen.
    lost: shutdown::LostReboot,
    /// Somebody else carried the run before.
    took_over: bool,
    /// As far as whoever resumes has seen.
    soft_reboots: Option<u32>,
}

impl<'a, S: RunStorage> Coordinator<'a, S> {
    /// A coordinator of the journal's run.
    pub fn new(
        host: &'a Host,
        settings: &'a Settings,
        journal: Journal<S>,
        events: &'a dyn EventSink,
        abort: &'a AbortFlag,
    ) -> Self {
        Self {
            host,
            settings,
            journal,
            events,
            abort,
            inhibitor: None,
            stayed: SignedDuration::ZERO,
            lost: shutdown::LostReboot::default(),
            took_over: false,
            soft_reboots: None,
        }
    }

    /// The run as it is now.
    pub fn run(&self) -> &Run {
        self.journal.run()
    }

    /// Goes on with the run after a crash or a reboot: says so, and drives on. With `automatic` (the resume service)
    /// the boot is recorded first, so that one boot resumes once.
    async fn resume(&mut self, automatic: bool) -> RunEnd {
        self.took_over = true;
        self.set_the_clock().await;
        self.look_for_soft_reboots().await;
        if self.soft_reboots.is_none() && self.awaits_soft_reboot().await {
            return RunEnd::Stayed { reason: "systemd does not tell whether the soft reboot is done".into() };
        }
        let observation = self.observe().await;
        let decision = self.decide(&observation);
        let boot = observation.boot.clone().unwrap_or_else(|| self.run().boot.clone());
        self.events.emit(EventKind::RunResumed {
            boot,
            phase: self.run().phase.name().into(),
            decision: describe(&decision),
        });
        match decision {
            Decision::RecordBoot => self.record_boot(&observation).await,
            Decision::RecordSoftReboot { count } => self.record_soft_reboot(count).await,
            Decision::AwaitReboot { .. } => self.ask_again_for_reboot().await,
            _ => {}
        }
        let (boot, soft_reboots, at) = (self.run().boot.clone(), self.soft_reboots, self.host.clock.now());
        self.record_or_degrade(Fact::Resumed { boot, soft_reboots, automatic, at });
        self.drive().await
    }

    /// Opens a run that is over, to undo what it left on the host, and drives it to its end again.
    async fn reopen(&mut self) -> RunEnd {
        let Some(boot) = self.host.system.boot().await else {
            return RunEnd::Stayed { reason: "the boot ID cannot be read".into() };
        };
        let left = units_of(&self.run().changes);
        let decision = if boot == self.run().boot {
            format!("undo what the run has left changed of {left}")
        } else {
            format!("write down that the boot has undone what the run had left changed of {left}")
        };
        if let Err(error) = self.journal.record(Fact::Reopened { boot: boot.clone() }) {
            return RunEnd::Stayed { reason: error.to_string() };
        }
        self.set_the_clock().await;
        self.events.emit(EventKind::RunResumed { boot, phase: self.run().phase.name().into(), decision });
        self.drive().await
    }

    /// Drives the run to its end.
    async fn drive(&mut self) -> RunEnd {
        loop {
            self.set_the_clock().await;
            if self.abort.is_requested() && may_abort(self.run()) {
                if self.host_is_going_down().await {
                    let message = "the host is going down, and not because of this run; the next boot goes on".into();
                    self.events.emit(EventKind::Noted { message });
                    return RunEnd::Parked;
                }
                let by = self.abort.by().unwrap_or("a signal to the coordinator").to_owned();
                self.events.emit(EventKind::AbortRequested { by: by.clone() });
                self.record_or_degrade(Fact::AbortRequested { by, at: self.host.clock.now() });
            }
            let observation = self.observe().await;
            let decision = self.decide(&observation);
            tracing::debug!(?decision, "decided");
            if !matches!(decision, Decision::Stay { .. }) {
                self.stayed = SignedDuration::ZERO;
            }
            match decision {
                Decision::Begin(step) => {
                    let at = self.host.clock.now();
                    let boot = self.run().boot.clone();
                    if self.record_or_degrade(Fact::StepBegan { step: step.clone(), boot, at }) {
                        self.perform(&step).await;
                    }
                }
                Decision::GoOn { step, .. } => self.perform(&step).await,
                Decision::CountAsInterrupted(step) => {
                    let note = "its work unit is gone, and with it the outcome";
                    self.end_step(&step, Outcome::Interrupted, Some(note.into()));
                }
                Decision::RecordBoot => self.record_boot(&observation).await,
                Decision::RecordSoftReboot { count } => self.record_soft_reboot(count).await,
                Decision::AwaitReboot { .. } => {
                    if self.abort.is_requested() {
                        return RunEnd::Parked;
                    }
                    self.ask_until_it_is_under_way().await;
                    self.host.clock.sleep(LOOK_EVERY).await;
                }
                Decision::ForceReboot => self.force_reboot().await,
                Decision::ConcludeNoReboot => self.conclude_no_reboot().await,
                Decision::MissWindow { step, reason } => {
                    self.events.emit(EventKind::Noted { message: reason.clone() });
                    let at = self.host.clock.now();
                    self.record_or_degrade(Fact::WindowMissed(WindowMissed { step, at, reason }));
                }
                Decision::GiveUp { step, reason } => self.give_up(step, reason),
                Decision::Close { exit_code } => {
                    self.collect_what_is_left().await;
                    self.forget_who_was_killed().await;
                    self.record_or_degrade(Fact::Closed { exit_code, at: self.host.clock.now() });
                    let phase = self.run().phase.name().to_owned();
                    self.events.emit(EventKind::RunEnded { exit_code, phase });
                    return RunEnd::Closed { exit_code };
                }
                Decision::Stay { reason } => {
                    if self.stayed >= STAY_FOR || self.abort.is_requested() {
                        return RunEnd::Stayed { reason };
                    }
                    self.stayed += LOOK_EVERY;
                    self.host.clock.sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    fn decide(&self, observation: &Observation) -> Decision {
        decide(self.run(), observation, self.host.clock.now(), &self.settings.policy())
    }

    async fn observe(&self) -> Observation {
        let work = match &self.run().attempt {
            Some(attempt) if attempt.step.is_one_work() => {
                match steps::work_unit(&self.run().id, &attempt.step.to_string(), attempt.number) {
                    Some(unit) => self.host.work.look(&unit).await,
                    None => WorkLook::NoWork,
                }
            }
            _ => WorkLook::NoWork,
        };
        Observation { boot: self.host.system.boot().await, soft_reboots: self.soft_reboots, work }
    }

    async fn perform(&mut self, step: &Step) {
        self.inhibit_during(step).await;
        let attempt = self.run().attempt.as_ref().map_or(1, |attempt| attempt.number);
        self.events.emit(EventKind::StepStarted { step: step.clone(), attempt });
        let mut ctx = StepContext {
            recorder: &mut self.journal,
            settings: self.settings,
            host: self.host,
            events: self.events,
            abort: self.abort,
            ended_work: Vec::new(),
        };
        let result = steps::perform(step, &mut ctx).await;
        let ended_work = std::mem::take(&mut ctx.ended_work);
        self.conclude(step, result);
        // Only now: the outcome is saved, so systemd may forget it.
        for unit in ended_work {
            if let Err(error) = self.host.work.collect(&unit).await {
                tracing::warn!("{unit} cannot be collected: {error}");
            }
        }
    }

    fn conclude(&mut self, step: &Step, result: StepResult) {
        match result {
            Ok(StepEnd::Succeeded(note)) => self.end_step(step, Outcome::Succeeded, note),
            Ok(StepEnd::Skipped(note)) => self.end_step(step, Outcome::Skipped, Some(note)),
            Ok(StepEnd::NothingToDo) => {
                self.record_end(Fact::NothingFound { at: self.host.clock.now() });
            }
            Ok(StepEnd::RebootRequested) => {}
            Err(StepError::Failed(reason)) => self.end_step(step, Outcome::Failed, Some(reason)),
            Err(StepError::Again(why)) => self.end_step(step, Outcome::Interrupted, Some(why)),
            Err(StepError::Aborted) => {
                self.end_step(step, Outcome::Interrupted, Some(StepError::Aborted.to_string()));
            }
            Err(StepError::Record(error)) => self.degrade(step.clone(), error.to_string()),
        }
    }

    fn end_step(&mut self, step: &Step, outcome: Outcome, note: Option<String>) {
        let at = self.host.clock.now();
        self.record_end(Fact::StepEnded { step: step.clone(), outcome, note, at });
    }

    fn give_up(&mut self, step: Step, reason: String) {
        self.events.emit(EventKind::Noted { message: reason.clone() });
        self.record_end(Fact::GivenUp { step, reason, at: self.host.clock.now() });
    }

    /// Records a fact that may end the open attempt, and tells that end.
    fn record_end(&mut self, fact: Fact) -> bool {
        let ended_before = self.run().history.len();
        let recorded = self.record_or_degrade(fact);
        for record in &self.run().history[ended_before.min(self.run().history.len())..] {
            self.events.emit(EventKind::StepEnded {
                step: record.attempt.step.clone(),
                outcome: record.outcome,
                note: record.note.clone(),
                took: record.ended.duration_since(record.attempt.began),
            });
        }
        recorded
    }

    async fn record_boot(&mut self, observation: &Observation) {
        let Some(boot) = observation.boot.clone() else { return };
        let at = self.host.clock.now();
        let planned = self.run().phase == Phase::RebootRequested;
        let last_sign = self.run().reboot_requested.filter(|_| planned).or_else(|| self.last_sign_of_life());
        let down = last_sign.map_or(SignedDuration::ZERO, |last| at.duration_since(last));
        let undone = units_of(&self.run().changes);
        let by_kexec = self.host.kexec.has_started_this_boot().await;
        if self.record_end(Fact::BootChanged { boot: boot.clone(), by_kexec, at }) {
            self.events.emit(EventKind::BootChanged { boot, down, planned });
            if !undone.is_empty() {
                let message = format!("the boot has undone what the run had changed of {undone}");
                self.events.emit(EventKind::Noted { message });
            }
        }
    }

    fn last_sign_of_life(&self) -> Option<jiff::Timestamp> {
        self.journal.timeline().last().map(|event| event.at)
    }

    /// Records, or goes on in memory; false where the fact did not become durable.
    fn record_or_degrade(&mut self, fact: Fact) -> bool {
        let step = self.run().attempt.as_ref().map_or(Step::Report, |attempt| attempt.step.clone());
        match self.journal.record(fact) {
            Ok(()) => true,
            Err(error) => {
                self.degrade(step, error.to_string());
                false
            }
        }
    }

    /// The state can no longer be saved. Services must not stay down for that: the run fails, and its ending (repair,
    /// restore) is carried out from memory.
    fn degrade(&mut self, step: Step, reason: String) {
        tracing::error!("{reason}; going on in memory to bring the services back");
        self.events.emit(EventKind::Noted { message: format!("{reason}; going on in memory") });
        self.journal.go_on_in_memory();
        let at = self.host.clock.now();
        let fact = if self.run().phase.is_final() {
            Fact::StepEnded { step, outcome: Outcome::Failed, note: Some(reason), at }
        } else {
            Fact::GivenUp { step, reason, at }
        };
        if let Err(error) = self.journal.record(fact) {
            tracing::error!("{error}");
        }
    }

    /// Holds a shutdown lock while an unplanned shutdown would hurt, and never while our own reboot is asked for.
    async fn inhibit_during(&mut self, step: &Step) {
        let is_dangerous = match step.nature().inhibits {
            Inhibits::Always => true,
            // While services are down an unplanned shutdown would leave them so.
            Inhibits::OnceStopped => self.run().has_stopped_something(),
            Inhibits::Never => false,
        };
        if !is_dangerous {
            self.inhibitor = None;
        } else if self.inhibitor.is_none() {
            match self.host.power.inhibit(&format!("run {} is patching this host", self.run().id)).await {
                Ok(guard) => self.inhibitor = Some(guard),
                Err(error) => {
                    let message = format!("a shutdown is not inhibited: {error}");
                    self.events.emit(EventKind::Noted { message });
                }
            }
        }
    }
}

fn units_of(changes: &[Change]) -> String {
    let units: BTreeSet<&str> = changes.iter().filter_map(|change| Some(change.unit()?.as_str())).collect();
    units.into_iter().collect::<Vec<_>>().join(", ")
}

fn describe(decision: &Decision) -> String {
    match decision {
        Decision::Begin(step) => format!("begin: {}", step.title()),
        Decision::GoOn { step, with } => {
            let how = match with {
                OpenWork::None => "continue",
                OpenWork::Running => "follow what is still running",
                OpenWork::Ended => "record what ended meanwhile",
            };
            format!("{how}: {}", step.title())
        }
        Decision::CountAsInterrupted(step) => format!("interrupted: {}", step.title()),
        Decision::RecordBoot => "the host has rebooted".into(),
        Decision::RecordSoftReboot { .. } => "the host was soft-rebooted".into(),
        Decision::AwaitReboot { until } => format!("wait for the reboot until {until}"),
        Decision::ForceReboot => "force the reboot".into(),
        Decision::ConcludeNoReboot => "the reboot did not happen".into(),
        Decision::MissWindow { reason, .. } => format!("end in safety: {reason}"),
        Decision::GiveUp { reason, .. } => format!("give up: {reason}"),
        Decision::Close { .. } => "close the run".into(),
        Decision::Stay { reason } => format!("wait: {reason}"),
    }
}
