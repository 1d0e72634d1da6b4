//! Go back to the kernel that ran before.

use super::{StepContext, StepEnd, StepResult, reboot};
use crate::model::RestartChoice;

/// Reboots into the kernel that ran before.
pub(super) async fn revert(ctx: &mut StepContext<'_>) -> StepResult {
    let Some(trial) = ctx.run().one_shot_boot().cloned() else {
        return Ok(StepEnd::Skipped("no kernel is on trial".into()));
    };
    reboot::request(
        ctx,
        vec![format!("the host is not well under kernel {}; back to {}", trial.kernel, trial.fallback)],
        // Only a boot chooses a kernel.
        RestartChoice::default(),
    )
    .await
}
