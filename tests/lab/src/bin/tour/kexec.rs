//! A new kernel by kexec, and a full reboot of the same machine beside it.

use std::time::Instant;

use anyhow::{Context, Result};
use patchday_lab::{EmulatedMachine, Lab, Testbed};
use serde_json::Value;

use super::{Arguments, BOOT, CONFIGURATION, KEXEC, Shown, end_of_run, in_the_background, kernel, prepare};

const SETTINGS: &str = "[verify]\nboot-timeout = \"30m\"\nsettle = \"10s\"\n[reboot]\nleast = ";

/// What a reboot did, by its report.
struct Rebooted {
    took: f64,
    report: Value,
}

pub(crate) fn beside_a_full_reboot(lab: &Lab, arguments: &Arguments, shown: &mut Vec<Shown>) -> Result<()> {
    let mut start = Instant::now();
    let mut show = |what: String, as_expected: bool| {
        eprintln!("tour: {KEXEC}: {what}");
        shown.push(Shown { part: KEXEC, what, took: start.elapsed(), as_expected });
        start = Instant::now();
    };
    let machine = lab.qemu_machine("kexec")?;
    machine.boot()?;
    machine.wait_until_up(BOOT)?;
    machine.wait_until_healthy(BOOT)?;
    let (old, line) = (kernel(&machine, "-r")?, command_line(&machine)?);
    show(format!("booted {old}"), started_by_kexec(&machine)? == Some(false));

    prepare(&machine, &arguments.shipped, &format!("{SETTINGS}\"kexec\"\n"))?;
    // What DKMS builds for a new kernel is another part's matter.
    in_the_background(&machine, "dkms remove lab-tour/1.0 --all")?;
    let fast = run(&machine, 1)?;
    let running = kernel(&machine, "-r")?;
    let is_expected = running != old && fast.report["kernel"]["expected"].as_str() == Some(running.as_str());
    show(format!("{}, {running} runs", told(&fast.report)), is_well(&fast.report, "kexec") && is_expected);
    show("the kernel says that kexec has started it".to_owned(), started_by_kexec(&machine)? == Some(true));
    let same = command_line(&machine)? == line.replace(&old, &running);
    show("its command line is the one that GRUB gives".to_owned(), same);

    machine.exec_ok(&["sed", "-i", "s/^least = .*/least = \"full\"/", CONFIGURATION])?;
    // As a package does that wants a reboot: nothing is pending.
    machine.write("/run/reboot-required", b"*** System restart required ***\n", 0o644)?;
    let slow = run(&machine, 2)?;
    let is_same = kernel(&machine, "-r")? == running && command_line(&machine)? == line.replace(&old, &running);
    show(told(&slow.report), is_well(&slow.report, "full") && is_same);
    show("the kernel says that GRUB has started it".to_owned(), started_by_kexec(&machine)? == Some(false));
    let words = "from the request until the services are ready";
    show(format!("{words}: {:.0} s by kexec, {:.0} s in full", fast.took, slow.took), fast.took < slow.took);
    println!("{}", machine.exec_ok(&["patchday", "history"])?);
    Ok(())
}

fn run(machine: &EmulatedMachine, number: usize) -> Result<Rebooted> {
    machine.start(&["patchday", "run", "--yes"])?;
    let report = end_of_run(machine, number)?;
    println!("{}", machine.exec_ok(&["patchday", "report"])?);
    let seconds = |at: &Value| -> Result<f64> {
        let at = at.as_str().with_context(|| format!("no time: {report}"))?;
        machine.exec_ok(&["date", "--date", at, "+%s.%N"])?.trim().parse().context("no time")
    };
    let requested = seconds(&report["reboot"]["requested"])?;
    let services = report["services"].as_array().context("no services")?;
    let mut last = requested;
    for service in services {
        last = seconds(&service["downtime"]["until"])?.max(last);
    }
    Ok(Rebooted { took: last - requested, report })
}

fn told(report: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    format!(
        "asked for {}, was {}: {}",
        text(&report["reboot"]["restart"]),
        text(&report["reboot"]["restarted"]),
        text(&report["verdict"])
    )
}

fn is_well(report: &Value, restart: &str) -> bool {
    let reboot = &report["reboot"];
    reboot["restart"] == restart && reboot["restarted"] == restart && report["verdict"] == "healthy"
}

fn command_line(machine: &EmulatedMachine) -> Result<String> {
    Ok(machine.exec_ok(&["cat", "/proc/cmdline"])?.trim().to_owned())
}

/// By the kernel's own word, which knows who has started it.
fn started_by_kexec(machine: &EmulatedMachine) -> Result<Option<bool>> {
    let number = machine.exec_ok(&["cat", "/proc/sys/kernel/bootloader_type"])?;
    Ok(number.trim().parse::<u32>().ok().map(|number| number >> 4 == 0xd))
}
