//! The kernel: which one, how it was started, what it has loaded, and how it is set.

use std::cmp::Ordering;

use super::{Between, Difference, Now, both, known};
use crate::model::{
    Baseline, Finding, FindingKey, Inventory, KernelFacts, KernelPlan, Severity, compare_builds, short_version,
};

/// Words of the command line that name the kernel's own files.
const FILES_OF_THE_KERNEL: [&str; 2] = ["BOOT_IMAGE=", "initrd="];

pub(super) fn compare(before: &Baseline, now: &Now, between: &Between<'_>, differences: &mut Vec<Difference>) {
    if let Some(kernel) = known("the kernel", FindingKey::KernelRelease, &now.kernel, differences) {
        release(kernel, between, differences);
        vulnerabilities(&before.kernel, kernel, differences);
    }
    let is_new = now.kernel.known().is_some_and(|kernel| is_another(&before.kernel, kernel));
    if let Some(inventory) = &before.inventory {
        command_line(inventory, &now.inventory, differences);
        modules(inventory, &now.inventory, differences);
        sysctl(inventory, &now.inventory, is_new, differences);
    }
}

fn release(kernel: &KernelFacts, between: &Between<'_>, differences: &mut Vec<Difference>) {
    let wrong = between.kernel.filter(|plan| plan.managed_here && plan.expected != kernel.running);
    // Without a reboot the old kernel still runs; that is said as a reboot that is still needed.
    if let Some(plan) = wrong.filter(|_| between.rebooted && !between.fell_back) {
        let title = format!("kernel {} runs, {} was expected", kernel.running, plan.expected);
        let hint = "see which entry the boot loader takes, then reboot into the expected kernel";
        let finding = Finding::new(FindingKey::KernelRelease, Severity::Blocker, title).about("kernel");
        differences.push(finding.remedy(hint, "update-grub").into());
    }
    if let Some(plan) = between.kernel.filter(|_| between.rebooted && !between.fell_back) {
        build(kernel, plan, differences);
    }
    if !between.rebooted && !between.reboot_reasons.is_empty() {
        let mut finding =
            Finding::new(FindingKey::RebootPending, Severity::Info, "a reboot is still needed").about("kernel");
        finding.evidence = between.reboot_reasons.to_vec();
        differences.push(finding.remedy("reboot at the next opportunity", "patchday run").into());
    }
    if let Some(packages) = kernel.reboot_required.as_ref().filter(|_| between.rebooted) {
        let title = "a reboot is asked for again, after the reboot";
        let mut finding =
            Finding::new(FindingKey::RebootRequired, Severity::Warning, title).about("/run/reboot-required");
        finding.evidence.clone_from(packages);
        differences.push(finding.remedy("see who asks", "cat /run/reboot-required.pkgs").into());
    }
}

/// The release is the one that was expected: it may still be another build of it, where the boot loader starts a copy that
/// nobody has renewed.
fn build(kernel: &KernelFacts, plan: &KernelPlan, differences: &mut Vec<Difference>) {
    let Some(expected) = plan.version.as_deref().filter(|_| plan.managed_here && plan.expected == kernel.running)
    else {
        return;
    };
    if !compare_builds(expected, &kernel.running_version).is_some_and(Ordering::is_ne) {
        return;
    }
    let (runs, expected) = (short_version(&kernel.running_version), short_version(expected));
    let title = format!("kernel {} runs as {runs}, {expected} was expected", kernel.running);
    let hint = "the boot loader starts an old copy of it; see where its entry takes the image from";
    let finding = Finding::new(FindingKey::KernelRelease, Severity::Blocker, title).about("kernel").evidence(&plan.why);
    differences.push(finding.remedy(hint, "cat /proc/cmdline /proc/version").into());
}

fn is_safe(state: &str) -> bool {
    state == "Not affected" || state.starts_with("Mitigation")
}

fn vulnerabilities(before: &KernelFacts, now: &KernelFacts, differences: &mut Vec<Difference>) {
    for vulnerability in &now.vulnerabilities {
        let name = &vulnerability.name;
        let old = before.vulnerabilities.iter().find(|old| old.name == *name);
        match old {
            Some(old) if old.state == vulnerability.state => {}
            Some(old) if is_safe(&old.state) && !is_safe(&vulnerability.state) => {
                let title = format!("the CPU is no longer protected against {name}: {}", vulnerability.state);
                let finding = Finding::new(FindingKey::CpuVulnerable, Severity::Warning, title).about(name);
                let finding = finding.evidence(format!("before: {}", old.state));
                let hint = "look for mitigations= on the kernel's command line, and for the microcode package";
                differences.push(finding.remedy(hint, "cat /proc/cmdline").into());
            }
            Some(_) => differences.push(Difference::expected(
                format!("{name}: {}", vulnerability.state),
                "another kernel or microcode protects in another way",
            )),
            None => differences.push(Difference::expected(
                format!("{name}: {}", vulnerability.state),
                "this kernel tells of more vulnerabilities than the one before",
            )),
        }
    }
}

