//! Which step may change what of the host, and which may undo it.

use crate::model::{Change, Step};

/// Whether the change is one that the step makes.
pub(super) fn may_make(step: &Step, change: &Change) -> bool {
    match change {
        Change::Held(unit) => step.stops(unit),
        Change::Stopped(unit) => match step {
            Step::Stop(_) => step.stops(unit),
            // Recorded once more by whoever starts it, until it serves.
            step => matches!(step, Step::Restore | Step::LastLook),
        },
        Change::TakenAlong { with, .. } => match step {
            Step::Stop(_) => step.stops(with),
            step => *step == Step::Restore,
        },
        Change::Limited { .. } => step.does_long_work(),
        Change::Paused(_) => *step == Step::Baseline,
        Change::Protected(_) => matches!(step, Step::Ahead | Step::Upgrade | Step::UpgradeBase),
        Change::Announced => *step == Step::Announce,
        Change::Silenced { .. } => *step == Step::Silence,
        Change::OneShotBoot(_) | Change::KernelLoaded => *step == Step::Reboot,
        Change::Unsynced { .. } => *step == Step::Upgrade,
        Change::PackagesLocked => step.nature().may_lock_packages,
    }
}

/// Whether the step may undo the change. The step that brings services back may undo every one.
pub(super) fn may_undo(step: &Step, change: &Change) -> bool {
    *step == Step::Restore
        || match change {
            // Whoever needs them gives them up: a hook may, and so may every step that serves an ending.
            Change::PackagesLocked => true,
            Change::Limited { .. } | Change::Paused(_) | Change::Announced => *step == Step::Report,
            Change::KernelLoaded => matches!(step, Step::Report | Step::Reboot),
            Change::OneShotBoot(_) => matches!(step, Step::Report | Step::Verify),
            Change::Silenced { .. } => *step == Step::EndSilence,
            Change::Protected(_) => matches!(step, Step::Ahead | Step::Repair),
            Change::Unsynced { .. } => matches!(step, Step::Upgrade | Step::Repair),
            Change::Stopped(_) => *step == Step::LastLook,
            Change::Held(_) | Change::TakenAlong { .. } => false,
        }
}
