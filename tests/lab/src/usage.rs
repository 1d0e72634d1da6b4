//! What a run uses of its machine, seen from outside.
//!
//! Where the host has control groups of version 1, systemd in the machine has no accounting, so its `CPUUsageNSec` is
//! not set. The kernel counts all the same: every group of the unified hierarchy has `cpu.stat`, with or without
//! controllers, exact to the microsecond and with all children. A group is gone soon after its last process, so the
//! files are read every few milliseconds, and the last reading counts. What the coordinator used without the programs
//! that it asks (`apt-get -s`, `dpkg-query`) is told by the `schedstat` of each of its threads, to the nanosecond, or by
//! `/proc/PID/stat` where that says more: it knows ended threads, but cuts to ticks of 10 ms. Its peak memory is
//! `VmHWM`, its reads and writes are those of `/proc/PID/io`.

use crate::Machine;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Short against anything that is measured, long against what a reading costs.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);

/// The units, the slice of each, and the name that they have with a run.
const UNITS: [(&str, &str, &str); 6] = [
    (BEFORE, "system.slice", "patchday-run-@.service"),
    (AFTER, "system.slice", "patchday-resume.service"),
    ("apt-get update", "patchday.slice", "patchday-refresh-@-1.service"),
    ("apt-get --download-only", "patchday.slice", "patchday-download-@-1.service"),
    ("apt-get dist-upgrade", "patchday.slice", "patchday-upgrade-@-1.service"),
    ("dkms install", "patchday.slice", "patchday-build-kernel-@-1.service"),
];

const BEFORE: &str = "coordinator before the reboot";
const AFTER: &str = "coordinator after the reboot";

/// What the units of a run used.
#[derive(Debug, Default)]
pub struct Usage {
    /// CPU time of each unit with all its processes, by its name without the run.
    pub cpu: BTreeMap<&'static str, Duration>,
    coordinators: BTreeMap<u32, Coordinator>,
}

/// One process of a coordinator, as it was last seen.
#[derive(Debug, Default)]
struct Coordinator {
    /// CPU time, in whole ticks.
    ticks: Duration,
    /// CPU time of each thread.
    threads: BTreeMap<String, Duration>,
    peak_kib: u64,
    faults: u64,
    calls: u64,
}

impl Coordinator {
    fn cpu(&self) -> Duration {
        self.ticks.max(self.threads.values().sum())
    }
}

impl Usage {
    /// What the units of a run use while something is done.
    pub fn during<T>(machine: &Machine, run: &str, done: impl FnOnce() -> T) -> (Self, T) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let sampler = scope.spawn(|| {
                let mut usage = Self::default();
                while !over.load(Ordering::Relaxed) {
                    usage.sample(machine, run);
                    thread::sleep(SAMPLE_EVERY);
                }
                usage
            });
            let done = done();
            over.store(true, Ordering::Relaxed);
            (sampler.join().unwrap_or_default(), done)
        })
    }

    fn sample(&mut self, machine: &Machine, run: &str) {
        for (name, slice, unit) in UNITS {
            let unit = unit.replace('@', run);
            // Version 2 alone, or beside version 1.
            for hierarchy in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
                let group = format!("{hierarchy}/{slice}/{unit}");
                let Ok(stat) = machine.read_file(&format!("{group}/cpu.stat")) else { continue };
                let used = field(&stat, "usage_usec").map(Duration::from_micros).unwrap_or_default();
                let known = self.cpu.entry(name).or_default();
                *known = used.max(*known);
                if [BEFORE, AFTER].contains(&name) {
                    self.sample_processes(machine, &group);
                }
            }
        }
    }

    /// The kernel names the processes as the reader sees them: here, as the host does.
    fn sample_processes(&mut self, machine: &Machine, group: &str) {
        let Ok(processes) = machine.read_file(&format!("{group}/cgroup.procs")) else { return };
        for pid in processes.lines().filter_map(|pid| pid.parse::<u32>().ok()) {
            let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
            let (Some(stat), Some(status)) = (read("stat"), read("status")) else { continue };
            if read("comm").is_none_or(|name| name.trim() != "patchday") {
                continue;
            }
            let known = self.coordinators.entry(pid).or_default();
            let counted = |number| stat_field(&stat, number).unwrap_or_default();
            known.ticks = known.ticks.max(Duration::from_millis((counted(USER_TIME) + counted(SYSTEM_TIME)) * 10));
            known.faults = known.faults.max(counted(MINOR_FAULTS));
            known.peak_kib = known.peak_kib.max(field(&status, "VmHWM:").unwrap_or_default());
            let io = read("io").unwrap_or_default();
            let calls = ["syscr:", "syscw:"].iter().filter_map(|name| field(&io, name)).sum();
            known.calls = known.calls.max(calls);
            for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let Ok(stat) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
                let used = field(&stat, "").map(Duration::from_nanos).unwrap_or_default();
                let known = known.threads.entry(thread.file_name().to_string_lossy().into_owned()).or_default();
                *known = used.max(*known);
            }
        }
    }

    /// CPU time of the coordinators alone, without the programs that they ask.
    pub fn own(&self) -> Duration {
        self.coordinators.values().map(Coordinator::cpu).sum()
    }

    /// The same with those programs.
    pub fn of_coordinators(&self) -> Duration {
        self.total(|unit| [BEFORE, AFTER].contains(&unit))
    }

    /// CPU time of apt and dpkg.
    pub fn of_apt(&self) -> Duration {
        self.total(|unit| unit.starts_with("apt-get"))
    }

    fn total(&self, which: impl Fn(&str) -> bool) -> Duration {
        self.cpu.iter().filter(|(unit, _)| which(unit)).map(|(_, used)| used).sum()
    }

    /// The most memory that a coordinator had, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.coordinators.values().map(|one| one.peak_kib).max().unwrap_or_default()
    }

    /// Page faults of the coordinators that read no disk.
    pub fn faults(&self) -> u64 {
        self.coordinators.values().map(|one| one.faults).sum()
    }

    /// Reads and writes of the coordinators, but for those of sockets.
    pub fn calls(&self) -> u64 {
        self.coordinators.values().map(|one| one.calls).sum()
    }
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// Fields of proc_pid_stat(5) as they are numbered there; times are in hundredths of a second.
const MINOR_FAULTS: usize = 10;
const USER_TIME: usize = 14;
const SYSTEM_TIME: usize = 15;

/// A field behind the name, which may hold anything.
fn stat_field(stat: &str, number: usize) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}
