//! What long work may take from the host.

use serde::{Deserialize, Serialize};

/// Limits of all long work together, as they are configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Share of the whole machine in percent (1 to 100).
    pub cpu_percent: u8,
    /// `CPUWeight=`, 1 to 10000; 0 is `idle`, which systemd has since version 252.
    pub cpu_weight: u64,
    /// `IOWeight=`, 1 to 10000.
    pub io_weight: u64,
    /// `MemoryHigh=` in bytes; none is no limit.
    #[serde(default)]
    pub memory_high: Option<u64>,
    /// `Nice=` of every work unit: the one limit that needs no controller. 0 to 19.
    #[serde(default)]
    pub nice: i32,
    /// Online CPUs of the host, by which the share is multiplied.
    pub cpus: u32,
}

/// `CPUWeight=idle`: nothing while anybody else wants the CPU.
const IDLE: u64 = 0;

/// The weight of work that must come to its end, beside the 100 of everybody else.
const SHARED: u64 = 20;

impl SliceLimits {
    /// The same with a weight by which the work comes to its end; none if it has one.
    pub fn raised(&self) -> Option<Self> {
        (self.cpu_weight == Some(IDLE)).then_some(Self { cpu_weight: Some(SHARED), ..*self })
    }
}

impl Limits {
    /// `CPUQuotaPerSecUSec`: microseconds of CPU time a second, over all CPUs.
    pub fn cpu_quota_per_sec_usec(&self) -> u64 {
        quota_of(self.cpu_percent, self.cpus)
    }

    /// The part that systemd holds on the slice.
    pub fn of_slice(&self) -> SliceLimits {
        SliceLimits {
            cpu_quota_per_sec_usec: Some(self.cpu_quota_per_sec_usec()),
            cpu_weight: Some(self.cpu_weight),
            io_weight: Some(self.io_weight),
            memory_high: self.memory_high,
        }
    }
}

/// Limits of a slice, in systemd's terms; none is systemd's own default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SliceLimits {
    /// `CPUQuotaPerSecUSec`.
    pub cpu_quota_per_sec_usec: Option<u64>,
    /// `CPUWeight`; 0 is `idle`.
    pub cpu_weight: Option<u64>,
    /// `IOWeight`.
    pub io_weight: Option<u64>,
    /// `MemoryHigh`.
    pub memory_high: Option<u64>,
}

/// What the kernel does about the CPU share of a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuCap {
    /// It hands out so many microseconds of CPU time a second.
    Enforced(u64),
    /// It would cap, and was told no cap.
    Unlimited,
    /// It cannot: the group has no cpu controller.
    NotEnforced,
}

/// What a control group is allowed and has used, read from the kernel and from nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupUse {
    /// The cap in force.
    pub cpu: CpuCap,
    /// CPU time used so far, in microseconds; none if nobody counts.
    pub cpu_usec: Option<u64>,
    /// Time for which it was held back by the cap, in microseconds, over all CPUs; none if nobody counts.
    pub throttled_usec: Option<u64>,
    /// Bytes of memory; none if nobody counts.
    pub memory: Option<u64>,
}

/// `CPUQuotaPerSecUSec` of a share of the whole machine.
pub fn quota_of(percent: u8, cpus: u32) -> u64 {
    u64::from(percent) * u64::from(cpus.max(1)) * 10_000
}

/// The share of the whole machine that so much CPU time a second is, in percent.
pub fn share_of(usec_per_sec: u64, cpus: u32) -> f64 {
    usec_per_sec as f64 / f64::from(cpus.max(1)) / 10_000.0
}

/// What one job of make is taken to need: the largest files of a kernel take about so much.
const MEMORY_PER_JOB: u64 = 1536 * 1024 * 1024;

/// How many jobs make runs side by side: as many as the budget feeds and as memory holds, and at least one.
pub fn make_jobs(cpus: u32, cpu_percent: u8, memory_available: u64) -> u32 {
    let fed = cpus.saturating_mul(u32::from(cpu_percent)).div_ceil(100);
    let held = u32::try_from(memory_available / MEMORY_PER_JOB).unwrap_or(u32::MAX);
    fed.min(held).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_share_is_of_the_whole_machine() {
        for (percent, cpus, quota) in [(50, 2, 1_000_000), (100, 1, 1_000_000), (25, 8, 2_000_000), (80, 0, 800_000)] {
            assert_eq!(quota_of(percent, cpus), quota, "{percent} % of {cpus}");
            assert!((share_of(quota, cpus) - f64::from(percent)).abs() < 1e-9);
        }
    }

    #[test]
    fn jobs_are_bounded_by_the_budget_and_by_memory() {
        for (cpus, percent, memory, jobs) in [
            (2, 50, 8 * GIB, 1),
            (2, 100, 8 * GIB, 2),
            (16, 50, 64 * GIB, 8),
            (16, 50, 4 * GIB, 2),
            (16, 1, 64 * GIB, 1),
            (8, 80, 64 * GIB, 7),
            (8, 100, GIB, 1),
            (1, 20, 0, 1),
            (0, 50, GIB, 1),
        ] {
            assert_eq!(make_jobs(cpus, percent, memory), jobs, "{percent} % of {cpus} CPUs, {memory} bytes");
        }
    }

    #[test]
    fn settings_of_an_older_file_have_no_new_limits() {
        let limits: Limits =
            serde_json::from_str(r#"{"cpu_percent":50,"cpu_weight":20,"io_weight":20,"cpus":2}"#).unwrap();
        assert_eq!((limits.memory_high, limits.nice), (None, 0));
        let limits = Limits { memory_high: Some(GIB), nice: 7, ..limits };
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
    }
}
