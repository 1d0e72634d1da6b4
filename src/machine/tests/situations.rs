//! Where a run can be.

use super::hooks::{HOOK, LATE_HOOK, at_work, hooked};
use super::sample::{
    aborted, api, before, begin, booted, done, end, failed, failed_on_trial, nothing_to_do, only_fetched, open,
    planned, reboot_requested, reboot_skipped, verified,
};
use crate::model::{Occasion, Outcome, Phase, Run, Step};

/// A run of which somebody is told.
pub(super) fn watched(run: &Run) -> Run {
    let mut watched = run.clone();
    watched.steps.insert(3, Step::Notify(Occasion::Start));
    watched
}

/// Every situation that a run can be in while its phase is this one: with each attempt that can be open.
pub(super) fn situations(phase: &Phase) -> Vec<Run> {
    let mongod = Step::stop(super::sample::mongod());
    let interrupted = || end(&open(Step::Upgrade), Outcome::Interrupted);
    match phase {
        Phase::Planned => vec![planned(), open(Step::Preflight)],
        Phase::PreflightPassed => vec![before(&Step::Fetch), open(Step::Fetch)],
        Phase::PackagesFetched => vec![before(&Step::Baseline), open(Step::Baseline)],
        Phase::OnlyFetched => vec![only_fetched(), begin(&only_fetched(), Step::Report)],
        Phase::NothingToDo => vec![nothing_to_do(), begin(&nothing_to_do(), Step::Report)],
        Phase::BaselineTaken => {
            let told = begin(&watched(&before(&Step::stop(api()))), Step::Notify(Occasion::Start));
            let hook = begin(&hooked(&before(&Step::stop(api()))), HOOK);
            vec![before(&Step::stop(api())), told, hook, open(Step::stop(api())), before(&mongod), open(mongod)]
        }
        Phase::ServicesStopped => {
            vec![before(&Step::Upgrade), open(Step::Upgrade), interrupted(), begin(&interrupted(), Step::Repair)]
        }
        Phase::PackagesUpgraded => vec![before(&Step::BuildKernel), open(Step::BuildKernel)],
        Phase::KernelBuilt => vec![before(&Step::StageCheck), open(Step::StageCheck)],
        Phase::Staged => vec![
            before(&Step::Reboot),
            open(Step::Reboot),
            begin(&reboot_skipped(), Step::Restore),
            begin(&done(&reboot_skipped(), Step::Restore), Step::Verify),
        ],
        Phase::RebootRequested => {
            let reverting = begin(&failed_on_trial(), Step::Revert);
            vec![reboot_requested(&open(Step::Reboot)), reboot_requested(&reverting)]
        }
        Phase::Rebooted => vec![before(&Step::Verify), open(Step::Verify), booted(&before(&Step::Reboot), 2)],
        Phase::Verified => vec![
            verified(),
            at_work(&verified(), LATE_HOOK),
            begin(&verified(), Step::Report),
            begin(&done(&watched(&verified()), Step::Report), Step::Notify(Occasion::End)),
        ],
        Phase::Failed { .. } => vec![
            failed(Step::Upgrade),
            begin(&failed(Step::Upgrade), Step::Repair),
            begin(&failed(Step::Upgrade), Step::Restore),
            begin(&failed(Step::Upgrade), Step::Report),
            begin(&failed_on_trial(), Step::Revert),
        ],
        Phase::Aborted { .. } => vec![
            aborted(&before(&Step::Upgrade)),
            begin(&aborted(&before(&Step::Upgrade)), Step::Restore),
            begin(&aborted(&before(&Step::Upgrade)), Step::Report),
        ],
    }
}
