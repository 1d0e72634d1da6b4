//! The last look before the point of no return.

use super::{StepContext, StepEnd, StepError, StepResult, held_down, owed, package_locks};
use crate::checks::BOOT_CRITICAL;
use crate::config::RebootWhen;
use crate::model::{
    Baseline, BootSource, Fact, InstalledKernel, KernelChange, KernelFacts, KernelPlan, Step, compare_releases,
    kernel_change, newest_of_flavour, next_kernel, next_kernel_problems,
};

/// The checks that look for the same before a run.
const BOOT_LOADER: &str = "boot-loader";
const NEXT_KERNEL: &str = "next-kernel";
const KERNEL_COMPLETE: &str = "kernel-complete";

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    // What is looked at must not change before the reboot.
    if ctx.may_reboot() {
        package_locks::prove_clean(ctx, Step::StageCheck).await?;
    } else {
        package_locks::refuse_unclean(ctx).await?;
    }
    let installed = ctx.host.packages.installed().await?;
    if let Some(baseline) = &ctx.run().baseline {
        let gone = critical_gone(baseline, |name| installed.contains_key(name));
        if !gone.is_empty() {
            return Err(StepError::Failed(format!("no longer installed: {}", gone.join(", "))));
        }
    }

    held_down::prove(ctx).await?;
    held_down::record_failed(ctx).await?;

    let facts = ctx.host.kernels.facts().await?;
    let next = next_kernel(&facts, ctx.settings.tries_kernels());
    if let Some(source) = &ctx.settings.kernel.source {
        let built = ctx.host.kernels.built(source).await?.release;
        if next.expected != built {
            let (next, why) = (&next.expected, &next.why);
            return Err(StepError::Failed(format!("kernel {built} was built, but {next} would be started: {why}")));
        }
    }
    let mut problems = next_kernel_problems(&facts, &next);
    if let Some(baseline) = &ctx.run().baseline {
        let known = known_problems(&facts, &baseline.kernel, &next.expected, is_allowed(ctx, KERNEL_COMPLETE));
        problems.retain(|problem| !known.contains(&problem.as_str()));
    }
    if !problems.is_empty() {
        let problems = problems.join(", ");
        return Err(StepError::Failed(format!("kernel {} would not boot: {problems}", next.expected)));
    }
    refuse_kernel_without_entry(ctx, &facts).await?;
    ctx.recorder.record(Fact::KernelExpected(next.clone()))?;

    // Names forecast. Where no other reason has decided already, what runs does.
    if !owed::is_owed_whatever_runs(&facts, &ctx.run().owed, ctx.settings.tries_kernels()) {
        owed::look(ctx, true).await?;
    }
    let reasons = reasons(ctx, &facts);
    if !reasons.is_empty() {
        refuse_older_kernel(ctx, &facts, &next)?;
    }
    ctx.recorder.record(Fact::RebootWanted(reasons.clone()))?;
    package_locks::keep_for_reboot_only(ctx).await?;
    let note = match reasons.as_slice() {
        [] => "no reboot is needed".into(),
        reasons => format!("kernel {} expected; {}", next.expected, reasons.join("; ")),
    };
    Ok(StepEnd::Succeeded(Some(note)))
}

/// What is no new problem of a kernel whose files the run did not change. Whether an initrd is needed is told by the other
/// kernels, and one that came with the run says nothing of one that never had any. `allowed` where the admin knows.
fn known_problems(facts: &KernelFacts, before: &KernelFacts, release: &str, allowed: bool) -> Vec<&'static str> {
    let Some(kernel) = facts.installed.iter().find(|kernel| kernel.release == release) else { return Vec::new() };
    let was_found_good =
        before.installed.contains(kernel) && (allowed || kernel.problems(&before.installed).is_empty());
    if was_found_good { kernel.problems(&facts.installed) } else { Vec::new() }
}

