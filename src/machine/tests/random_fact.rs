//! Facts in no order, for the walk that takes them from anywhere.

use super::sample::{api, at, boot, judged};
use crate::model::{Fact, Outcome, Restart, RestartChoice, Run, Step};

pub(super) fn random_fact(run: &Run, which: u8, how: u8) -> Fact {
    let at = at(i64::from(which));
    // Mostly the step that fits, so that runs come far; now and then any other.
    let open = run.attempt.as_ref().map(|open| open.step.clone());
    let fitting = open.or_else(|| crate::machine::decide::next_planned(run)).unwrap_or(Step::Report);
    let serving = [Step::Report, Step::Repair, Step::Restore, Step::Reboot, Step::stop(api())];
    let step = serving.get(usize::from(how % 24)).cloned().unwrap_or(fitting);
    let outcome = match how {
        0..20 => Outcome::Failed,
        20..40 => Outcome::Interrupted,
        40..70 => Outcome::Skipped,
        _ => Outcome::Succeeded,
    };
    match which % 16 {
        0..5 => Fact::StepBegan { step, boot: run.boot.clone(), at },
        5..10 => Fact::StepEnded { step, outcome, note: None, at },
        10 if how < 40 => Fact::HoldsLetGo,
        10 => {
            let restart = if how < 100 { Restart::Soft } else { Restart::Full };
            Fact::RebootRequested { at, restart: RestartChoice { restart, because: Vec::new() } }
        }
        11 if how > 200 => Fact::SoftRebooted { count: run.soft_reboots_of_boot.unwrap_or_default() + 1, at },
        11 if how < 40 => Fact::BootChanged { boot: boot(u32::from(how % 4) + 1), by_kexec: false, at },
        12 if how < 8 => Fact::GivenUp { step, reason: "no way on".into(), at },
        13 if how < 8 => Fact::AbortRequested { by: "root".into(), at },
        14 if how < 40 => Fact::NothingFound { at },
        15 => Fact::Closed { exit_code: how, at },
        _ => judged(run),
    }
}
