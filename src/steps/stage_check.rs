//! The last look before the point of no return.

use super::{StepContext, StepEnd, StepError, StepResult, reboot_reasons};
use crate::config::RebootWhen;
use crate::model::{Baseline, Fact, InstalledKernel, KernelFacts, KernelPlan};

/// Without these the host may not boot, or nobody gets in.
const BOOT_CRITICAL: [&str; 14] = [
    "dbus",
    "grub-efi-amd64",
    "grub-pc",
    "ifupdown",
    "init",
    "initramfs-tools",
    "libpam-systemd",
    "netplan.io",
    "network-manager",
    "openssh-server",
    "systemd",
    "systemd-boot",
    "systemd-sysv",
    "udev",
];

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
    if let Some(newest) = facts.installed.first() {
        let problems = kernel_problems(newest, &facts.installed);
        if !problems.is_empty() {
            return Err(StepError::Failed(format!(
                "kernel {} would not boot: {}",
                newest.release,
                problems.join(", ")
            )));
        }
    }
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

fn reasons(ctx: &StepContext<'_>, facts: &KernelFacts) -> Vec<String> {
    let plan = ctx.run().upgrade.clone().unwrap_or_default();
    let mut reasons = reboot_reasons::expected_reboot_reasons(facts, &plan);
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

fn kernel_problems(newest: &InstalledKernel, all: &[InstalledKernel]) -> Vec<&'static str> {
    let others_have_initrd = all.iter().any(|kernel| kernel.initrd_bytes.is_some());
    let problems = [
        (newest.image_bytes == 0, "its image is empty"),
        (newest.initrd_bytes == Some(0), "its initrd is empty"),
        (newest.initrd_bytes.is_none() && others_have_initrd, "it has no initrd, other kernels do"),
        (!newest.has_modules, "it has no modules"),
    ];
    problems.into_iter().filter(|(is_problem, _)| *is_problem).map(|(_, problem)| problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_installed_kernel_is_seen() {
        let kernel = |image_bytes, initrd_bytes, has_modules| InstalledKernel {
            release: "6.1.0-42-amd64".into(),
            image_bytes,
            initrd_bytes,
            has_modules,
        };
        let good = kernel(8, Some(20), true);
        for (newest, others, problems) in [
            (good.clone(), vec![], 0),
            (kernel(8, None, true), vec![], 0),
            (kernel(8, None, true), vec![good.clone()], 1),
            (kernel(0, Some(20), true), vec![], 1),
            (kernel(8, Some(0), false), vec![], 2),
        ] {
            let all = [vec![newest.clone()], others].concat();
            assert_eq!(kernel_problems(&newest, &all).len(), problems, "{newest:?}");
        }
    }
}
