//! A kernel is built from its source under a cap that is changed meanwhile, while users ask; then it is booted, and DKMS
//! builds a module for it in the same way.
//!
//! The machine has one CPU and a kernel of its own, so that the cap is the kernel's word and not ours. How much of the
//! CPU the build had is told by `cpu.stat` of its control group, how users fared by the sample API's answers, due times
//! counted. Every window is printed, whatever it shows; what must be is that the cap held and that the new kernel runs.

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use patchday_lab::{EmulatedMachine, Lab, Shipped, Testbed, ended, services, wait_for};
use serde_json::Value;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const BOOT_TIMEOUT: Duration = Duration::from_secs(300);
const BUILD_TIMEOUT: Duration = Duration::from_secs(5400);

/// The aim of the cap: points of a percent that the use may be away from it.
const POINTS: f64 = 3.0;

const CAPS: [u32; 3] = [20, 50, 80];

const TREE: &str = "/usr/src/linux";
const SLICE: &str = "/sys/fs/cgroup/patchday.slice";
const MODULE: &str = "lab-slow/1.0";
const RUN_ENDED: &str = "\"event\":\"run-ended\"";
const BY_HAND: &str = "by-hand.service";

/// Build a kernel from its source under caps, and boot it
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    shipped: Shipped,
    /// How long each window is, in seconds
    #[arg(long, default_value_t = 45)]
    seconds: u32,
    /// How many files of the source are changed since it was built
    #[arg(long, default_value_t = 120)]
    files: u32,
}

fn main() -> ExitCode {
    ended("kernel", show(&Arguments::parse()).map(|()| true))
}

fn show(arguments: &Arguments) -> Result<()> {
    let machine = Lab::new()?.kernel_machine("kernel")?;
    machine.boot()?;
    machine.wait_until_up(BOOT_TIMEOUT)?;
    machine.wait_until_healthy(BOOT_TIMEOUT)?;
    machine.install(&arguments.shipped.patchday, &arguments.shipped.systemd)?;
    configure(&machine, "ahead = true")?;
    let before = running(&machine)?;
    let changed = format!("find kernel mm fs block -name '*.c' | head -n {} | xargs touch", arguments.files);
    machine.exec_ok(&["sh", "-c", &format!("cd {TREE} && {changed}")])?;
    eprintln!("kernel: {before} runs; {} files of {TREE} are changed", arguments.files);

    let seconds = arguments.seconds;
    let mut windows = vec![Window::watch(&machine, "no build", None, seconds)?];
    let by_hand =
        ["systemd-run", "--quiet", "--unit", BY_HAND, "--working-directory", TREE, "make", "ARCH=um", "linux"];
    machine.exec_ok(&by_hand)?;
    let group = format!("/sys/fs/cgroup/system.slice/{BY_HAND}");
    wait_for("the build by hand", BOOT_TIMEOUT, || Ok(machine.exec(&["pgrep", "cc1"])?.success().then_some(())))?;
    windows.push(Window::watch(&machine, "make by hand", Some((&group, None)), seconds)?);
    machine.exec_ok(&["systemctl", "stop", BY_HAND])?;

    machine.start(&["patchday", "run", "--yes"])?;
    wait_for_event(&machine, 0, "Compiling ")?;
    watch_caps(&machine, "kernel by Patchday", seconds, &mut windows)?;
    let began = Instant::now();
    machine.wait_for_boot(2, BUILD_TIMEOUT)?;
    eprintln!("kernel: rebooted after another {:.0} s", began.elapsed().as_secs_f64());
    let report = closed_report(&machine)?;

    let told = machine.exec_ok(&["patchday", "report"])?;
    let after = running(&machine)?;
    build_module(&machine, &after, seconds, &mut windows)?;

    print(&windows, &told);
    judge(&windows, &after, &report, &before)
}

fn watch_caps(machine: &EmulatedMachine, what: &'static str, seconds: u32, windows: &mut Vec<Window>) -> Result<()> {
    for cap in CAPS {
        machine.exec_ok(&["patchday", "limits", "--cpu", &format!("{cap}%")])?;
        windows.push(Window::watch(machine, what, Some((SLICE, Some(cap))), seconds)?);
    }
    machine.exec_ok(&["patchday", "limits", "--cpu", "100%"]).map(drop)
}

/// A run in which DKMS builds a module, and nothing else is to do. The services run meanwhile.
fn build_module(machine: &EmulatedMachine, release: &str, seconds: u32, windows: &mut Vec<Window>) -> Result<()> {
    configure(machine, "order = \"late-stop\"")?;
    machine.exec_ok(&["ln", "-s", TREE, &format!("/lib/modules/{release}/build")])?;
    machine.exec_ok(&["dkms", "add", MODULE])?;
    machine.wait_until_healthy(BOOT_TIMEOUT)?;
    let heard = machine.sightings(0).len();
    machine.start(&["patchday", "run", "--yes", "--no-reboot"])?;
    wait_for_event(machine, heard, "\"event\":\"step-started\",\"step\":\"build-kernel\"")?;
    watch_caps(machine, "module by DKMS", seconds, windows)?;
    wait_for_event(machine, heard, RUN_ENDED)?;
    let status = machine.exec_ok(&["dkms", "status", "-m", MODULE, "-k", release])?;
    ensure!(
        status.contains("installed"),
        "{MODULE} was not built: {status}{}",
        machine.exec_ok(&["patchday", "report"])?
    );
    Ok(())
}

