//! Room for the upgrade.

use super::check;
use crate::host::{Host, HostResult};
use crate::model::{KernelFacts, Severity, TightBoot};

const MIB: u64 = 1024 * 1024;
const LOW_MEMORY: u64 = 256 * MIB;

/// systemd refuses to reload where `/run` has less than 16 MiB, and holds and releases of services are reloads.
const RUN: u64 = 20 * MIB;

/// An upgrade of a release touches a hundred thousand files; one of a month a few thousand.
const LOW_INODES: u64 = 20_000;

/// What a compiler takes for one file of a kernel module.
const MEMORY_PER_JOB: u64 = 512 * MIB;

/// Where dpkg unpacks, keeps its database, and where apt puts what it fetches.
const PATHS: [&str; 5] = ["/", "/usr", "/var", "/var/lib/dpkg", "/var/cache/apt/archives"];

/// Whether `/boot` is too tight for a new kernel, and what may go.
pub async fn tight_boot(host: &Host, kernels: &KernelFacts) -> HostResult<Option<TightBoot>> {
    let free = host.system.free_space(&["/boot"]).await?.get("/boot").copied().unwrap_or(0);
    Ok(TightBoot::look(kernels, free, &host.packages.installed().await?))
}

check!(
    DISK_SPACE,
    Space,
    "disk-space",
    Blocker,
    10,
    "/, /usr, /var and the package cache have room for an upgrade",
    "dpkg that runs out of space leaves packages half unpacked. [preflight] min-free-mib says how much is enough.",
    |check, inputs| {
        let wanted = u64::from(inputs.settings.preflight.min_free_mib);
        let free = inputs.host.system.free_space(&PATHS).await?;
        let low = free.iter().filter(|(_, bytes)| **bytes < wanted * MIB);
        let lines: Vec<String> =
            low.map(|(path, bytes)| format!("{path}: {} MiB free, {wanted} MiB wanted", bytes / MIB)).collect();
        let run = inputs.host.system.free_space(&["/run"]).await?.remove("/run").filter(|free| *free < RUN);
        let lines = lines.into_iter().chain(run.map(|free| {
            format!("/run: {} MiB free, {} MiB wanted: systemd reads no unit anew below 16 MiB", free / MIB, RUN / MIB)
        }));
        let lines: Vec<String> = lines.collect();
        let finding = check.found("too little space for an upgrade");
        Ok((!lines.is_empty())
            .then(|| finding.lines(lines).remedy("make room; old packages are a good start", "apt-get clean")))
    }
);

check!(
    INODES,
    Space,
    "inodes",
    Blocker,
    10,
    "/, /usr, /var and /boot have inodes for new files",
    "A file system without a free inode is full, whatever df says of its space.",
    |check, inputs| {
        let free = inputs.host.premises.free_inodes(&[&PATHS[..], &["/boot"]].concat()).await?;
        // A small file system of its own, as /boot, has few files and needs few.
        let low = free.iter().filter(|(_, (free, all))| *free < LOW_INODES.min(all / 20));
        let lines: Vec<String> =
            low.map(|(path, (free, all))| format!("{path}: {free} of {all} inodes free")).collect();
        let finding = check.found("too few inodes for an upgrade");
        Ok((!lines.is_empty()).then(|| {
            finding.lines(lines).remedy("find what is made of many files", "du --inodes -x / | sort -n | tail")
        }))
    }
);

check!(
    BOOT_SPACE,
    Space,
    "boot-space",
    Blocker,
    10,
    "/boot has room for two more kernels",
    "A kernel that does not fit ends as an initrd that is cut off, and a host that does not boot.",
    |check, inputs| {
        let Some(tight) = tight_boot(inputs.host, inputs.kernels().await?).await? else { return Ok(None) };
        let mut finding = check.found("a new kernel may not fit into /boot").evidence(format!(
            "/boot: {} MiB free, {} MiB wanted",
            tight.free / MIB,
            tight.wanted.div_ceil(MIB)
        ));
        if !tight.suffices {
            return Ok(Some(finding.remedy("remove kernels that nobody boots", "apt-get autoremove --purge")));
        }
        let releases = tight.dispensable.join(", ");
        if inputs.settings.kernel.remove_old {
            finding.severity = Severity::Info;
            return Ok(Some(finding.hint(format!("the run removes {releases} first"))));
        }
        let hint = format!("remove {releases}, or have runs do it ([kernel] remove-old = true)");
        Ok(Some(finding.remedy(hint, format!("apt-get purge {}", tight.packages.join(" ")))))
    }
);

check!(
    MEMORY_AVAILABLE,
    Space,
    "memory-available",
    Warning,
    120,
    "dpkg, the initramfs tools and the compiler have memory to work in",
    "An upgrade that is killed for want of memory leaves packages half configured. Where DKMS builds modules, every job \
     of the compiler needs its part.",
    |check, inputs| {
        let resources = inputs.host.system.resources().await?;
        let limits = &inputs.settings.limits;
        let builds = inputs.settings.kernel.dkms && !inputs.dkms().await?.is_empty();
        let jobs = (resources.cpus * u32::from(limits.cpu_percent)).div_ceil(100).max(1);
        let wanted = if builds { LOW_MEMORY + u64::from(jobs) * MEMORY_PER_JOB } else { LOW_MEMORY };
        if resources.memory_available >= wanted {
            return Ok(None);
        }
        let jobs = if builds { format!(" for {jobs} jobs of the compiler") } else { String::new() };
        let line = format!(
            "{} MiB of {} MiB available, {} MiB wanted{jobs}",
            resources.memory_available / MIB,
            resources.memory_total / MIB,
            wanted / MIB
        );
        let finding = check.found("little memory is left for the upgrade").evidence(line);
        Ok(Some(finding.remedy("see what takes it", "ps --sort -rss -eo rss,unit,comm")))
    }
);
