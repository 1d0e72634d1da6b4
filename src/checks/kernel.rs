//! The kernel that runs, the one that will, and what boots it.

use std::collections::BTreeSet;

use super::{CheckInputs, check};
use crate::config::OnFailure;
use crate::host::HostResult;
use crate::model::{
    BootSource, BootSurvey, KernelChange, KernelFacts, KernelPlan, Severity, UpgradePlan, compare_releases, images,
    kernel_change, kernel_flavour, missing_modules, newest_of_flavour, next_kernel, next_kernel_after,
    next_kernel_problems, short_version,
};

/// After this a reboot finds what nobody remembers to have changed.
const LONG_UPTIME_DAYS: i64 = 90;

/// The kernel of the next boot: as the host is, and after the upgrade.
fn next_kernels(inputs: &CheckInputs<'_>, facts: &KernelFacts, plan: &UpgradePlan) -> (KernelPlan, KernelPlan) {
    let tried = inputs.settings.tries_kernels();
    (next_kernel(facts, tried), next_kernel_after(facts, plan, tried))
}

/// As in `6.1.0-56-amd64 (6.1.193-1)`.
fn named(kernel: &KernelPlan) -> String {
    match &kernel.version {
        Some(version) => format!("{} ({})", kernel.expected, short_version(version)),
        None => kernel.expected.clone(),
    }
}

async fn boot<'a>(inputs: &'a CheckInputs<'_>) -> HostResult<(&'a KernelFacts, &'a BootSurvey)> {
    Ok((inputs.kernels().await?, inputs.boot().await?))
}

check!(
    KERNEL_CURRENT,
    Kernel,
    "kernel-current",
    Info,
    120,
    "the newest kernel runs, and the upgrade brings none",
    "Tells which kernel the reboot is for. Compared by number and within one flavour, as in cloud-amd64.",
    |check, inputs| {
        let (facts, plan) = (inputs.kernels().await?, inputs.upgrade().await?);
        let (now, after) = next_kernels(inputs, facts, plan);
        let is_newer =
            |kernel: &KernelPlan| matches!(kernel_change(facts, kernel), KernelChange::Newer | KernelChange::Rebuilt);
        let installed = Some(&now).filter(|now| is_newer(now)).map(|kernel| (kernel, "installed"));
        let comes = Some(&after).filter(|after| **after != now && is_newer(after));
        let comes = comes.map(|kernel| (kernel, "to be installed"));
        let lines: Vec<String> = [installed, comes]
            .into_iter()
            .flatten()
            .map(|(kernel, what)| format!("{}: {what}; {}", named(kernel), kernel.why))
            .collect();
        let running = format!("{} ({})", facts.running, short_version(&facts.running_version));
        let finding = check.found(format!("another kernel than {running} is to run"));
        Ok((!lines.is_empty()).then(|| finding.lines(lines).hint("it runs after the reboot")))
    }
);

check!(
    NEXT_KERNEL,
    Kernel,
    "next-kernel",
    Blocker,
    120,
    "the next boot brings no older kernel than the one that runs, and none that is newer stays behind",
    "Asked of what starts this host: GRUB's default and its saved entry, the entries of systemd-boot. An older kernel is a \
     blocker where the run may reboot; a newer one that will not be started is a warning.",
    |check, inputs| {
        let (facts, plan) = (inputs.kernels().await?, inputs.upgrade().await?);
        let (_, after) = next_kernels(inputs, facts, plan);
        if kernel_change(facts, &after) == KernelChange::Older {
            let title = format!("the next boot would bring the older kernel {}, {} runs", named(&after), facts.running);
            let mut finding = check.found(title).evidence(after.why);
            if !inputs.settings.may_reboot(inputs.options) {
                finding.severity = Severity::Warning;
            }
            let hint = format!(
                "install the kernel that runs again, have the boot loader start it, or --allow {}",
                check.label
            );
            return Ok(Some(finding.remedy(hint, format!("apt-get install linux-image-{}", facts.running))));
        }
        let BootSource::Loader(loader) = &facts.boots else { return Ok(None) };
        if loader.follows_newest || !after.managed_here {
            return Ok(None);
        }
        let installed = newest_of_flavour(facts).map(|kernel| (kernel.release.as_str(), "installed"));
        let comes = images(plan).map(|(release, _)| (release, "to be installed"));
        let newer = installed.into_iter().chain(comes).filter(|(release, _)| {
            compare_releases(release, &after.expected).is_gt()
                && kernel_flavour(release) == kernel_flavour(&after.expected)
        });
        let lines: Vec<String> = newer.map(|(release, what)| format!("{release}: {what}")).collect();
        let mut finding = check.found(format!("newer kernels than {} will not be started", named(&after)));
        finding.severity = Severity::Warning;
        let hint = format!("{}; have it start the newest one, or leave it so", after.why);
        Ok((!lines.is_empty()).then(|| finding.lines(lines).hint(hint)))
    }
);

