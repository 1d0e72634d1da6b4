//! Why a reboot is needed.

use crate::model::{KernelFacts, PackageAction, UpgradePlan, without_architecture};

/// Packages whose upgrade is in force only after a reboot: everything that runs uses them, or they cannot be restarted
/// safely. Names are matched as a whole, or up to a `*`.
const NEEDS_REBOOT: [&str; 13] = [
    "linux-image-*",
    "systemd",
    "libsystemd0",
    "dbus",
    "dbus-daemon",
    "libc6",
    "intel-microcode",
    "amd64-microcode",
    "libssl3*",
    "libssl1*",
    "openssl",
    "udev",
    "initramfs-tools",
];

/// Reasons that the kernel gives. On plain Debian nobody writes `/run/reboot-required`, so its absence proves nothing.
pub(super) fn of_kernel(facts: &KernelFacts) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(newest) = facts.installed.first().filter(|newest| newest.release != facts.running) {
        reasons.push(format!("kernel {} is installed, {} runs", newest.release, facts.running));
    }
    if let Some(packages) = &facts.reboot_required {
        let by = if packages.is_empty() { String::new() } else { format!(" (by {})", packages.join(", ")) };
        reasons.push(format!("/run/reboot-required is set{by}"));
    }
    reasons
}

/// Reasons that upgraded packages give.
pub(super) fn of_packages(plan: &UpgradePlan) -> Option<String> {
    let stays = plan.changes.iter().filter(|change| change.action != PackageAction::Remove);
    let core: Vec<&str> = stays.map(|change| change.name.as_str()).filter(|name| needs_reboot(name)).collect();
    (!core.is_empty()).then(|| format!("upgraded: {}", core.join(", ")))
}

/// Reasons as far as they are known before the upgrade; a kernel that it installs shows as a package.
pub fn expected_reboot_reasons(facts: &KernelFacts, plan: &UpgradePlan) -> Vec<String> {
    let mut reasons = of_kernel(facts);
    reasons.extend(of_packages(plan));
    reasons
}

fn needs_reboot(package: &str) -> bool {
    let name = without_architecture(package);
    NEEDS_REBOOT.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => name == *pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_packages_are_told_from_others() {
        for (package, expected) in [
            ("libc6", true),
            ("libc6:amd64", true),
            ("linux-image-6.1.0-42-amd64", true),
            ("libssl3", true),
            ("libssl3t64", true),
            ("libssl-dev", false),
            ("libc6-dev", false),
            ("tzdata", false),
        ] {
            assert_eq!(needs_reboot(package), expected, "{package}");
        }
    }
}
