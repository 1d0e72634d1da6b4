//! Does the rest of a run fit into its window?

use jiff::Timestamp;

use crate::model::spoken::running;
use crate::model::{Run, Step};

/// Why the step must not begin now; none if it may. The steps that need the window are those after which services
/// are down for longer. What has begun is never cut short, and what brings the host to safety always begins.
pub(super) fn overrun(run: &Run, step: &Step, now: Timestamp) -> Option<String> {
    let window = run.window.as_ref().filter(|_| run.window_missed.is_none() && step.nature().needs_window)?;
    let left = window.closes.duration_since(now);
    let takes = run.estimate.as_ref().map(|estimate| estimate.left_from(step, run)).unwrap_or_default();
    let needed = takes + window.reserve;
    if needed <= left {
        return None;
    }
    let closes = window.closes;
    if !left.is_positive() {
        return Some(format!("the window closed at {closes}"));
    }
    let [left, takes, reserve] = [left, takes, window.reserve].map(running);
    Some(format!(
        "the window closes at {closes}: {left} are left, and the rest of the run takes {takes} and {reserve} in reserve"
    ))
}

/// Whether a run that missed its window still has something to finish: once packages are upgraded, the services are
/// brought back and verified, and only what takes long is left out. Before that the run just ends.
pub(super) fn goes_on_without_window(run: &Run) -> bool {
    run.has_finished(&Step::Upgrade)
}
