//! DKMS modules for the kernel of the next boot.

use super::task::{self, Task};
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult};
use crate::model::{Course, DkmsModule, KernelFacts, Step, missing_modules as missing_of, next_kernel};

const NAME: &str = "build-kernel";

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let facts = ctx.host.kernels.facts().await?;
    let missing = missing_modules(ctx, &facts).await?;
    let is_due = !missing.is_empty() || work::has_begun(ctx, NAME).await?;
    if let Some(lacks) = &missing.in_kernel_before {
        ctx.note(format!("kernel {}, to which a failed trial goes back, lacks {lacks}", facts.running));
    }
    if !is_due {
        return Ok(StepEnd::Skipped("no module to build".into()));
    }
    let release = &next_kernel(&facts, ctx.settings.tries_kernels()).expected;
    let modules: Vec<String> = missing.required.iter().chain(&missing.optional).cloned().collect();
    let work = Work {
        step: Step::BuildKernel,
        name: NAME,
        description: format!("Patchday: modules for {release}"),
        task: Task::Dkms { release: release.clone(), modules },
        course: Course::counted((0.0, 1.0)),
    };
    let outcome = work::run_to_end(ctx, work).await?;
    // How it ends says little: it fails for any module, one that is optional among them.
    let left = missing_modules(ctx, &facts).await?;
    if !left.required.is_empty() {
        let (names, words) = (left.required.join(", "), task::words(ctx, NAME).await);
        return Err(StepError::Failed(format!("not built for {release}: {names}{words}")));
    }
    if !outcome.succeeded() && left.optional.is_empty() {
        return Err(work::failure(ctx, NAME, &outcome).await);
    }
    if !left.optional.is_empty() {
        let (names, words) = (left.optional.join(", "), task::words(ctx, NAME).await);
        ctx.note(format!("not built for {release}, and optional: {names}{words}"));
    }
    let built = missing.required.iter().chain(&missing.optional).filter(|module| !left.optional.contains(module));
    let built: Vec<&str> = built.map(String::as_str).collect();
    Ok(StepEnd::Succeeded((!built.is_empty()).then(|| format!("{} for {release}", built.join(", ")))))
}

/// Modules that the kernel before has, and that the next one lacks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MissingModules {
    /// The next boot needs them.
    pub(super) required: Vec<String>,
    /// It can do without.
    optional: Vec<String>,
    /// What the kernel before has lost since the run began, where the next boot may be one into that.
    in_kernel_before: Option<String>,
}

impl MissingModules {
    fn is_empty(&self) -> bool {
        self.required.is_empty() && self.optional.is_empty()
    }
}

pub(super) async fn missing_modules(ctx: &StepContext<'_>, facts: &KernelFacts) -> Result<MissingModules, StepError> {
    let kernel = &ctx.settings.kernel;
    if !kernel.dkms {
        return Ok(MissingModules::default());
    }
    let next = next_kernel(facts, ctx.settings.tries_kernels()).expected;
    let is_optional = |module: &String| kernel.can_do_without(module);
    let now = ctx.host.kernels.dkms().await?;
    let had = ctx.run().baseline.as_ref().and_then(|baseline| baseline.dkms.as_ref()).unwrap_or(&now);
    let missing = missing_of(had, &now, &facts.running, &next);
    let (optional, required) = missing.into_iter().partition(is_optional);
    let is_on_trial = ctx.settings.tries_kernels() && next != facts.running;
    let in_kernel_before = is_on_trial.then(|| lost(had, &now, &facts.running, is_optional)).flatten();
    Ok(MissingModules { required, optional, in_kernel_before })
}

fn lost(
    had: &[DkmsModule],
    now: &[DkmsModule],
    running: &str,
    is_optional: impl Fn(&String) -> bool,
) -> Option<String> {
    let lost: Vec<String> =
        missing_of(had, now, running, running).into_iter().filter(|module| !is_optional(module)).collect();
    (!lost.is_empty()).then(|| lost.join(", "))
}