fn configure(machine: &EmulatedMachine, upgrade: &str) -> Result<()> {
    let services = services(machine, "start-timeout = \"120s\"", "start-timeout = \"120s\"");
    let text = format!(
        "{services}\
         [limits]\ncpu = \"100%\"\n\
         [upgrade]\n{upgrade}\n\
         [kernel]\nsource = \"{TREE}\"\nmake = [\"ARCH=um\", \"LOCALVERSION=-lab\"]\n\
         command = [\"/usr/local/sbin/package-kernel\"]\n\
         [verify]\nsettle = \"1s\"\n"
    );
    machine.write("/etc/patchday/patchday.toml", text.as_bytes(), 0o644)
}

fn running(machine: &EmulatedMachine) -> Result<String> {
    Ok(machine.exec_ok(&["uname", "-r"])?.trim().to_owned())
}

/// Waits until an event holds these words. What the agent tells is heard without asking the machine, whose one CPU is busy.
fn wait_for_event(machine: &EmulatedMachine, mut heard: usize, words: &str) -> Result<()> {
    wait_for(words, BUILD_TIMEOUT, || {
        let news = machine.sightings(heard);
        heard += news.len();
        let said =
            |words: &str| news.iter().any(|sighting| sighting.source == "event" && sighting.text.contains(words));
        if said(words) {
            return Ok(Some(()));
        }
        if said(RUN_ENDED) {
            bail!("{}", machine.exec(&["patchday", "report"])?.stdout);
        }
        Ok(None)
    })
}

/// The report of the run, once it is closed.
fn closed_report(machine: &EmulatedMachine) -> Result<Value> {
    wait_for("the end of the run", BOOT_TIMEOUT, || {
        let said = machine.exec(&["patchday", "report", "--json"])?;
        let report: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
        Ok((!report["exit_code"].is_null()).then_some(report))
    })
}

/// How the host fared for a while.
struct Window {
    what: &'static str,
    cap: Option<u32>,
    /// Percent of the CPU that the build had; none without a build.
    used: Option<f64>,
    /// Microseconds, in order.
    answers: Vec<u64>,
    refused: usize,
}

impl Window {
    fn watch(
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
        eprintln!("kernel: {}", window.row());
        Ok(window)
    }

    fn quantile(&self, of: f64) -> f64 {
        let at = ((self.answers.len() as f64 * of).ceil() as usize).clamp(1, self.answers.len().max(1)) - 1;
        self.answers.get(at).map_or(f64::NAN, |microseconds| *microseconds as f64 / 1000.0)
    }

    fn row(&self) -> String {
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
}

impl Used {
    fn read(machine: &EmulatedMachine, group: &str) -> Result<Self> {
        let said = machine.exec_ok(&["cat", "/proc/uptime", &format!("{group}/cpu.stat")])?;
        let mut words = said.split_whitespace();
        let uptime = words.next().and_then(|word| word.parse().ok()).context("no uptime")?;
        let cpu = words.skip_while(|word| *word != "usage_usec").nth(1).and_then(|word| word.parse::<f64>().ok());
        Ok(Self { uptime, cpu: cpu.context("no usage_usec")? / 1e6 })
    }

    fn percent_since(&self, before: &Self) -> f64 {
        (self.cpu - before.cpu) / (self.uptime - before.uptime) * 100.0
    }
}

fn print(windows: &[Window], report: &str) {
    println!("{report}");
    println!("{:<18} {:>8} {:>8} {:>9} {:>9} {:>9} {:>8}", "", "cap", "used", "p50 ms", "p99 ms", "max ms", "refused");
    for window in windows {
        println!("{}", window.row());
    }
}

fn judge(windows: &[Window], after: &str, report: &Value, before: &str) -> Result<()> {
    let expected = &report["kernel"]["expected"];
    println!("\n{before} before, {after} after, {expected} was expected; verdict {}", report["verdict"]);
    ensure!(after != before && after.ends_with("-lab"), "the kernel that was built does not run");
    ensure!(expected.as_str() == Some(after), "another kernel was expected than the one that was built");
    ensure!(report["exit_code"] == 0, "the run ended with {}", report["exit_code"]);
    for window in windows {
        if let (Some(cap), Some(used)) = (window.cap, window.used) {
            ensure!((used - f64::from(cap)).abs() <= POINTS, "the cap of {cap} % did not hold: {used:.1} %");
        }
    }
    Ok(())
}
