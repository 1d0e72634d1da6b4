//! A kernel from its source. The build changes nothing on the host but its own tree.

use super::task::Task;
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult};
use crate::config::Settings;
use crate::host::Host;
use crate::model::{Course, KernelSource, Step, make_jobs};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let source = configured(ctx)?;
    // A build that runs or has ended makes none of it: only the installation does.
    if !ctx.host.kernels.build_is_due(&source).await {
        return Ok(StepEnd::Skipped("the kernel is installed".into()));
    }
    let limits = &ctx.settings.limits;
    // Where nobody knows how much memory there is, one job is what any host can feed.
    let memory = ctx.host.system.resources().await.map_or(0, |resources| resources.memory_available);
    let jobs = make_jobs(limits.cpus, limits.cpu_percent, memory);
    let work = Work {
        step: Step::KernelSource,
        name: "kernel-source",
        description: format!("Patchday: kernel from {}", source.path.display()),
        task: Task::Kernel { source: source.clone(), jobs },
        course: Course::counted((0.0, 1.0)),
    };
    let outcome = work::run_to_end(ctx, work).await?;
    if !outcome.succeeded() {
        return Err(work::failure(ctx, "kernel-source", &outcome).await);
    }
    let built = ctx.host.kernels.built(&source).await?;
    Ok(StepEnd::Succeeded(Some(built.release)))
}

/// Whether a kernel is to be built that is not installed yet.
pub async fn is_due(host: &Host, settings: &Settings) -> bool {
    match &settings.kernel.source {
        Some(source) => host.kernels.build_is_due(source).await,
        None => false,
    }
}

pub(super) fn configured(ctx: &StepContext<'_>) -> Result<KernelSource, StepError> {
    let source = ctx.settings.kernel.source.clone();
    source.ok_or_else(|| StepError::Failed("no source of a kernel is configured".into()))
}
