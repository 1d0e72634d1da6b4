//! The kernel that was built comes beside those that are there.

use super::task::Task;
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult, kernel_source};
use crate::host::PackageWork;
use crate::model::{Course, Step};

const NAME: &str = "install-kernel";

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let built = ctx.host.kernels.built(&kernel_source::configured(ctx)?).await?;
    let mut course = Course::counted((0.0, 1.0));
    if !work::has_begun(ctx, NAME).await? {
        let installed = ctx.host.kernels.facts().await?.installed;
        if installed.iter().any(|kernel| kernel.release == built.release) {
            return Ok(StepEnd::Skipped(format!("{} is installed", built.release)));
        }
        if built.packages.is_empty() {
            return Err(StepError::Failed(format!("there is no package of kernel {}", built.release)));
        }
        let files: Vec<String> = built.packages.iter().map(|file| file.display().to_string()).collect();
        course = Course::upgrade(&ctx.host.packages.simulate_install(&files).await?, None, None);
    }
    let work = Work {
        step: Step::InstallKernel,
        name: NAME,
        description: format!("Patchday: kernel {}", built.release),
        task: Task::Packages(PackageWork::InstallFiles(built.packages)),
        course,
    };
    let outcome = work::run_to_end(ctx, work).await?;
    if outcome.succeeded() {
        return Ok(StepEnd::Succeeded(Some(built.release)));
    }
    Err(work::failure(ctx, NAME, &outcome).await)
}
