//! The kernel that was built comes beside those that are there.

use super::work::{self, Task, Work};
use super::{StepContext, StepEnd, StepError, StepResult, kernel_source};
use crate::host::PackageWork;
use crate::model::{Course, Step};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let built = ctx.host.kernel_builds.built(&kernel_source::configured(ctx)?).await?;
    let installed = ctx.host.kernels.facts().await?.installed;
    if installed.iter().any(|kernel| kernel.release == built.release) {
        return Ok(StepEnd::Skipped(format!("{} is installed", built.release)));
    }
    if built.packages.is_empty() {
        return Err(StepError::Failed(format!("there is no package of kernel {}", built.release)));
    }
    let files: Vec<String> = built.packages.iter().map(|file| file.display().to_string()).collect();
    let plan = ctx.host.packages.simulate_install(&files).await?;
    let work = Work {
        step: Step::InstallKernel,
        name: "install-kernel",
        description: format!("Patchday: kernel {}", built.release),
        task: Task::Packages(PackageWork::InstallFiles(built.packages)),
        course: Course::upgrade(&plan, None),
    };
    let outcome = work::run_to_end(ctx, work).await?;
    if outcome.succeeded() {
        return Ok(StepEnd::Succeeded(Some(built.release)));
    }
    Err(work::failure(ctx, "install-kernel", &outcome).await)
}
