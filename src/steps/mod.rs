//! The steps of a run, one file each. A step sees ports, tells events, and records what it is about to change before
//! it changes it. The order of the steps is data: [`planned_steps`].

mod ahead;
mod announce;
mod baseline;
mod batch;
mod build_kernel;
mod clean_end;
mod companions;
mod context;
mod deadline;
mod drain;
mod end_proof;
mod fetch;
mod held_down;
mod hook;
mod install_kernel;
mod kernel_source;
mod last_look;
mod limits;
mod locks;
mod look_again;
mod notify;
mod owed;
mod package_locks;
mod preflight;
mod protection;
mod reboot;
mod recover;
mod related;
mod remove_kernels;
mod repair;
mod replica_set;
mod report;
mod restart;
mod restart_outdated;
mod restore;
mod revert;
mod rivals;
mod sequence;
mod server_gone;
mod silence;
mod stage_check;
mod standstill;
mod stay;
mod stop;
mod stop_mongodb;
mod stop_unit;
mod task;
mod trial;
mod upgrade;
mod verify;
mod work;

use crate::model::Step;

use context::ask_again;
pub use context::{AbortFlag, RecordError, Recorder, StepContext, StepEnd, StepError, StepResult};
pub use kernel_source::is_due as kernel_build_is_due;
pub use owed::{expected_boot_reasons, owed_now};
pub use related::{UsedNow, ahead_by_rules, ahead_of, used_now};
pub use restart::{expected_restart, let_go};
pub use sequence::planned_steps;
pub use task::work_unit;

/// Performs one step under its open attempt.
///
/// # Errors
///
/// What failed; the caller records it.
pub async fn perform(step: &Step, ctx: &mut StepContext<'_>) -> StepResult {
    match step {
        Step::Preflight => preflight::perform(ctx).await,
        Step::Fetch => fetch::perform(ctx).await,
        Step::Baseline => baseline::perform(ctx).await,
        Step::RemoveKernels => remove_kernels::perform(ctx).await,
        Step::Ahead => ahead::perform(ctx).await,
        Step::Announce => announce::perform(ctx).await,
        Step::LookAgain => look_again::perform(ctx).await,
        Step::Silence => silence::begin(ctx).await,
        Step::EndSilence => silence::end(ctx).await,
        Step::Hook(hook) => hook::perform(ctx, *hook).await,
        Step::Stop(wave) => stop::perform(ctx, wave).await,
        Step::UpgradeBase => upgrade::perform_base(ctx).await,
        Step::Upgrade => upgrade::perform(ctx).await,
        Step::KernelSource => kernel_source::perform(ctx).await,
        Step::InstallKernel => install_kernel::perform(ctx).await,
        Step::BuildKernel => build_kernel::perform(ctx).await,
        Step::StageCheck => stage_check::perform(ctx).await,
        Step::Reboot => reboot::perform(ctx).await,
        Step::Revert => revert::revert(ctx).await,
        Step::Verify => verify::perform(ctx).await,
        Step::Repair => repair::perform(ctx).await,
        Step::Restore => restore::perform(ctx).await,
        Step::LastLook => last_look::perform(ctx).await,
        Step::Report => report::perform(ctx).await,
        Step::Notify(occasion) => notify::perform(ctx, *occasion).await,
    }
}
