//! `patchday limits`: what is configured, what is set, and what the kernel makes of it.

use serde::Serialize;

use super::{Answer, Paint, Style};
use crate::model::{CpuCap, GroupUse, Limits, RunId, SliceLimits, share_of};
use crate::report::words::duration;

/// Version of the shape of `patchday limits --json`.
pub const FORMAT: u32 = 1;

/// The limits, as they are configured, set and in force.
#[derive(Debug, Clone, Serialize)]
pub struct LimitsNow<'a> {
    /// Version of this shape.
    pub format: u32,
    pub run: Option<&'a RunId>,
    pub cpus: u32,
    /// The run's settings, or those of the file.
    pub configured: &'a Limits,
    /// What systemd has for the slice.
    pub set: &'a SliceLimits,
    /// What the kernel says; none if no work runs.
    pub in_force: Option<GroupUse>,
    /// CPU time used a second.
    pub cpu_usec_per_sec: Option<u64>,
}

impl Answer for LimitsNow<'_> {
    fn render(&self, style: &Style) -> String {
        let head = self.run.map_or("no run is open".to_owned(), |run| format!("run {run}"));
        let mut lines = vec![format!("{} {head}", style.paint(Paint::Strong, "patchday")), String::new()];
        let limits = self.configured;
        let configured = format!("{}, nice {}", words(&limits.of_slice(), self.cpus), limits.nice);
        lines.extend(style.field("configured", &configured));
        lines.extend(style.field("set", &words(self.set, self.cpus)));
        lines.extend(style.field("in force", &in_force(self.in_force, self.cpus)));
        if let Some(used) = self.cpu_usec_per_sec {
            lines.extend(style.field("used", &share(used, self.cpus)));
        }
        let micros = |usec: u64| jiff::SignedDuration::from_micros(i64::try_from(usec).unwrap_or(i64::MAX));
        if let Some(throttled) = self.in_force.and_then(|group| group.throttled_usec) {
            let words = format!("for {} so far, over all CPUs", duration(micros(throttled)));
            lines.extend(style.field("held back", &words));
        }
        if let Some(memory) = self.in_force.and_then(|group| group.memory) {
            lines.extend(style.field("memory", &mebibytes(memory)));
        }
        lines.join("\n") + "\n"
    }
}

fn words(limits: &SliceLimits, cpus: u32) -> String {
    let weight = |name: &str, weight: Option<u64>| match weight {
        Some(0) => format!("idle {name} weight"),
        Some(weight) => format!("{name} weight {weight}"),
        None => format!("default {name} weight"),
    };
    [
        limits.cpu_quota_per_sec_usec.map_or("no share of the machine".to_owned(), |quota| share(quota, cpus)),
        weight("CPU", limits.cpu_weight),
        weight("disk", limits.io_weight),
        limits.memory_high.map_or("no memory limit".to_owned(), |bytes| format!("memory {}", mebibytes(bytes))),
    ]
    .join(", ")
}

fn in_force(group: Option<GroupUse>, cpus: u32) -> String {
    match group.map(|group| group.cpu) {
        None => "no work is running".to_owned(),
        Some(CpuCap::Enforced(quota)) => share(quota, cpus),
        Some(CpuCap::Unlimited) => "no share of the machine".to_owned(),
        Some(CpuCap::NotEnforced) => {
            "set but not enforced: the slice has no cpu controller on this host; the nice value is in force".to_owned()
        }
    }
}

/// `50 % of the machine (1.0 of 2 CPUs)`.
fn share(usec_per_sec: u64, cpus: u32) -> String {
    let of_one = usec_per_sec as f64 / 1e6;
    format!("{:.0} % of the machine ({of_one:.2} of {cpus} CPUs)", share_of(usec_per_sec, cpus))
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::report::sample::snapshots;

    #[test]
    fn configured_set_and_in_force_are_told_apart() {
        let limits =
            Limits { cpu_percent: 50, cpu_weight: 20, io_weight: 20, memory_high: Some(2 << 30), nice: 10, cpus: 4 };
        let run = "20261123t231000z-0f3a".parse().unwrap();
        let raised = SliceLimits { cpu_quota_per_sec_usec: Some(3_200_000), cpu_weight: Some(0), ..limits.of_slice() };
        let group = |cpu| GroupUse {
            cpu,
            cpu_usec: Some(9_000_000),
            throttled_usec: Some(12_400_000),
            memory: Some(300 << 20),
        };
        let nothing_counted =
            GroupUse { cpu_usec: None, throttled_usec: None, memory: None, ..group(CpuCap::NotEnforced) };
        let render = |run, set, in_force, rate| {
            let (format, cpus, configured) = (FORMAT, 4, &limits);
            let now = LimitsNow { format, run, cpus, configured, set, in_force, cpu_usec_per_sec: rate };
            now.render(&Style::plain())
        };
        let untouched = SliceLimits::default();
        snapshots(|| {
            let enforced = Some(group(CpuCap::Enforced(3_200_000)));
            assert_snapshot!("limits_raised", render(Some(&run), &raised, enforced, Some(3_150_000)));
            assert_snapshot!("limits_not_enforced", render(Some(&run), &raised, Some(nothing_counted), None));
            assert_snapshot!("limits_no_run", render(None, &untouched, None, None));
        });
    }
}
