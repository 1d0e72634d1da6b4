//! The last look before the point of no return.

use super::{StepContext, StepEnd, StepError, StepResult, owed};
use crate::checks::BOOT_CRITICAL;
use crate::config::RebootWhen;
use crate::model::{Baseline, Fact, KernelFacts, KernelPlan};

/// The check that looks for the same before a run.
const BOOT_LOADER: &str = "boot-loader";

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let packages = ctx.host.packages.state().await?;
    if !packages.is_clean() {
        let interrupted = if packages.interrupted { " (dpkg was interrupted)" } else { "" };
        return Err(StepError::Failed(format!("dpkg is not clean: {}{interrupted}", packages.broken.join(", "))));
    }
    let installed = ctx.host.packages.installed().await?;
    if let Some(baseline) = &ctx.run().baseline {
        let gone = critical_gone(baseline, |name| installed.contains_key(name));
        if !gone.is_empty() {
            return Err(StepError::Failed(format!("no longer installed: {}", gone.join(", "))));
        }
    }

    let facts = ctx.host.kernels.facts().await?;
    if let Some(source) = &ctx.settings.kernel.source {
        let built = ctx.host.kernel_builds.built(source).await?.release;
        let newest = facts.installed.first().map_or("none", |kernel| kernel.release.as_str());
        if newest != built {
            return Err(StepError::Failed(format!(
                "kernel {built} was built, but the boot loader would take the newest one, which is {newest}"
            )));
        }
    }
    if let Some(newest) = facts.installed.first() {
        let problems = newest.problems(&facts.installed);
        if !problems.is_empty() {
            return Err(StepError::Failed(format!(
                "kernel {} would not boot: {}",
                newest.release,
                problems.join(", ")
            )));
        }
    }
    refuse_kernel_without_entry(ctx, &facts).await?;
    let expected = expectation(&facts);
    ctx.recorder.record(Fact::KernelExpected(expected.clone()))?;

    let reasons = reasons(ctx, &facts);
    ctx.recorder.record(Fact::RebootWanted(reasons.clone()))?;
    let note = match reasons.as_slice() {
        [] => "no reboot is needed".into(),
        reasons => format!("kernel {} expected; {}", expected.expected, reasons.join("; ")),
    };
    Ok(StepEnd::Succeeded(Some(note)))
}

/// The boot loader would start another kernel, and the verification would fail for it.
async fn refuse_kernel_without_entry(ctx: &StepContext<'_>, facts: &KernelFacts) -> Result<(), StepError> {
    let Some(newest) = facts.installed.first().filter(|newest| newest.release != facts.running) else { return Ok(()) };
    let Some(entries) = ctx.host.kernels.boot_survey().await?.entries else { return Ok(()) };
    if entries.releases.contains(&newest.release) {
        return Ok(());
    }
    let problem = format!("{} has no entry for kernel {}", entries.loader, newest.release);
    let allowed = |labels: &[String]| labels.iter().any(|label| label == BOOT_LOADER);
    if allowed(&ctx.settings.allowed_checks) || allowed(&ctx.run().options.allowed_checks) {
        ctx.note(format!("{problem}; {BOOT_LOADER} is allowed"));
        return Ok(());
    }
    Err(StepError::Failed(format!(
        "{problem}; write its entries anew, or where something else starts this host: --allow {BOOT_LOADER}"
    )))
}

fn reasons(ctx: &StepContext<'_>, facts: &KernelFacts) -> Vec<String> {
    let plan = ctx.run().upgrade.clone().unwrap_or_default();
    let mut reasons = owed::expected_reboot_reasons(facts, &ctx.run().owed, &plan);
    if reasons.is_empty() && ctx.settings.reboot.when == RebootWhen::Always && !plan.is_empty() {
        reasons.push("[reboot] when = \"always\"".into());
    }
    reasons
}

fn expectation(facts: &KernelFacts) -> KernelPlan {
    match facts.installed.first() {
        Some(newest) => KernelPlan { expected: newest.release.clone(), managed_here: true },
        None => KernelPlan { expected: facts.running.clone(), managed_here: false },
    }
}

fn critical_gone(baseline: &Baseline, is_installed: impl Fn(&str) -> bool) -> Vec<&str> {
    let before = baseline.packages.keys().map(String::as_str);
    before.filter(|name| BOOT_CRITICAL.contains(name) && !is_installed(name)).collect()
}
