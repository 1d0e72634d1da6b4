//! Work that stands still: services first, then the repair, and not for ever.

use super::sample::{after, begin, booted, done, end, failed, open};
use crate::model::{Fact, Outcome, Run, Standstill, Step};

/// Its work is left to itself, and so the attempt has failed.
fn stood_still(run: &Run) -> Run {
    let attempt = run.attempt.clone().unwrap();
    let (work, why) = (attempt.step.to_string(), "it waits".to_owned());
    let stood = Standstill { step: attempt.step, attempt: attempt.number, work, why };
    end(&after(run, Fact::StoodStill(stood)), Outcome::Failed)
}

/// Rows of the table of `decide`, runs, and what comes next.
pub(super) fn endings() -> Vec<([&'static str; 3], Run, &'static str)> {
    let first = ["none, failed, work stands still", "same", "–"];
    let then = ["none, failed or aborted", "same", "–"];
    let upgrade = stood_still(&open(Step::Upgrade));
    let restored = done(&upgrade, Step::Restore);
    // It stood still with the services down: once more with them up.
    let repair = stood_still(&begin(&failed(Step::Upgrade), Step::Repair));
    vec![
        (first, upgrade.clone(), "begin restore"),
        (then, restored.clone(), "begin repair"),
        // With the services up it is not repaired over and over.
        (then, stood_still(&begin(&restored, Step::Repair)), "begin report"),
        (then, repair.clone(), "begin restore"),
        (then, done(&repair, Step::Restore), "begin repair"),
        // A boot has ended what stood still.
        (then, booted(&upgrade, 2), "begin repair"),
    ]
}
