//! How users fare while something is built beside them, and how much of the machine the build had.

use crate::emulated::EmulatedMachine;
use crate::testbed::Testbed;
use anyhow::{Context, Result};

/// The control group of all of Patchday's work.
const SLICE: &str = "/sys/fs/cgroup/patchday.slice";

/// What is built on machines whose kernel has no tree of its own.
const SLOW_MODULE: &str = include_str!("../recipe/slow-module");

/// The shell's orders that put the source of a module of forty files, `lab-slow/1.0`, where DKMS finds it; `make` is the
/// beginning of what builds it.
pub fn slow_module(make: &str) -> String {
    SLOW_MODULE.replace("make ARCH=um -C /usr/src/linux", make)
}

/// The caps that are tried.
const CAPS: [u32; 3] = [20, 50, 80];

/// The aim of a cap: points of a percent that the use may be away from it.
const POINTS: f64 = 3.0;

/// How the host fared for a while.
pub struct Window {
    what: &'static str,
    cap: Option<u32>,
    /// Percent of all CPUs that the build had; none without a build.
    used: Option<f64>,
    /// Microseconds, in order.
    answers: Vec<u64>,
    refused: usize,
}

impl Window {
    /// Asks the sample API for so long, while a build may be at work in that control group and under that cap.
    ///
    /// # Errors
    ///
    /// The machine does not answer, or does not count what the group uses.
    pub fn watch(
        machine: &EmulatedMachine,
        what: &'static str,
        build: Option<(&str, Option<u32>)>,
        seconds: u32,
    ) -> Result<Self> {
        let look = || build.map(|(group, _)| Used::read(machine, group)).transpose();
        let before = look()?;
        let port = machine.api_port().to_string();
        let said = machine.exec_ok(&["lab-agent", "load", &port, "/count", &seconds.to_string()])?;
        let used = before.zip(look()?).map(|(before, after)| after.percent_since(&before));
        let mut answers: Vec<u64> = said.lines().filter_map(|line| line.parse().ok()).collect();
        answers.sort_unstable();
        let refused = said.lines().count() - answers.len();
        let cap = build.and_then(|(_, cap)| cap);
        let window = Self { what, cap, used, answers, refused };
        eprintln!("load: {}", window.row());
        Ok(window)
    }

    /// Under each cap, set by `patchday limits` while the run is at work; then without one.
    ///
    /// # Errors
    ///
    /// As [`Self::watch`], or `patchday limits` fails.
    pub fn watch_caps(machine: &EmulatedMachine, what: &'static str, seconds: u32) -> Result<Vec<Self>> {
        let cap = |percent: u32| machine.exec_ok(&["patchday", "limits", "--cpu", &format!("{percent}%")]);
        let mut windows = Vec::new();
        for percent in CAPS {
            cap(percent)?;
            windows.push(Self::watch(machine, what, Some((SLICE, Some(percent))), seconds)?);
        }
        cap(100)?;
        Ok(windows)
    }

    /// The answers, in milliseconds: what so many of a hundred did not exceed.
    fn quantile(&self, of: f64) -> f64 {
        let at = ((self.answers.len() as f64 * of).ceil() as usize).clamp(1, self.answers.len().max(1)) - 1;
        self.answers.get(at).map_or(f64::NAN, |microseconds| *microseconds as f64 / 1000.0)
    }

    /// Whether the build had more than its cap. It may have less: where it waits for a disk, or for who comes first.
    pub fn exceeds_cap(&self) -> bool {
        self.cap.zip(self.used).is_some_and(|(cap, used)| used > f64::from(cap) + POINTS)
    }

    /// What is wrong with the use of a build that could use more; nothing where it used its cap.
    pub fn broken_cap(&self) -> Option<String> {
        let (cap, used) = self.cap.zip(self.used)?;
        ((used - f64::from(cap)).abs() > POINTS).then(|| format!("the cap of {cap} % did not hold: {used:.1} %"))
    }

    /// What the cap comes to, beside a window without a build.
    pub fn beside(&self, idle: &Self) -> String {
        let (cap, used) = (self.cap.unwrap_or(100), self.used.unwrap_or(f64::NAN));
        let times = self.quantile(0.99) / idle.quantile(0.99);
        format!("{}: cap {cap} %, {used:.1} % used, p99 {times:.2} x that of no build", self.what)
    }

    /// The heading of the rows.
    pub fn heading() -> String {
        format!(
            "{:<18} {:>8} {:>8} {:>9} {:>9} {:>9} {:>8}",
            "", "cap", "used", "p50 ms", "p99 ms", "max ms", "refused"
        )
    }

    /// One line of a table.
    pub fn row(&self) -> String {
        let percent = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.1} %"));
        format!(
            "{:<18} {:>8} {:>8} {:>9.1} {:>9.1} {:>9.1} {:>8}",
            self.what,
            percent(self.cap.map(f64::from)),
            percent(self.used),
            self.quantile(0.5),
            self.quantile(0.99),
            self.quantile(1.0),
            self.refused
        )
    }
}

/// CPU time of a control group at one instant.
struct Used {
    uptime: f64,
    cpu: f64,
    cpus: f64,
}

impl Used {
    fn read(machine: &EmulatedMachine, group: &str) -> Result<Self> {
        let cpus = machine.exec_ok(&["nproc"])?.trim().parse().context("no number of CPUs")?;
        let said = machine.exec_ok(&["cat", "/proc/uptime", &format!("{group}/cpu.stat")])?;
        let mut words = said.split_whitespace();
        let uptime = words.next().and_then(|word| word.parse().ok()).context("no uptime")?;
        let cpu = words.skip_while(|word| *word != "usage_usec").nth(1).and_then(|word| word.parse::<f64>().ok());
        Ok(Self { uptime, cpu: cpu.context("no usage_usec")? / 1e6, cpus })
    }

    fn percent_since(&self, before: &Self) -> f64 {
        (self.cpu - before.cpu) / (self.uptime - before.uptime) / self.cpus * 100.0
    }
}
