//! DKMS modules for the kernel of the next boot.

use std::collections::BTreeSet;

use super::work::{self, Task, Work};
use super::{StepContext, StepEnd, StepError, StepResult};
use crate::config::OnFailure;
use crate::model::{Course, DkmsModule, DkmsState, KernelFacts, Step};

const NAME: &str = "build-kernel";

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let facts = ctx.host.kernels.facts().await?;
    let missing = missing_modules(ctx, &facts).await?;
    let is_due = !missing.is_empty() || work::has_begun(ctx, NAME).await?;
    if let Some(lacks) = &missing.in_kernel_before {
        ctx.note(format!("kernel {}, to which a failed trial goes back, lacks {lacks}", facts.running));
    }
    let Some(newest) = facts.installed.first().filter(|_| is_due) else {
        return Ok(StepEnd::Skipped("no module to build".into()));
    };
    let release = &newest.release;
    let work = Work {
        step: Step::BuildKernel,
        name: NAME,
        description: format!("Patchday: modules for {release}"),
        task: Task::Dkms { release: release.clone() },
        course: Course::counted((0.0, 1.0)),
    };
    let outcome = work::run_to_end(ctx, work).await?;
    // How dkms ends says little: old versions exit with 0 when a build failed, and newer ones fail for any module.
    let left = missing_modules(ctx, &facts).await?;
    if !left.required.is_empty() {
        let (names, words) = (left.required.join(", "), work::words(ctx, NAME).await);
        return Err(StepError::Failed(format!("not built for {release}: {names}{words}")));
    }
    if !outcome.succeeded() && left.optional.is_empty() {
        return Err(work::failure(ctx, NAME, &outcome).await);
    }
    if !left.optional.is_empty() {
        let (names, words) = (left.optional.join(", "), work::words(ctx, NAME).await);
        ctx.note(format!("not built for {release}, and optional: {names}{words}"));
    }
    let built = missing.required.iter().chain(&missing.optional).filter(|module| !left.optional.contains(module));
    let built: Vec<&str> = built.map(String::as_str).collect();
    Ok(StepEnd::Succeeded((!built.is_empty()).then(|| format!("{} for {release}", built.join(", ")))))
}

/// Modules that another kernel has, or that no kernel has, and that the newest kernel lacks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MissingModules {
    /// The next boot needs them.
    pub(super) required: Vec<String>,
    /// It can do without.
    optional: Vec<String>,
    /// What the kernel before lacks, where the next boot may be one into that. It runs without, so nothing is built for it.
    in_kernel_before: Option<String>,
}

impl MissingModules {
    fn is_empty(&self) -> bool {
        self.required.is_empty() && self.optional.is_empty()
    }
}

pub(super) async fn missing_modules(ctx: &StepContext<'_>, facts: &KernelFacts) -> Result<MissingModules, StepError> {
    let kernel = &ctx.settings.kernel;
    let Some(newest) = facts.installed.first().filter(|_| kernel.dkms) else {
        return Ok(MissingModules::default());
    };
    let is_optional = |module: &String| {
        let name = module.split('/').next().unwrap_or(module);
        kernel.optional_modules.iter().any(|optional| optional == name)
    };
    let modules = ctx.host.kernels.dkms().await?;
    let missing = missing_for(&modules, &newest.release);
    let (optional, required) = missing.into_iter().partition(is_optional);
    let is_on_trial = ctx.settings.verify.on_failure == OnFailure::PreviousKernel && newest.release != facts.running;
    let before = if is_on_trial { missing_for(&modules, &facts.running) } else { Vec::new() };
    let before: Vec<String> = before.into_iter().filter(|module| !is_optional(module)).collect();
    let in_kernel_before = (!before.is_empty()).then(|| before.join(", "));
    Ok(MissingModules { required, optional, in_kernel_before })
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
