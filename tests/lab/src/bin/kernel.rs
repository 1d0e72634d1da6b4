//! A kernel is built from its source under a cap that is changed meanwhile, while users ask; then it is booted, and DKMS
//! builds a module for it in the same way.
//!
//! The machine has one CPU and a kernel of its own, so that the cap is the kernel's word and not ours. How much of the
//! CPU the build had is told by `cpu.stat` of its control group, how users fared by the sample API's answers, due times
//! counted. Every window is printed, whatever it shows; what must be is that the cap held and that the new kernel runs.

use anyhow::{Result, bail, ensure};
use clap::Parser;
use patchday_lab::{EmulatedMachine, Lab, Shipped, Testbed, Window, ended, services, wait_for};
use serde_json::Value;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const BOOT_TIMEOUT: Duration = Duration::from_secs(300);
const BUILD_TIMEOUT: Duration = Duration::from_secs(5400);

const TREE: &str = "/usr/src/linux";
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
    windows.extend(Window::watch_caps(&machine, "kernel by Patchday", seconds)?);
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

/// A run in which DKMS builds a module, and nothing else is to do. The services run meanwhile.
fn build_module(machine: &EmulatedMachine, release: &str, seconds: u32, windows: &mut Vec<Window>) -> Result<()> {
    configure(machine, "order = \"late-stop\"")?;
    machine.exec_ok(&["ln", "-s", TREE, &format!("/lib/modules/{release}/build")])?;
    machine.exec_ok(&["dkms", "add", MODULE])?;
    machine.wait_until_healthy(BOOT_TIMEOUT)?;
    let heard = machine.sightings(0).len();
    machine.start(&["patchday", "run", "--yes", "--no-reboot"])?;
    wait_for_event(machine, heard, "\"event\":\"step-started\",\"step\":\"build-kernel\"")?;
    windows.extend(Window::watch_caps(machine, "module by DKMS", seconds)?);
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

fn print(windows: &[Window], report: &str) {
    println!("{report}");
    println!("{}", Window::heading());
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
    match windows.iter().find_map(Window::broken_cap) {
        Some(why) => bail!(why),
        None => Ok(()),
    }
}
