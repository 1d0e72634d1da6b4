//! What a boot owes: foreseen before packages are touched, and looked for afterwards. Both are recorded, so that no end
//! of a run forgets it.

use std::collections::BTreeMap;

use super::{RecordError, StepContext};
use crate::config::Settings;
use crate::host::{Host, HostError};
use crate::model::{
    BootReason, Fact, KernelChange, KernelFacts, KernelPlan, Owed, PackageAction, PackageChange, Recovery, Run,
    UpgradePlan, after_a_look, kernel_change, next_kernel, next_kernel_after, next_kernel_problems, reasons_in_words,
    short_version, without_architecture,
};
use crate::verify::old_code;

/// Packages that nearly everything maps: a look at what runs tells whether anything still runs what they replaced.
/// Names are matched as a whole, or up to a `*`.
const MAPPED_BY_ALL: [&str; 9] =
    ["systemd", "libsystemd0", "dbus", "dbus-daemon", "libc6", "libssl3*", "libssl1*", "openssl", "udev"];

/// Packages that the kernel or the initrd reads at a boot: no look at what runs tells of them. Of kernels what starts the
/// host tells: not each that is installed is started.
const READ_AT_BOOT: [&str; 3] = ["intel-microcode", "amd64-microcode", "initramfs-tools"];

/// Reasons that the kernel gives: the next boot would bring a newer one, or another build of the same. Nobody reboots for a
/// file that would not be started, or would not boot. On plain Debian nobody writes `/run/reboot-required`, so its absence
/// proves nothing. `tried` where the run has the boot loader try the newest kernel.
pub(super) fn of_kernel(facts: &KernelFacts, tried: bool) -> Vec<BootReason> {
    let next = next_kernel(facts, tried);
    let boots = next_kernel_problems(facts, &next).is_empty();
    let kernel = boots.then(|| newer(facts, &next, false)).flatten();
    let flag = facts.reboot_required.as_ref().map(|packages| BootReason::RebootRequired { packages: packages.clone() });
    kernel.into_iter().chain(flag).collect()
}

fn newer(facts: &KernelFacts, next: &KernelPlan, comes: bool) -> Option<BootReason> {
    let release = next.expected.clone();
    match kernel_change(facts, next) {
        KernelChange::Newer => {
            Some(BootReason::Kernel { release, running: facts.running.clone(), version: None, comes })
        }
        KernelChange::Rebuilt => {
            let version = next.version.as_deref().map(|version| short_version(version).to_owned());
            let running = short_version(&facts.running_version).to_owned();
            Some(BootReason::Kernel { release, running, version, comes })
        }
        KernelChange::Same | KernelChange::Older => None,
    }
}

/// What the plan's packages will owe, by their names: a forecast.
pub(super) fn of_packages(plan: &UpgradePlan) -> Vec<BootReason> {
    plan.changes.iter().filter(|change| change.action != PackageAction::Remove).filter_map(of_package).collect()
}

fn of_package(change: &PackageChange) -> Option<BootReason> {
    let name = without_architecture(&change.name);
    let is_of = |patterns: &[&str]| {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(stem) => name.starts_with(stem),
            None => name == *pattern,
        })
    };
    let (package, from) = (change.name.clone(), change.from.clone());
    if is_of(&READ_AT_BOOT) {
        return Some(BootReason::ReadAtBoot { package, from });
    }
    is_of(&MAPPED_BY_ALL).then_some(BootReason::Upgraded { package, from })
}

/// Reasons as far as they are known before the upgrade.
pub fn expected_boot_reasons(facts: &KernelFacts, owed: &[Owed], plan: &UpgradePlan, tried: bool) -> Vec<BootReason> {
    let after = next_kernel_after(facts, plan, tried);
    let is_new = after != next_kernel(facts, tried);
    let comes = is_new.then(|| newer(facts, &after, true)).flatten();
    all_of(of_kernel(facts, tried).into_iter().chain(comes).collect(), owed, plan)
}

/// What owes a boot after the upgrade: its kernel is one of those that are installed now, or is none.
pub(super) fn of_boot(facts: &KernelFacts, owed: &[Owed], tried: bool) -> Vec<BootReason> {
    all_of(of_kernel(facts, tried), owed, &UpgradePlan::default())
}

/// The same in words.
pub(super) fn reboot_reasons(facts: &KernelFacts, owed: &[Owed], tried: bool) -> Vec<String> {
    reasons_in_words(&of_boot(facts, owed, tried))
}