check!(
    KERNEL_COMPLETE,
    Kernel,
    "kernel-complete",
    Blocker,
    10,
    "the kernel of the next boot has its image, its initrd and its modules",
    "Where a part of it is missing, the host does not come back. What is only a copy counts where the boot loader takes it.",
    |check, inputs| {
        let facts = inputs.kernels().await?;
        let next = next_kernel(facts, inputs.settings.tries_kernels());
        let problems = next_kernel_problems(facts, &next);
        if problems.is_empty() {
            return Ok(None);
        }
        let finding = check.found(format!("kernel {} would not boot", next.expected)).lines(problems);
        let finding = finding.evidence(next.why);
        let is_copy = facts.installed.iter().all(|kernel| kernel.release != next.expected);
        Ok(Some(match is_copy {
            true => finding.remedy("move it out of /boot, and have the menu written anew", "update-grub"),
            false => {
                let command = format!("apt-get install --reinstall linux-image-{}", next.expected);
                finding.remedy("install it again, or remove it", command)
            }
        }))
    }
);

check!(
    INITRAMFS_TOOLS,
    Kernel,
    "initramfs-tools",
    Blocker,
    10,
    "there is a tool that builds an initrd for a new kernel",
    "The kernels here boot with an initrd. Without the tool a new kernel gets none, and cannot find its disk.",
    |check, inputs| {
        let (facts, survey) = boot(inputs).await?;
        let with_initrd = facts.installed.iter().find(|kernel| kernel.initrd_bytes.is_some());
        let Some(kernel) = with_initrd.filter(|_| survey.initramfs_tool.is_none()) else { return Ok(None) };
        let finding = check.found("nothing builds an initrd for a new kernel");
        let finding = finding.evidence(format!("{} has one; update-initramfs and dracut are missing", kernel.release));
        Ok(Some(finding.remedy("install the tool", "apt-get install initramfs-tools")))
    }
);

check!(
    BOOT_LOADER,
    Kernel,
    "boot-loader",
    Blocker,
    120,
    "the boot loader has an entry for the newest kernel",
    "Without an entry the host boots the old kernel again. A warning where the upgrade brings no kernel. A run looks once \
     more before it reboots, and does not reboot into a kernel that came with it and has no entry; allowed, it does.",
    |check, inputs| {
        let ((facts, survey), plan) = (boot(inputs).await?, inputs.upgrade().await?);
        let (Some(newest), Some(entries)) = (newest_of_flavour(facts), &survey.entries) else { return Ok(None) };
        if entries.releases.contains(&newest.release) || matches!(facts.boots, BootSource::Outside { .. }) {
            return Ok(None);
        }
        let mut finding = check.found(format!("{} has no entry for {}", entries.loader, newest.release));
        // What did not write an entry for this kernel writes none for the next.
        if images(plan).next().is_none() {
            finding.severity = Severity::Warning;
        }
        let others = entries.releases.iter().map(|release| format!("it has one for {release}"));
        let command = if entries.loader == "GRUB" { "update-grub" } else { "kernel-install list" };
        Ok(Some(finding.lines(others).remedy("write its entries anew", command)))
    }
);

check!(
    ONE_SHOT_BOOT,
    Kernel,
    "one-shot-boot",
    Blocker,
    60,
    "a new kernel can be tried, with the one before to fall back to",
    "Asked with `[verify] on-failure = \"previous-kernel\"`: the boot loader must be able to start a kernel once, and a \
     kernel that panics must reboot by itself.",
    |check, inputs| {
        if inputs.settings.verify.on_failure != OnFailure::PreviousKernel {
            return Ok(None);
        }
        let (facts, survey) = boot(inputs).await?;
        if let Err(error) = inputs.host.boot_loader.one_shot(&facts.running, &facts.running).await {
            let finding = check.found(format!("no kernel can be tried here: {}", error.why));
            return Ok(Some(finding.hint("fix that, or take previous-kernel out of [verify] on-failure")));
        }
        if survey.reboots_on_panic {
            return Ok(None);
        }
        let mut finding = check.found("a kernel that panics stays as it is, and the one before is not started");
        finding.severity = Severity::Warning;
        let hint = "add panic=30 to GRUB_CMDLINE_LINUX in /etc/default/grub; it counts from the next boot on";
        Ok(Some(finding.remedy(hint, "update-grub")))
    }
);

