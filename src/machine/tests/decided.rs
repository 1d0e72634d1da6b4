//! What is decided, in a few words.

use super::sample::{POLICY, at};
use crate::machine::decide::{Decision, OpenWork, decide};
use crate::model::{Observation, Run, WorkLook, WorkOutcome};

pub(super) fn exited() -> WorkLook {
    WorkLook::Exited(WorkOutcome { result: "success".into(), exit_status: Some(0), cpu_usec: None })
}

/// The decision on the run's own boot.
pub(super) fn decided(run: &Run, work: WorkLook, seconds: i64) -> Decision {
    decide(run, &Observation { boot: Some(run.boot.clone()), soft_reboots: Some(0), work }, at(seconds), &POLICY)
}

pub(super) fn next(run: &Run) -> Decision {
    decided(run, WorkLook::NoWork, 50)
}

/// A decision in a few words, so that a table of them can be read.
pub(super) fn words(decision: &Decision) -> String {
    match decision {
        Decision::Begin(step) => format!("begin {step}"),
        Decision::GoOn { step, with: OpenWork::None } => format!("continue {step}"),
        Decision::GoOn { step, with: OpenWork::Running } => format!("attach {step}"),
        Decision::GoOn { step, with: OpenWork::Ended } => format!("collect {step}"),
        Decision::CountAsInterrupted(step) => format!("interrupted {step}"),
        Decision::RecordBoot => "record boot".into(),
        Decision::RecordSoftReboot { count } => format!("record soft-reboot {count}"),
        Decision::AwaitReboot { .. } => "await reboot".into(),
        Decision::ForceReboot => "force reboot".into(),
        Decision::ConcludeNoReboot => "conclude no reboot".into(),
        Decision::MissWindow { step, reason } => format!("miss the window at {step}: {reason}"),
        Decision::GiveUp { step, reason } => format!("give up {step}: {reason}"),
        Decision::Close { exit_code } => format!("close {exit_code}"),
        Decision::Stay { reason } => format!("stay: {reason}"),
    }
}
