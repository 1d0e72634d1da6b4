//! What is mounted where.

use super::{Difference, Now, both, known};
use crate::model::{Baseline, Finding, FindingKey, Severity, unit_of_mount};

/// Names that the kernel gives to disks in the order in which it finds them.
const NUMBERED_DISKS: [&str; 6] = ["/dev/sd", "/dev/vd", "/dev/xvd", "/dev/nvme", "/dev/mmcblk", "/dev/dm-"];

pub(super) fn compare(before: &Baseline, now: &Now, differences: &mut Vec<Difference>) {
    let Some(mounts) = known("mounts", FindingKey::MountMissing, &now.mounts, differences) else { return };
    let is_active =
        |unit: &str| now.units.known().is_some_and(|units| units.active.iter().any(|active| active.as_str() == unit));
    for (point, source) in &before.mounts {
        match mounts.get(point) {
            Some(now) if now == source => {}
            Some(now) => {
                let what = format!("{point} holds {now}; it held {source}");
                let numbered = |name: &str| NUMBERED_DISKS.iter().any(|start| name.starts_with(start));
                if numbered(source) && numbered(now) {
                    differences.push(Difference::expected(what, "the kernel names disks in the order it finds them"));
                    continue;
                }
                let finding = Finding::new(FindingKey::MountChanged, Severity::Warning, what).about(point);
                let hint = "see which file system should be there";
                differences.push(finding.remedy(hint, format!("findmnt {point}")).into());
            }
            None if is_active(&format!("{}.automount", unit_of_mount(point))) => {
                differences
                    .push(Difference::expected(format!("{point} is not mounted"), "it is mounted when it is used"));
            }
            None => {
                let title = format!("{point} is not mounted; it held {source}");
                let finding = Finding::new(FindingKey::MountMissing, Severity::Warning, title).about(point);
                let hint = "mount it, and see that /etc/fstab or a mount unit names it";
                differences.push(finding.remedy(hint, format!("findmnt --fstab {point}")).into());
            }
        }
    }
    let Some(inventory) = &before.inventory else { return };
    let read_only = both(
        "read-only mounts",
        FindingKey::MountReadOnly,
        &inventory.read_only,
        &now.inventory.read_only,
        differences,
    );
    let Some((read_only_before, read_only)) = read_only else { return };
    for point in read_only.difference(read_only_before).filter(|point| before.mounts.contains_key(*point)) {
        let title = format!("{point} is mounted read-only; it was writable");
        let finding = Finding::new(FindingKey::MountReadOnly, Severity::Warning, title).about(point);
        differences.push(finding.remedy("see what the kernel says of its disk", "dmesg --level=err,warn").into());
    }
}