check!(
    KERNEL_HEADERS,
    Kernel,
    "kernel-headers",
    Blocker,
    120,
    "DKMS has the headers and the sources of all modules that it is to build",
    "Without the headers of a kernel DKMS skips its modules for it, and calls that a success; so it does for a kernel that \
     the module excludes (BUILD_EXCLUSIVE_KERNEL). A run would end for want of them, with the services down. A warning where nothing is to be built, or where [kernel] dkms = false.",
    |check, inputs| {
        let modules = inputs.dkms().await?;
        let ((facts, survey), plan) = (boot(inputs).await?, inputs.upgrade().await?);
        let kernel = &inputs.settings.kernel;
        let needed = |release: &str| -> Vec<String> {
            let missing = missing_modules(modules, modules, &facts.running, release);
            missing.into_iter().filter(|module| !kernel.can_do_without(module)).collect()
        };
        let comes = |release: &str| plan.changes.iter().any(|change| change.name == format!("linux-headers-{release}"));
        let (now, after) = next_kernels(inputs, facts, plan);
        let next: BTreeSet<&str> = [&now, &after].map(|kernel| kernel.expected.as_str()).into();
        let mut lines = Vec::new();
        let mut lacks_headers = None;
        for release in next {
            let modules = needed(release);
            if modules.is_empty() {
                continue;
            }
            if !survey.with_headers.iter().any(|with| with == release) && !comes(release) {
                lines.push(format!("no headers of {release}, for {}", modules.join(", ")));
                lacks_headers.get_or_insert(release);
            }
            let gone = modules.iter().filter(|module| survey.without_source.contains(module));
            lines.extend(gone.map(|module| format!("no source of {module}, for {release}")));
            let excluded = inputs.host.kernels.excluded(release).await?;
            let excluded = modules.iter().filter_map(|module| Some((module, excluded.get(module)?)));
            lines.extend(excluded.map(|(module, why)| format!("{module} does not take {release}: {why}")));
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let mut finding = check.found("DKMS could not build what the next kernel needs").lines(lines);
        if !kernel.dkms {
            finding.severity = Severity::Warning;
        }
        Ok(Some(match lacks_headers {
            Some(release) => finding.remedy("install them", format!("apt-get install linux-headers-{release}")),
            None => finding.hint(
                "bring its source, or a version of it that takes that kernel; or name the module in [kernel] \
                 optional-modules",
            ),
        }))
    }
);

check!(
    KERNEL_HOOK,
    Kernel,
    "kernel-hook",
    Blocker,
    120,
    "DKMS does not fail the installation of a new kernel",
    "The DKMS of Debian 12 counts a module that excludes a kernel (BUILD_EXCLUSIVE_KERNEL) as one that failed, and the \
     kernel's package is then not configured: the upgrade would end there, with the services down. Debian 13's skips it.",
    |check, inputs| {
        let ((_, survey), plan) = (boot(inputs).await?, inputs.upgrade().await?);
        let mut lines = Vec::new();
        for (release, _) in images(plan) {
            let comes = plan.changes.iter().any(|change| change.name == format!("linux-headers-{release}"));
            // Without headers the hook builds nothing.
            if comes || survey.with_headers.iter().any(|with| with == release) {
                let failing = inputs.host.kernels.failing_hook(release).await?;
                lines.extend(failing.iter().map(|(module, why)| format!("{module} does not take {release}: {why}")));
            }
        }
        let finding = check.found("DKMS would fail the installation of the new kernel");
        let hint = "have the hook build no module, the run then builds what the running kernel has; or remove a module that \
                    nothing needs";
        Ok((!lines.is_empty()).then(|| finding.lines(lines).remedy(hint, "touch /etc/dkms/no-autoinstall")))
    }
);

check!(
    DKMS_MODULES,
    Kernel,
    "dkms-modules",
    Warning,
    120,
    "the kernel of the next boot has every DKMS module that the running one has",
    "A module that does not build leaves hardware or a file system without its driver after the reboot. What the running \
     kernel does without is not asked for; of several versions of a module any one will do.",
    |check, inputs| {
        let (modules, facts) = (inputs.dkms().await?, inputs.kernels().await?);
        let next = next_kernel(facts, inputs.settings.tries_kernels()).expected;
        let missing = missing_modules(modules, modules, &facts.running, &next);
        let Some(first) = missing.first() else { return Ok(None) };
        let command = format!("dkms install {first} -k {next}");
        let lines = missing.iter().map(|module| format!("{module}: installed for {} only", facts.running));
        let finding = check.found(format!("DKMS modules are not ready for {next}")).lines(lines);
        Ok(Some(finding.remedy("build them, and read their make.log; else a run does", command)))
    }
);

check!(
    SECURE_BOOT,
    Kernel,
    "secure-boot",
    Warning,
    60,
    "no module would be refused by Secure Boot",
    "With Secure Boot the kernel loads no module without a signature that it knows.",
    |check, inputs| {
        let (_, survey) = boot(inputs).await?;
        if survey.secure_boot != Some(true) || survey.unsigned_modules.is_empty() {
            return Ok(None);
        }
        let finding = check.found("Secure Boot is on, and modules carry no signature");
        let finding = finding.lines(survey.unsigned_modules.iter().cloned());
        Ok(Some(finding.remedy("enroll a key, and let DKMS sign with it", "mokutil --import /var/lib/dkms/mok.pub")))
    }
);

check!(
    CPU_VULNERABLE,
    Kernel,
    "cpu-vulnerable",
    Info,
    10,
    "the running kernel mitigates every CPU vulnerability that it knows",
    "What the running kernel leaves open, to compare with after the reboot.",
    |check, inputs| {
        let all = &inputs.kernels().await?.vulnerabilities;
        let open = all.iter().filter(|one| one.state.starts_with("Vulnerable"));
        let lines: Vec<String> = open.map(|one| format!("{}: {}", one.name, one.state)).collect();
        let finding = check.found("the running kernel leaves CPUs vulnerable");
        Ok((!lines.is_empty())
            .then(|| finding.lines(lines).hint("a newer kernel or microcode may mitigate them; the report compares")))
    }
);

check!(
    UPTIME,
    Kernel,
    "uptime",
    Info,
    10,
    "the host was booted within the last 90 days",
    "A host that runs for long has seen changes that no boot has tried yet: mounts, units that are not enabled.",
    |check, inputs| {
        let days = inputs.host.system.uptime().await?.as_hours() / 24;
        let finding = check.found(format!("the host was booted {days} days ago"));
        Ok((days >= LONG_UPTIME_DAYS).then(|| finding.hint("expect surprises of the boot itself; be near a console")))
    }
);

check!(
    REBOOT_REQUIRED,
    Kernel,
    "reboot-required",
    Warning,
    10,
    "no package asks for a reboot in vain",
    "The flag /run/reboot-required makes a run reboot. One that is older than this boot asks for what was done.",
    |check, inputs| {
        let Some(packages) = &inputs.kernels().await?.reboot_required else { return Ok(None) };
        let uptime = inputs.host.system.uptime().await?;
        let booted = inputs.host.clock.wall() - uptime;
        let since = inputs.boot().await?.reboot_required_since;
        let named = packages.iter().map(|package| format!("asked for by {package}"));
        if let Some(since) = since.filter(|since| *since < booted) {
            let finding = check.found("the request for a reboot is older than this boot").lines(named);
            let finding = finding.evidence(format!("of {since:.0}, booted {booted:.0}"));
            return Ok(Some(finding.remedy("take it away", "rm /run/reboot-required /run/reboot-required.pkgs")));
        }
        let mut finding = check.found("packages ask for a reboot").lines(named);
        finding.severity = Severity::Info;
        Ok(Some(finding.hint("the run reboots for it")))
    }
);

check!(
    KERNEL_SOURCE,
    Kernel,
    "kernel-source",
    Blocker,
    70,
    "the kernel of [kernel] source can be built",
    "Its source, to the last file of a tree, and its configuration are there and are root's own, and the \
     tools that build it are installed.",
    |check, inputs| {
        let Some(source) = &inputs.settings.kernel.source else { return Ok(None) };
        let lacking = inputs.host.kernels.build_lacks(source).await?;
        let finding = || check.found(format!("the kernel of {} cannot be built", source.path.display()));
        let build_needs = "apt-get install build-essential bc bison flex libelf-dev libssl-dev rsync cpio kmod";
        Ok((!lacking.is_empty()).then(|| finding().lines(lacking).remedy("install what a build needs", build_needs)))
    }
);
