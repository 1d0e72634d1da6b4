//! What Patchday itself costs: one whole run on a disposable machine, measured from outside.
//!
//! Where the host has control groups of version 1, systemd in the machine has no accounting, so its `CPUUsageNSec` is
//! not set. The kernel counts all the same: every group of the unified hierarchy has `cpu.stat`, with or without
//! controllers, exact to the microsecond and with all children. A group is gone soon after its last process, so the
//! files are read every few milliseconds, and the last reading counts. What the coordinator used without the programs
//! that it asks (`apt-get -s`, `dpkg-query`) is told by the `schedstat` of each of its threads, to the nanosecond, or by
//! `/proc/PID/stat` where that says more: it knows ended threads, but cuts to ticks of 10 ms. Its peak memory is
//! `VmHWM`.

use anyhow::{Context, Result, bail};
use patchday_lab::{Lab, Machine, Shipped, Suite, services, wait_for};
use std::collections::BTreeMap;
use std::fs;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Short against anything that is measured, long against what a reading costs.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);
/// How often a command is timed; one that takes a second, a fifth as often. The median counts.
const TIMES: u32 = 50;
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);
const RUN_TIMEOUT: Duration = Duration::from_secs(900);

/// One whole run, and the commands that people type.
pub(crate) fn measure(shipped: &Shipped, suite: Suite) -> Result<()> {
    let size = fs::metadata(&shipped.patchday).context("cannot see the patchday program")?.len();
    eprintln!("bench: booting a machine ({suite})");
    let machine = Lab::new()?.booted_machine(suite, "bench")?;
    machine.install(&shipped.patchday, &shipped.systemd)?;
    configure(&machine)?;
    let pending = machine.pending_upgrades()?.len();

    eprintln!("bench: timing plans");
    let few = TIMES.div_ceil(5);
    let plan = median(&machine, few, "patchday plan")?;
    let simulation = median(&machine, few, "apt-get -s dist-upgrade")?;

    eprintln!("bench: one run, {pending} packages pending");
    let began = Instant::now();
    let usage = run(&machine)?;
    let took = began.elapsed();

    eprintln!("bench: timing status");
    let status = median(&machine, TIMES, "patchday status")?;
    let systemctl = median(&machine, TIMES, "systemctl is-system-running")?;

    let (own, all, apt) = (usage.own(), usage.total(is_coordinator), usage.total(is_work));
    let share = own.as_secs_f64() / apt.as_secs_f64();
    let peak = usage.peak_kib as f64 / 1024.0;
    println!("{pending} packages, whole run {:.1} s, two boots, {suite}", took.as_secs_f64());
    println!();
    row("coordinator, CPU time", &millis(own), "");
    row("  with the programs it asks", &millis(all), "");
    for (unit, used) in &usage.cpu {
        row(&format!("  {unit}"), &millis(*used), "");
    }
    row("apt and dpkg, CPU time", &millis(apt), "");
    row("coordinator / apt", &format!("{:.2} %", share * 100.0), &aim(share < 0.01, "under 1 %"));
    row("coordinator, peak memory", &format!("{peak:.1} MiB"), &aim(peak < 25.0, "under 25 MiB"));
    row("patchday status, wall", &millis(status), &aim(status < Duration::from_millis(20), "under 20 ms"));
    row("  systemctl is-system-running", &millis(systemctl), "");
    row("patchday plan, wall", &millis(plan), "");
    row("  apt-get -s dist-upgrade", &millis(simulation), "");
    row("program, stripped", &format!("{:.1} MiB", size as f64 / 1_048_576.0), "");
    Ok(())
}

fn row(what: &str, figure: &str, remark: &str) {
    println!("{}", format!("{what:<48} {figure:>12}  {remark}").trim_end());
}