/// A reboot for something else would bring an older kernel, as where the package of the running one was removed.
fn refuse_older_kernel(ctx: &StepContext<'_>, facts: &KernelFacts, next: &KernelPlan) -> Result<(), StepError> {
    if kernel_change(facts, next) != KernelChange::Older || !ctx.may_reboot() {
        return Ok(());
    }
    let problem =
        format!("the reboot would bring the older kernel {}, {} runs ({})", next.expected, facts.running, next.why);
    if is_allowed(ctx, NEXT_KERNEL) {
        ctx.note(format!("{problem}; {NEXT_KERNEL} is allowed"));
        return Ok(());
    }
    Err(StepError::Failed(format!("{problem}; install that one again, or --allow {NEXT_KERNEL}")))
}

fn is_allowed(ctx: &StepContext<'_>, check: &str) -> bool {
    let allowed = |labels: &[String]| labels.iter().any(|label| label == check);
    allowed(&ctx.settings.allowed_checks) || allowed(&ctx.run().options.allowed_checks)
}

/// The boot loader would start another kernel, and the verification would fail for it.
async fn refuse_kernel_without_entry(ctx: &StepContext<'_>, facts: &KernelFacts) -> Result<(), StepError> {
    let is_newer = |newest: &&InstalledKernel| compare_releases(&newest.release, &facts.running).is_gt();
    let Some(newest) = newest_of_flavour(facts).filter(is_newer) else { return Ok(()) };
    if matches!(facts.boots, BootSource::Outside { .. }) {
        return Ok(());
    }
    let Some(entries) = ctx.host.kernels.boot_survey().await?.entries else { return Ok(()) };
    if entries.releases.contains(&newest.release) {
        return Ok(());
    }
    let problem = format!("{} has no entry for kernel {}", entries.loader, newest.release);
    if is_allowed(ctx, BOOT_LOADER) {
        ctx.note(format!("{problem}; {BOOT_LOADER} is allowed"));
        return Ok(());
    }
    Err(StepError::Failed(format!(
        "{problem}; write its entries anew, or where something else starts this host: --allow {BOOT_LOADER}"
    )))
}

fn reasons(ctx: &StepContext<'_>, facts: &KernelFacts) -> Vec<String> {
    let plan = ctx.run().upgrade.clone().unwrap_or_default();
    let mut reasons = owed::reboot_reasons(facts, &ctx.run().owed, ctx.settings.tries_kernels());
    if reasons.is_empty() && ctx.settings.reboot.when == RebootWhen::Always && !plan.is_empty() {
        reasons.push("[reboot] when = \"always\"".into());
    }
    reasons
}

fn critical_gone(baseline: &Baseline, is_installed: impl Fn(&str) -> bool) -> Vec<&str> {
    let before = baseline.packages.keys().map(String::as_str);
    before.filter(|name| BOOT_CRITICAL.contains(name) && !is_installed(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(release: &str, initrd_bytes: Option<u64>) -> InstalledKernel {
        InstalledKernel { release: release.into(), version: None, image_bytes: 1, initrd_bytes, has_modules: true }
    }

    #[test]
    fn a_kernel_that_never_had_an_initrd_needs_none_for_another_that_comes() {
        const NONE: &[&str] = &[];
        const KNOWN: &[&str] = &["it has no initrd, other kernels do"];
        let facts =
            |installed: &[InstalledKernel]| KernelFacts { installed: installed.into(), ..KernelFacts::default() };
        let (own, other) = (kernel("6.18.1-own", None), kernel("6.1.0-1-amd64", Some(1)));
        let both = facts(&[own.clone(), other.clone()]);
        for (what, before, allowed, known) in [
            ("the other one came", facts(std::slice::from_ref(&own)), false, KNOWN),
            ("both were there", both.clone(), false, NONE),
            ("both were there, and the admin knows", both.clone(), true, KNOWN),
            ("its initrd is gone", facts(&[kernel("6.18.1-own", Some(1))]), true, NONE),
            ("it came with the run", facts(&[other]), true, NONE),
        ] {
            assert_eq!(known_problems(&both, &before, "6.18.1-own", allowed), known, "{what}");
        }
    }
}