fn all_of(mut reasons: Vec<BootReason>, owed: &[Owed], plan: &UpgradePlan) -> Vec<BootReason> {
    for reason in owed.iter().map(|owed| owed.reason.clone()).chain(of_packages(plan)) {
        let is_new = |reason: &BootReason| !reasons.contains(reason);
        if reason.asks_for_reboot() && is_new(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// Whether a boot is owed for what no look at processes can tell.
pub(super) fn is_owed_whatever_runs(facts: &KernelFacts, owed: &[Owed], tried: bool) -> bool {
    !of_kernel(facts, tried).is_empty() || owed.iter().any(|owed| !owed.reason.shows_in_what_runs())
}

/// Records what the plan will owe, before the first package is touched: whatever becomes of the upgrade, nothing of it is
/// forgotten.
pub(super) fn foresee(ctx: &mut StepContext<'_>, plan: &UpgradePlan) -> Result<(), RecordError> {
    let now = ctx.host.clock.now();
    let mut owed = ctx.run().owed.clone();
    for reason in of_packages(plan) {
        if owed.iter().all(|known| known.reason != reason) {
            owed.push(Owed { since: now, reason });
        }
    }
    record(ctx, owed)
}

/// Looks what runs, and records what is owed for it. `stops` says that the run has yet to stop and start its services.
pub(super) async fn look(ctx: &mut StepContext<'_>, stops: bool) -> Result<(), RecordError> {
    let run = ctx.run();
    let (owed, failed) = after(ctx.host, ctx.settings, &run.owed, &run.restarts, stops).await;
    if let Some(error) = failed {
        ctx.note(format!("what an upgrade has left running is unknown: {error}"));
    }
    record(ctx, owed)
}

/// What is owed after a look at what runs and at what is installed.
pub(super) async fn seen(host: &Host, settings: &Settings, run: &Run, stops: bool) -> Vec<Owed> {
    after(host, settings, &run.owed, &run.restarts, stops).await.0
}

/// What is owed without a run, before one stops its services.
pub async fn owed_now(host: &Host, settings: &Settings, known: &[Owed]) -> Vec<Owed> {
    after(host, settings, known, &[], false).await.0
}

/// Where the look failed, what is known stays owed, and the error says why.
async fn after(
    host: &Host,
    settings: &Settings,
    known: &[Owed],
    tried: &[Recovery],
    stops: bool,
) -> (Vec<Owed>, Option<HostError>) {
    let (seen, failed) = match old_code::look(host, settings, tried).await {
        Ok(seen) => (Some(seen.reasons(settings, stops)), None),
        Err(error) => (None, Some(error)),
    };
    let mut owed = after_a_look(known, seen.as_deref(), host.clock.now());
    if owed.iter().any(|owed| matches!(owed.reason, BootReason::ReadAtBoot { .. }))
        && let Ok(installed) = host.packages.installed().await
    {
        owed.retain(|owed| !is_not_upgraded(&owed.reason, &installed));
    }
    (owed, failed)
}

/// The upgrade that was to bring it has not: the boot has read what is installed.
fn is_not_upgraded(reason: &BootReason, installed: &BTreeMap<String, String>) -> bool {
    matches!(reason, BootReason::ReadAtBoot { package, from } if installed.get(package) == from.as_ref())
}

/// Records what is owed, where that is another than what is on record.
pub(super) fn record(ctx: &mut StepContext<'_>, owed: Vec<Owed>) -> Result<(), RecordError> {
    if owed == ctx.run().owed {
        return Ok(());
    }
    ctx.recorder.record(Fact::BootOwes(owed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_packages_are_told_from_others() {
        for (package, expected) in [
            ("libc6", "upgraded"),
            ("libc6:amd64", "upgraded"),
            ("linux-image-6.1.0-42-amd64", ""),
            ("intel-microcode", "read-at-boot"),
            ("libssl3", "upgraded"),
            ("libssl3t64", "upgraded"),
            ("libssl-dev", ""),
            ("libc6-dev", ""),
            ("tzdata", ""),
        ] {
            let change = PackageChange {
                name: package.into(),
                action: PackageAction::Upgrade,
                from: Some("1".into()),
                to: Some("2".into()),
                origin: None,
            };
            let reason = of_package(&change).map(|reason| serde_json::to_value(reason).unwrap());
            let reason = reason.as_ref().map_or("", |reason| reason["kind"].as_str().unwrap());
            assert_eq!(reason, expected, "{package}");
        }
    }
}