fn aim(is_met: bool, words: &str) -> String {
    format!("aim {words}: {}", if is_met { "met" } else { "missed" })
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// Everything as it is by default, but for the ports and the services.
fn configure(machine: &Machine) -> Result<()> {
    let text = services(machine, "", "");
    machine.write_file("/etc/patchday/patchday.toml", &text)
}

/// The median wall time of a command, measured in the machine: the way into it is not counted.
fn median(machine: &Machine, times: u32, command: &str) -> Result<Duration> {
    let script = format!(
        "for i in $(seq {times}); do
             from=$EPOCHREALTIME; {command} >/dev/null 2>/run/bench.err || {{ cat /run/bench.err >&2; exit 1; }}
             to=$EPOCHREALTIME; echo $((${{to/./}} - ${{from/./}}))
         done"
    );
    let output = machine.exec_ok(&["bash", "-c", &script]).with_context(|| format!("cannot time `{command}`"))?;
    let mut micros: Vec<u64> = output.lines().filter_map(|line| line.parse().ok()).collect();
    micros.sort_unstable();
    let middle = micros.get(micros.len() / 2).with_context(|| format!("`{command}` was never timed"))?;
    Ok(Duration::from_micros(*middle))
}

/// Runs Patchday through its reboot, and returns what it and its work used.
fn run(machine: &Machine) -> Result<Usage> {
    let boot = machine.boot_id()?;
    let mut follower = machine.spawn(&["patchday", "run", "--yes"])?;
    let run = wait_for("the run to be recorded", BOOT_TIMEOUT, || Ok(run_id(machine)))?;
    let over = AtomicBool::new(false);
    let (usage, followed) = thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut usage = Usage::default();
            while !over.load(Ordering::Relaxed) {
                usage.sample(machine, &run);
                thread::sleep(SAMPLE_EVERY);
            }
            usage
        });
        let followed = went_down(machine, &mut follower)
            .and_then(|()| machine.wait_for_reboot(&boot, BOOT_TIMEOUT))
            .and_then(|_| machine.exec(&["patchday", "attach", "--last"]));
        over.store(true, Ordering::Relaxed);
        (sampler.join(), followed)
    });
    let output = followed?;
    eprint!("{}", output.stdout);
    if !output.success() {
        bail!("the run ended with {}: {}", output.status, output.stderr);
    }
    usage.map_err(|_| anyhow::anyhow!("the sampler panicked"))
}

/// Waits until the machine goes down under the run. A run that ends before that is an error: nothing was measured.
fn went_down(machine: &Machine, follower: &mut Child) -> Result<()> {
    let status = wait_for("the reboot", RUN_TIMEOUT, || follower.try_wait().context("cannot wait for the run"))?;
    if status.code().is_some_and(|code| code < 128) {
        let report = machine.exec(&["patchday", "report"])?;
        bail!("the run ended without a reboot ({status})\n{}", report.stdout);
    }
    Ok(())
}

/// The ID in the first line of `patchday status`, once there is one.
fn run_id(machine: &Machine) -> Option<String> {
    let status = machine.exec(&["patchday", "status"]).ok()?;
    let id = status.stdout.strip_prefix("patchday ")?.split(' ').next()?;
    Some(id.to_owned())
}

/// What the units of a run used.
#[derive(Debug, Default)]
struct Usage {
    /// CPU time of each unit with all its processes, by its name without the run.
    cpu: BTreeMap<&'static str, Duration>,
    /// CPU time of each coordinator process itself, in whole ticks.
    own: BTreeMap<u32, Duration>,
    /// CPU time of each thread of theirs, by process and thread.
    threads: BTreeMap<(u32, String), Duration>,
    peak_kib: u64,
}

/// The units, the slice of each, and the name that they have with a run.
const UNITS: [(&str, &str, &str); 6] = [
    ("coordinator before the reboot", "system.slice", "patchday-run-@.service"),
    ("coordinator after the reboot", "system.slice", "patchday-resume.service"),
    ("apt-get update", "patchday.slice", "patchday-refresh-@-1.service"),
    ("apt-get --download-only", "patchday.slice", "patchday-download-@-1.service"),
    ("apt-get dist-upgrade", "patchday.slice", "patchday-upgrade-@-1.service"),
    ("dkms install", "patchday.slice", "patchday-build-kernel-@-1.service"),
];

fn is_coordinator(unit: &str) -> bool {
    unit.starts_with("coordinator")
}

fn is_work(unit: &str) -> bool {
    unit.starts_with("apt-get")
}

impl Usage {
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
                if is_coordinator(name) {
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
            let used = ticks(&stat).map(|ticks| Duration::from_millis(ticks * 10)).unwrap_or_default();
            let known = self.own.entry(pid).or_default();
            *known = used.max(*known);
            for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let Ok(stat) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
                let used = field(&stat, "").map(Duration::from_nanos).unwrap_or_default();
                let known = self.threads.entry((pid, thread.file_name().to_string_lossy().into_owned())).or_default();
                *known = used.max(*known);
            }
            self.peak_kib = self.peak_kib.max(field(&status, "VmHWM:").unwrap_or_default());
        }
    }

    fn own(&self) -> Duration {
        let threads = |pid: u32| self.threads.iter().filter(move |((of, _), _)| *of == pid).map(|(_, used)| used);
        self.own.iter().map(|(pid, ticks)| (*ticks).max(threads(*pid).sum())).sum()
    }

    fn total(&self, which: fn(&str) -> bool) -> Duration {
        self.cpu.iter().filter(|(unit, _)| which(unit)).map(|(_, used)| used).sum()
    }
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// `utime` and `stime` of proc_pid_stat(5), in hundredths of a second; the name before them may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}