fn command_line(before: &Inventory, now: &Inventory, differences: &mut Vec<Difference>) {
    let lines = both(
        "the kernel's command line",
        FindingKey::CommandLine,
        &before.command_line,
        &now.command_line,
        differences,
    );
    let Some((old, new)) = lines else { return };
    let names_files = |word: &&str| FILES_OF_THE_KERNEL.iter().any(|start| word.starts_with(start));
    let only_in = |one: &str, other: &str| -> Vec<String> {
        one.split_whitespace()
            .filter(|word| !names_files(word) && !other.split_whitespace().any(|known| known == *word))
            .map(str::to_owned)
            .collect()
    };
    let (gone, came) = (only_in(old, new), only_in(new, old));
    if gone.is_empty() && came.is_empty() {
        if old != new {
            differences.push(Difference::expected("BOOT_IMAGE= and initrd= differ", "another kernel has other files"));
        }
        return;
    }
    let mut finding =
        Finding::new(FindingKey::CommandLine, Severity::Warning, "the kernel was started with another command line");
    finding.evidence.extend((!gone.is_empty()).then(|| format!("gone: {}", gone.join(" "))));
    finding.evidence.extend((!came.is_empty()).then(|| format!("new: {}", came.join(" "))));
    let hint = "see GRUB_CMDLINE_LINUX in /etc/default/grub";
    differences.push(finding.about("/proc/cmdline").remedy(hint, "cat /proc/cmdline").into());
}

/// Only those that a file asks for matter: all others are loaded when hardware or a program needs them.
fn modules(before: &Inventory, now: &Inventory, differences: &mut Vec<Difference>) {
    let modules = both("kernel modules", FindingKey::ModuleMissing, &before.modules, &now.modules, differences);
    let Some((before, now)) = modules else { return };
    let gone: Vec<&String> = before.loaded.difference(&now.loaded).collect();
    for name in gone.iter().filter(|name| before.wanted.contains(**name)) {
        let title = format!("the kernel module {name} is not loaded");
        let finding = Finding::new(FindingKey::ModuleMissing, Severity::Warning, title).about(*name);
        differences.push(finding.remedy("see why it cannot be loaded", format!("modprobe -v {name}")).into());
    }
    let passing: Vec<&str> =
        gone.iter().filter(|name| !before.wanted.contains(**name)).map(|name| name.as_str()).collect();
    if !passing.is_empty() {
        let what = format!("modules that are not loaded: {}", passing.join(", "));
        differences.push(Difference::expected(what, "no file asks for them: they are loaded when they are needed"));
    }
}

/// Of another release, or built anew under the same one.
fn is_another(before: &KernelFacts, now: &KernelFacts) -> bool {
    let are_told = !before.running_version.is_empty() && !now.running_version.is_empty();
    before.running != now.running || (are_told && before.running_version != now.running_version)
}

/// What the kernel computes of the memory that a boot has left it, which is never twice the same.
const OF_THE_MEMORY: [&str; 1] = ["fs.inotify.max_user_watches"];

/// How far, in percent, two boots of one machine may be apart.
const BETWEEN_BOOTS: u64 = 2;

fn is_of_the_memory(name: &str, before: &str, now: &str) -> bool {
    let (Ok(before), Ok(now)) = (before.parse::<u64>(), now.parse::<u64>()) else { return false };
    OF_THE_MEMORY.contains(&name) && before.abs_diff(now).saturating_mul(100) <= before.saturating_mul(BETWEEN_BOOTS)
}

fn sysctl(before: &Inventory, now: &Inventory, new_kernel: bool, differences: &mut Vec<Difference>) {
    let settings = both("kernel settings", FindingKey::Sysctl, &before.sysctl, &now.sysctl, differences);
    let Some((old, new)) = settings else { return };
    for (name, value) in &old.values {
        let seen = new.values.get(name);
        if seen == Some(value) {
            continue;
        }
        let now = seen.map_or("not there", String::as_str);
        let what = format!("{name} is {now}; it was {value}");
        if new_kernel && !old.configured.contains(name) {
            differences.push(Difference::expected(what, "no file sets it, and another kernel has another default"));
            continue;
        }
        if !old.configured.contains(name) && is_of_the_memory(name, value, now) {
            differences.push(Difference::expected(what, "no file sets it, and each boot computes it of its memory"));
            continue;
        }
        let finding = Finding::new(FindingKey::Sysctl, Severity::Warning, what).about(name);
        let hint = "set it in a file below /etc/sysctl.d, so that every boot sets it";
        differences.push(
            finding.remedy(hint, format!("grep -rs {name} /etc/sysctl.conf /etc/sysctl.d /usr/lib/sysctl.d")).into(),
        );
    }
}
