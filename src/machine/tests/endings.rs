//! What is tried again, and for how long.

use super::decided::{decided, next, words};
use super::sample::{GRACE, after, at, begin, end, failed, open, reboot_requested};
use crate::model::{Change, Fact, Outcome, Step, WorkLook};

#[test]
fn a_clock_that_is_set_back_neither_ends_the_wait_nor_makes_it_endless() {
    let run = reboot_requested(&open(Step::Reboot));
    let requested = run.reboot_requested.unwrap().duration_since(at(0)).as_secs();
    let after = |seconds| words(&decided(&run, WorkLook::NoWork, requested + seconds));
    assert_eq!(after(-2), "await reboot", "a correction of two seconds is no reason to give up");
    assert_eq!(after(-86_400), "conclude no reboot");
    assert_eq!(after(-GRACE.as_secs()), "conclude no reboot");
    // However the clock is set back once, the wait is over after twice the grace period at most.
    for back in [1, 60, 299, 300, 86_400] {
        let waits = (0..).take_while(|passed| after(passed - back) == "await reboot").count();
        assert!(waits <= 2 * usize::try_from(GRACE.as_secs()).unwrap(), "set back by {back}: {waits} seconds");
    }
}

#[test]
fn a_restore_is_tried_again_while_a_hold_is_left() {
    let mut run = failed(Step::Upgrade);
    run = end(&begin(&run, Step::Repair), Outcome::Succeeded);
    assert!(run.changes.iter().any(|change| matches!(change, Change::Held(_))));
    for _ in 0..3 {
        assert_eq!(words(&next(&run)), "begin restore");
        run = end(&begin(&run, Step::Restore), Outcome::Failed);
    }
    assert_eq!(words(&next(&run)), "begin report", "not for ever");
    // A service that does not start is told, and not started again and again.
    let mut run = begin(&end(&begin(&failed(Step::Upgrade), Step::Repair), Outcome::Succeeded), Step::Restore);
    for held in run.changes.clone().into_iter().filter(|change| matches!(change, Change::Held(_))) {
        run = after(&run, Fact::ChangeUndone(held));
    }
    assert_eq!(words(&next(&end(&run, Outcome::Failed))), "begin report");
}
