//! Where a run stands, as its reader sees it.

use super::Ending;
use crate::model::{Phase, Run, Step};

pub(super) fn ending(run: &Run) -> Ending {
    match &run.phase {
        _ if is_judged(run) => Ending::Judged,
        // A failure or an abort is known before what follows it, bringing the host to safety, has ended.
        Phase::Failed { .. } => Ending::Failed,
        Phase::Aborted { .. } => Ending::Aborted,
        Phase::NothingToDo => Ending::NothingToDo,
        Phase::OnlyFetched => Ending::Done,
        _ if run.is_open() => Ending::Open,
        _ => Ending::Done,
    }
}

/// The host was judged, and that is how the run ended. A verdict `failed` is a failed step to the machine; to the
/// reader it is the verdict.
pub(super) fn is_judged(run: &Run) -> bool {
    matches!(run.phase, Phase::Verified | Phase::Failed { step: Step::Verify, .. }) && run.verification.is_some()
}

/// Nothing is left to do but to write this report.
pub(super) fn is_settled(run: &Run) -> bool {
    let is_reporting = run.attempt.as_ref().is_some_and(|attempt| serves_readers(&attempt.step));
    !run.is_open() || (run.phase.is_final() && is_reporting)
}

pub(super) fn serves_readers(step: &Step) -> bool {
    matches!(step, Step::Report | Step::Notify(_))
}
