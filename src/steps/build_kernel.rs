//! DKMS modules for the kernel of the next boot.

use std::collections::BTreeSet;

use super::work::{self, Task, Work};
use super::{StepContext, StepEnd, StepError, StepResult};
use crate::model::{Course, DkmsModule, DkmsState, KernelFacts, Step};

const NAME: &str = "build-kernel";

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let facts = ctx.host.kernels.facts().await?;
    let missing = missing_modules(ctx, &facts).await?;
    let is_due = !missing.is_empty() || work::has_begun(ctx, NAME).await?;
    let Some(newest) = facts.installed.first().filter(|_| is_due) else {
        return Ok(StepEnd::Skipped("no module to build".into()));
    };
    let work = Work {
        step: Step::BuildKernel,
        name: NAME,
        description: format!("Patchday: modules for {}", newest.release),
        task: Task::Dkms { release: newest.release.clone() },
        course: Course::counted((0.0, 1.0)),
    };
    let outcome = work::run_to_end(ctx, work).await?;
    if !outcome.succeeded() {
        return Err(work::failure(ctx, NAME, &outcome).await);
    }
    // Old versions of dkms exit with 0 when a build failed: only its own list tells.
    let still_missing = missing_modules(ctx, &facts).await?;
    if still_missing.is_empty() {
        return Ok(StepEnd::Succeeded(Some(format!("{} for {}", missing.join(", "), newest.release))));
    }
    let (missing, words) = (still_missing.join(", "), work::words(ctx, NAME).await);
    Err(StepError::Failed(format!("not built for {}: {missing}{words}", newest.release)))
}

/// Modules that another kernel has, or that no kernel has, and that the newest kernel lacks.
pub(super) async fn missing_modules(ctx: &StepContext<'_>, facts: &KernelFacts) -> Result<Vec<String>, StepError> {
    let Some(newest) = facts.installed.first().filter(|_| ctx.settings.kernel.dkms) else {
        return Ok(Vec::new());
    };
    Ok(missing_for(&ctx.host.kernels.dkms().await?, &newest.release))
}

fn missing_for(modules: &[DkmsModule], release: &str) -> Vec<String> {
    let all: BTreeSet<&str> = modules.iter().map(|module| module.module.as_str()).collect();
    let installed: BTreeSet<&str> = modules
        .iter()
        .filter(|module| module.kernel.as_deref() == Some(release) && module.state == DkmsState::Installed)
        .map(|module| module.module.as_str())
        .collect();
    all.difference(&installed).map(|module| (*module).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_must_be_installed_for_the_very_release() {
        let module = |module: &str, kernel: Option<&str>, state| DkmsModule {
            module: module.into(),
            kernel: kernel.map(Into::into),
            state,
        };
        let modules = [
            module("a/1", Some("6.1.0-41"), DkmsState::Installed),
            module("a/1", Some("6.1.0-42"), DkmsState::Built),
            module("b/2", Some("6.1.0-42"), DkmsState::Installed),
            module("c/3", None, DkmsState::Added),
        ];
        assert_eq!(missing_for(&modules, "6.1.0-42"), ["a/1", "c/3"]);
        assert!(missing_for(&[], "6.1.0-42").is_empty());
    }
}
