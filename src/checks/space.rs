//! Room for the upgrade.

use super::{Check, check};
use crate::model::{Finding, Severity};

const MIB: u64 = 1024 * 1024;
const LOW_SPACE: u64 = 500 * MIB;

check!(DISK_SPACE, "disk-space", Blocker, "/ and /var have room for an upgrade", |inputs| {
    let free = inputs.host.system.free_space(&["/", "/var", "/var/cache/apt/archives"]).await?;
    let low: Vec<String> = free
        .iter()
        .filter(|(_, bytes)| **bytes < LOW_SPACE)
        .map(|(path, bytes)| format!("{path}: {} MiB free, {} MiB wanted", bytes / MIB, LOW_SPACE / MIB))
        .collect();
    if low.is_empty() {
        return Ok(None);
    }
    let mut finding = Finding::new("disk-space", Severity::Blocker, "too little space for an upgrade");
    finding.evidence = low;
    Ok(Some(finding.remedy("make room; old packages are a good start", "apt-get clean")))
});

check!(BOOT_SPACE, "boot-space", Blocker, "/boot has room for two more kernels", |inputs| {
    let kernels = inputs.host.kernels.facts().await?.installed;
    let largest = kernels.iter().map(|kernel| kernel.image_bytes + kernel.initrd_bytes.unwrap_or(0)).max();
    // A new initrd is written beside the old one before it replaces it.
    let Some(wanted) = largest.map(|bytes| 2 * bytes) else { return Ok(None) };
    let free = inputs.host.system.free_space(&["/boot"]).await?.get("/boot").copied().unwrap_or(0);
    if free >= wanted {
        return Ok(None);
    }
    let finding = Finding::new("boot-space", Severity::Blocker, "a new kernel may not fit into /boot")
        .evidence(format!("/boot: {} MiB free, {} MiB wanted", free / MIB, wanted / MIB));
    Ok(Some(finding.remedy("remove old kernels", "apt-get autoremove --purge")))
});
