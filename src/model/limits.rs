//! What long work may take from the host.

use serde::{Deserialize, Serialize};

/// Limits of a work unit, in systemd's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Share of the whole machine in percent (1 to 100).
    pub cpu_percent: u8,
    /// `CPUWeight=`, 1 to 10000.
    pub cpu_weight: u64,
    /// `IOWeight=`, 1 to 10000.
    pub io_weight: u64,
    /// Online CPUs of the host, by which the share is multiplied.
    pub cpus: u32,
}

impl Limits {
    /// `CPUQuotaPerSecUSec`: microseconds of CPU time a second, over all CPUs.
    pub fn cpu_quota_per_sec_usec(&self) -> u64 {
        u64::from(self.cpu_percent) * u64::from(self.cpus.max(1)) * 10_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_whole_machine() {
        let limits = |cpu_percent, cpus| Limits { cpu_percent, cpu_weight: 20, io_weight: 20, cpus };
        assert_eq!(limits(50, 2).cpu_quota_per_sec_usec(), 1_000_000);
        assert_eq!(limits(100, 1).cpu_quota_per_sec_usec(), 1_000_000);
        assert_eq!(limits(25, 8).cpu_quota_per_sec_usec(), 2_000_000);
    }
}
