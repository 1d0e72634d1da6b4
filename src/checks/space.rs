//! Room for the upgrade.

use std::collections::BTreeMap;

use super::{CheckInputs, check};
use crate::host::{Host, HostResult};
use crate::model::{FileSystem, KernelFacts, Need, Severity, TightBoot, room_needed};

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

/// Beyond what an upgrade is known to take.
const MARGIN: u64 = MIB;
const MARGIN_INODES: u64 = 4;

/// Each file system that the upgrade's packages, dpkg and apt write to, with what the upgrade takes of it. Where apt cannot
/// tell what it would do, for want of room perhaps, nothing is known to be taken.
async fn rooms(inputs: &CheckInputs<'_>) -> HostResult<Vec<(FileSystem, Need)>> {
    let needs = match inputs.upgrade().await {
        Ok(plan) => room_needed(plan, inputs.footprints().await?),
        Err(_) => BTreeMap::new(),
    };
    let points = needs.keys().map(String::as_str).filter(|point| !PATHS.contains(point));
    let paths: Vec<&str> = PATHS.into_iter().chain(["/boot"]).chain(points).collect();
    let file_systems = inputs.host.system.file_systems(&paths).await?;
    Ok(file_systems.into_iter().map(|one| (one.need(&needs), one)).map(|(need, one)| (one, need)).collect())
}

/// Whether dpkg or apt themselves write to it.
fn is_theirs(file_system: &FileSystem) -> bool {
    file_system.paths.iter().any(|path| PATHS.contains(&path.as_str()))
}

/// What is wrong with the room of a file system; none if it has enough.
fn tight(file_system: &FileSystem, need: &Need, least: u64) -> Option<String> {
    let least = if is_theirs(file_system) { least } else { 0 };
    let taken = if need.bytes == 0 { 0 } else { need.bytes + need.bytes / 10 + MARGIN };
    let (name, free) = (file_system.name(), file_system.free / MIB);
    match file_system.free {
        enough if enough >= taken.max(least) => None,
        _ if taken > least => {
            Some(format!("{name}: {free} MiB free, {} MiB wanted for what the upgrade puts there", taken.div_ceil(MIB)))
        }
        _ => Some(format!("{name}: {free} MiB free, {} MiB wanted", least / MIB)),
    }
}

/// The same for its inodes. A small file system of its own, as /boot, has few files and needs few.
fn few_inodes(file_system: &FileSystem, need: &Need) -> Option<String> {
    let (free, all) = file_system.inodes?;
    let is_asked = is_theirs(file_system) || file_system.paths.iter().any(|path| path == "/boot");
    let least = if is_asked { LOW_INODES.min(all / 20) } else { 0 };
    let taken = if need.files == 0 { 0 } else { need.files + need.files / 10 + MARGIN_INODES };
    let wanted = taken.max(least);
    (free < wanted).then(|| format!("{}: {free} of {all} inodes free, {wanted} wanted", file_system.name()))
}

check!(
    DISK_SPACE,
    Space,
    "disk-space",
    Blocker,
    120,
    "every file system that the upgrade writes to has room for it",
    "dpkg that runs out of space leaves packages half unpacked. What packages grow by, the largest of them once more, since \
     it is unpacked beside itself, and what is still to be fetched, on the file systems where the installed versions lie. \
     Those of /, /usr, /var and the package cache need [preflight] min-free-mib at least.",
    |check, inputs| {
        let least = u64::from(inputs.settings.preflight.min_free_mib) * MIB;
        let rooms = rooms(inputs).await?;
        let lines = rooms.iter().filter_map(|(file_system, need)| tight(file_system, need, least));
        let run = inputs.host.system.free_space(&["/run"]).await?.remove("/run").filter(|free| *free < RUN);
        let lines = lines.chain(run.map(|free| {
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
    120,
    "every file system that the upgrade writes to has inodes for new files",
    "A file system without a free inode is full, whatever df says of its space. The largest package is unpacked beside itself, \
     file by file.",
    |check, inputs| {
        let rooms = rooms(inputs).await?;
        let lines: Vec<String> = rooms.iter().filter_map(|(file_system, need)| few_inodes(file_system, need)).collect();
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
            return Ok(Some(
                finding.remedy("remove kernels that are not booted any more", "apt-get autoremove --purge"),
            ));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file_system(paths: &[&str], free: u64, inodes: Option<(u64, u64)>) -> FileSystem {
        FileSystem { paths: paths.iter().map(|&path| path.to_owned()).collect(), free: free * MIB, inodes }
    }

    #[test]
    fn room_is_asked_of_each_file_system_by_what_comes_onto_it() {
        const ROOT: &[&str] = &["/usr", "/", "/var"];
        // The paths, MiB that are free and that come, what is said.
        for (paths, free, comes, said) in [
            (ROOT, 600, 100, None),
            (ROOT, 400, 100, Some("/: 400 MiB free, 500 MiB wanted")),
            (ROOT, 600, 700, Some("/: 600 MiB free, 771 MiB wanted for what the upgrade puts there")),
            (ROOT, 400, 700, Some("/: 400 MiB free, 771 MiB wanted for what the upgrade puts there")),
            (&["/opt"], 3, 0, None),
            (&["/opt"], 3, 1, None),
            (&["/opt"], 3, 3, Some("/opt: 3 MiB free, 5 MiB wanted for what the upgrade puts there")),
            (&["/boot"], 1, 0, None),
        ] {
            let need = Need { bytes: comes * MIB, files: 0 };
            let seen = tight(&file_system(paths, free, None), &need, 500 * MIB);
            assert_eq!(seen.as_deref(), said, "{paths:?}: {free} free, {comes} come");
        }
    }

    #[test]
    fn inodes_are_asked_likewise() {
        for (paths, inodes, files, said) in [
            (&["/"][..], None, 9000, None),
            (&["/"], Some((30_000, 1_000_000)), 100, None),
            (&["/"], Some((15_000, 1_000_000)), 100, Some("/: 15000 of 1000000 inodes free, 20000 wanted")),
            (&["/"], Some((21_000, 1_000_000)), 40_000, Some("/: 21000 of 1000000 inodes free, 44004 wanted")),
            (&["/boot"], Some((100, 1_000)), 0, None),
            (&["/opt"], Some((5, 100)), 0, None),
            (&["/opt"], Some((5, 100)), 1, None),
            (&["/opt"], Some((1, 100)), 1, Some("/opt: 1 of 100 inodes free, 5 wanted")),
        ] {
            let seen = few_inodes(&file_system(paths, 9, inodes), &Need { bytes: 0, files });
            assert_eq!(seen.as_deref(), said, "{paths:?} {inodes:?} {files}");
        }
    }
}
