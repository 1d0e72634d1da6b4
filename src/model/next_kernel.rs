//! The kernel of the next boot: one answer for the checks, the plan, the last look and the verification. Pure.

use std::cmp::Ordering;

use super::{
    BootSource, InstalledKernel, KernelFacts, KernelPlan, LoaderDefault, PackageAction, PackageChange, UpgradePlan,
    compare_releases, compare_versions, kernel_flavour, without_architecture,
};

/// The kernel of the next boot as the host is now. `tried` where the run itself has the boot loader start the newest one
/// once (`[verify] on-failure = "previous-kernel"`).
pub fn next_kernel(facts: &KernelFacts, tried: bool) -> KernelPlan {
    match &facts.boots {
        BootSource::Outside { why } => stays(facts, format!("it comes from outside: {why}")),
        BootSource::Loader(_) if tried => {
            let why = "the run has the boot loader start it once";
            newest_of_flavour(facts)
                .map_or_else(|| stays(facts, String::new()), |kernel| of_image(kernel, why.to_owned()))
        }
        BootSource::Loader(LoaderDefault { loader, starts: Some(entry), why, .. }) => KernelPlan {
            expected: entry.release.clone(),
            managed_here: true,
            version: entry.version.clone(),
            why: format!("{loader}: {why}"),
        },
        BootSource::Loader(LoaderDefault { loader, why, .. }) => stays(facts, format!("{loader} does not tell: {why}")),
        BootSource::Unknown => match newest_of_flavour(facts) {
            Some(kernel) => of_image(kernel, "no boot loader is known; it is the newest one in /boot".to_owned()),
            None => stays(facts, "it comes from outside: /boot holds no kernel".to_owned()),
        },
    }
}

/// The same after an upgrade.
pub fn next_kernel_after(facts: &KernelFacts, upgrade: &UpgradePlan, tried: bool) -> KernelPlan {
    let mut next = next_kernel(facts, tried);
    if !next.managed_here {
        return next;
    }
    let follows = match &facts.boots {
        BootSource::Loader(loader) => loader.follows_newest || tried,
        BootSource::Unknown => true,
        BootSource::Outside { .. } => false,
    };
    for (release, change) in images(upgrade) {
        let is_it = release == next.expected;
        let replaces =
            follows && compare_releases(release, &next.expected).is_gt() && takes(facts, &next, release, tried);
        if is_it || replaces {
            let why = if is_it { next.why } else { format!("the upgrade installs it; {}", next.why) };
            let version = change.to.clone();
            next = KernelPlan { expected: release.to_owned(), managed_here: true, version, why };
        }
    }
    next
}

/// GRUB orders by number and takes any flavour. Where nobody but us chooses, the flavour stays.
fn takes(facts: &KernelFacts, next: &KernelPlan, release: &str, tried: bool) -> bool {
    let ours = tried || facts.boots == BootSource::Unknown;
    !ours || kernel_flavour(release) == kernel_flavour(&next.expected)
}

/// The kernels whose images an upgrade brings: release and package.
pub fn images(upgrade: &UpgradePlan) -> impl Iterator<Item = (&str, &PackageChange)> {
    upgrade.changes.iter().filter(|change| change.action != PackageAction::Remove).filter_map(|change| {
        let name = without_architecture(&change.name).strip_prefix("linux-image-")?;
        let release = name.strip_prefix("unsigned-").unwrap_or(name);
        release.starts_with(|first: char| first.is_ascii_digit()).then_some((release, change))
    })
}

/// The newest kernel of the running one's flavour; where there is none, the newest of all.
pub fn newest_of_flavour(facts: &KernelFacts) -> Option<&InstalledKernel> {
    let flavour = kernel_flavour(&facts.running);
    let same = facts.installed.iter().find(|kernel| kernel_flavour(&kernel.release) == flavour);
    same.or(facts.installed.first())
}

fn of_image(kernel: &InstalledKernel, why: String) -> KernelPlan {
    KernelPlan { expected: kernel.release.clone(), managed_here: true, version: kernel.version.clone(), why }
}

fn stays(facts: &KernelFacts, why: String) -> KernelPlan {
    KernelPlan { expected: facts.running.clone(), managed_here: false, version: None, why }
}

/// How the kernel of a plan compares with the one that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelChange {
    /// The same, as far as it can be told, or another flavour of the same number.
    Same,
    Newer,
    /// The same release, built anew.
    Rebuilt,
    /// An older release, or an older build of the same.
    Older,
}

/// How the next kernel compares with the one that runs.
pub fn kernel_change(facts: &KernelFacts, next: &KernelPlan) -> KernelChange {
    if !next.managed_here {
        return KernelChange::Same;
    }
    if next.expected == facts.running {
        return match next.version.as_deref().map(|version| compare_builds(version, &facts.running_version)) {
            None | Some(None | Some(Ordering::Equal)) => KernelChange::Same,
            Some(Some(Ordering::Greater)) => KernelChange::Rebuilt,
            Some(Some(Ordering::Less)) => KernelChange::Older,
        };
    }
    match compare_releases(number(&next.expected), number(&facts.running)) {
        Ordering::Greater => KernelChange::Newer,
        Ordering::Less => KernelChange::Older,
        Ordering::Equal => KernelChange::Same,
    }
}

fn number(release: &str) -> &str {
    release.strip_suffix(kernel_flavour(release)).unwrap_or(release)
}

/// What keeps the next kernel from booting; nothing where it is whole, or not of this host.
pub fn next_kernel_problems(facts: &KernelFacts, next: &KernelPlan) -> Vec<String> {
    if !next.managed_here {
        return Vec::new();
    }
    let installed = facts.installed.iter().find(|kernel| kernel.release == next.expected);
    let of_image = installed.map(|kernel| kernel.problems(&facts.installed)).unwrap_or_default();
    let mut problems: Vec<String> = of_image.into_iter().map(str::to_owned).collect();
    if let BootSource::Loader(LoaderDefault { starts: Some(entry), .. }) = &facts.boots
        && entry.release == next.expected
    {
        problems.extend(entry.lacks.iter().cloned());
    }
    problems
}

/// The version as people say it, as in `6.1.153-1` of Debian's `#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1 (2025-09-20)`.
pub fn short_version(version: &str) -> &str {
    debian_version(version).unwrap_or_else(|| version.trim())
}

fn debian_version(version: &str) -> Option<&str> {
    version.split_once(" Debian ")?.1.split_whitespace().next()
}

/// The kernel keeps no more of `uname -v`.
const UTS_LENGTH: usize = 64;

/// Compares two builds of one release: each is `uname -v`, which begins with `#`, or the version of a package. None if the
/// two have nothing in common.
pub fn compare_builds(left: &str, right: &str) -> Option<Ordering> {
    let is_banner = |text: &str| text.starts_with('#');
    let version =
        |text: &'_ str| if is_banner(text) { debian_version(text).map(str::to_owned) } else { Some(text.to_owned()) };
    if left.is_empty() || right.is_empty() {
        return None;
    }
    let versions = version(left).zip(version(right));
    if let Some((left, right)) = &versions
        && left != right
    {
        return Some(compare_versions(left, right));
    }
    if is_banner(left) && is_banner(right) {
        let cut = |text: &str| text.trim().chars().take(UTS_LENGTH).collect::<String>();
        // Which of two builds without a version is newer cannot be told: what is on the disk came later.
        return Some(if cut(left) == cut(right) { Ordering::Equal } else { Ordering::Greater });
    }
    versions.map(|_| Ordering::Equal)
}

#[cfg(test)]
mod tests;
