//! Room for the upgrade.

use super::check;

const MIB: u64 = 1024 * 1024;
const LOW_SPACE: u64 = 500 * MIB;
const LOW_MEMORY: u64 = 256 * MIB;

check!(
    DISK_SPACE,
    Space,
    "disk-space",
    Blocker,
    10,
    "/ and /var have room for an upgrade",
    "dpkg that runs out of space leaves packages half unpacked. Make room before it begins.",
    |check, inputs| {
        let free = inputs.host.system.free_space(&["/", "/var", "/var/cache/apt/archives"]).await?;
        let low: Vec<String> = free
            .iter()
            .filter(|(_, bytes)| **bytes < LOW_SPACE)
            .map(|(path, bytes)| format!("{path}: {} MiB free, {} MiB wanted", bytes / MIB, LOW_SPACE / MIB))
            .collect();
        if low.is_empty() {
            return Ok(None);
        }
        let mut finding = check.found("too little space for an upgrade");
        finding.evidence = low;
        Ok(Some(finding.remedy("make room; old packages are a good start", "apt-get clean")))
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
        let kernels = &inputs.kernels().await?.installed;
        let largest = kernels.iter().map(|kernel| kernel.image_bytes + kernel.initrd_bytes.unwrap_or(0)).max();
        // A new initrd is written beside the old one before it replaces it.
        let Some(wanted) = largest.map(|bytes| 2 * bytes) else { return Ok(None) };
        let free = inputs.host.system.free_space(&["/boot"]).await?.get("/boot").copied().unwrap_or(0);
        if free >= wanted {
            return Ok(None);
        }
        let finding = check.found("a new kernel may not fit into /boot").evidence(format!(
            "/boot: {} MiB free, {} MiB wanted",
            free / MIB,
            wanted / MIB
        ));
        Ok(Some(finding.remedy("remove old kernels", "apt-get autoremove --purge")))
    }
);

check!(
    MEMORY_AVAILABLE,
    Space,
    "memory-available",
    Warning,
    10,
    "dpkg and the initramfs tools have memory to work in",
    "An upgrade that is killed for want of memory leaves packages half configured.",
    |check, inputs| {
        let resources = inputs.host.system.resources().await?;
        if resources.memory_available >= LOW_MEMORY {
            return Ok(None);
        }
        let finding = check.found("little memory is left for the upgrade").evidence(format!(
            "{} MiB of {} MiB available",
            resources.memory_available / MIB,
            resources.memory_total / MIB
        ));
        Ok(Some(finding.remedy("see what takes it", "ps --sort -rss -eo rss,unit,comm | head")))
    }
);

check!(
    LOAD,
    People,
    "load",
    Warning,
    10,
    "the host is not overloaded already",
    "A busy host upgrades slowly, and somebody is being served. Wait, or find out what keeps it busy.",
    |check, inputs| {
        let resources = inputs.host.system.resources().await?;
        if resources.load_one_minute <= 2.0 * f64::from(resources.cpus.max(1)) {
            return Ok(None);
        }
        let evidence = format!("load {:.1} on {} CPUs", resources.load_one_minute, resources.cpus);
        let finding = check.found("the host is busy; the run will take longer");
        Ok(Some(finding.evidence(evidence).hint("wait for a quieter hour, or see what keeps it busy")))
    }
);
