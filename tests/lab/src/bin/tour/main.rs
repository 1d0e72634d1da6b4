//! The grand tour: real kernels, a real GRUB and real reboots. One machine goes to a new kernel, with a module that DKMS
//! builds; another gets one that does not boot, and must come back with the old one. One is rebooted by kexec, and once more
//! in full. On another one users ask while DKMS builds a module under caps: these machines have two CPUs. Prints one table of
//! each kind.

mod kexec;

use anyhow::{Context, Result, bail};
use clap::Parser;
use patchday_lab::{EmulatedMachine, Lab, Shipped, Sighting, Testbed, Window, ended, services, slow_module, wait_for};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Take machines with a boot loader to a new kernel, and back from a broken one
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    shipped: Shipped,
    /// Only the parts whose name holds this text: new kernel, module excluded, broken kernel, pinned default, same release, caps, kexec
    #[arg(long, default_value = "")]
    only: String,
    /// How long each window of the caps is, in seconds
    #[arg(long, default_value_t = 45)]
    seconds: u32,
}

/// QEMU without KVM is slow, and the host may be busy.
const BOOT: Duration = Duration::from_secs(900);
const RUN: Duration = Duration::from_secs(3600);

const CONFIGURATION: &str = "/etc/patchday/patchday.toml";

/// Services start slowly under emulation: mongod alone may take longer than the default of two minutes.
const SLOW: &str = "start-timeout = \"15m\"";

/// What a part does to its machine, and what must come of it.
#[derive(Debug, Clone, Copy)]
struct Part {
    name: &'static str,
    /// A shell's orders before the run.
    prepare: &'static [&'static str],
    settings: &'static str,
    /// See docs/exit-codes.md.
    due: (&'static str, u64),
    runs: Runs,
    /// What the report says among all else.
    says: &'static str,
}

/// Which kernel runs in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    Newer,
    /// The one from before, as it was.
    Before,
    /// Of the same release, built anew.
    Rebuilt,
}

/// As on a host whose kernels may be tried.
const TRIAL: &str = "[verify]\non-failure = \"previous-kernel\"\nboot-timeout = \"30m\"\nsettle = \"10s\"\n";
const NO_TRIAL: &str = "[verify]\nboot-timeout = \"30m\"\nsettle = \"10s\"\n[reboot]\nwhen = \"always\"\n";

/// A module that takes no kernel of this host, and that DKMS builds by itself.
const EXCLUDED: &str = "cp -r /usr/src/lab-tour-1.0 /usr/src/lab-excluded-1.0; cd /usr/src/lab-excluded-1.0\n\
    sed -i 's/lab-tour/lab-excluded/' dkms.conf; echo 'BUILD_EXCLUSIVE_KERNEL=\"^5\\..*\"' >>dkms.conf\n\
    dkms add lab-excluded/1.0\n";

const PARTS: [Part; 5] = [
    Part {
        name: "new kernel",
        prepare: &[EXCLUDED, "touch /etc/dkms/no-autoinstall\n"],
        settings: TRIAL,
        due: ("healthy", 0),
        runs: Runs::Newer,
        says: "nothing found",
    },
    Part {
        name: "module excluded",
        // Debian 12's DKMS fails the new kernel's installation for it.
        prepare: &[EXCLUDED],
        settings: TRIAL,
        due: ("none", 20),
        runs: Runs::Before,
        says: "DKMS would fail the installation of the new kernel",
    },
    Part {
        name: "broken kernel",
        // Spoils the new kernel's initrd after all else has been done to it, so that it finds no root file system, and
        // panics. Nobody can see that of a file: its size is that of an initrd.
        prepare: &["cat >/etc/kernel/postinst.d/zzz-lab-break <<'END'\n\
                  #!/bin/sh\nset -e\nhead -c 20M /dev/urandom >\"/boot/initrd.img-$1\"\nEND\n\
                  chmod 755 /etc/kernel/postinst.d/zzz-lab-break\n"],
        settings: TRIAL,
        due: ("degraded", 23),
        runs: Runs::Before,
        says: "runs again",
    },
    Part {
        name: "pinned default",
        prepare: &["menu() { grep -o \"gnulinux-${1-}advanced-[^']*\" /boot/grub/grub.cfg | head -n 1; }\n\
                  sed -i \"s/^GRUB_DEFAULT=.*/GRUB_DEFAULT='$(menu)>$(menu \"$(uname -r)-\")'/\" /etc/default/grub\n\
                  update-grub\n"],
        settings: NO_TRIAL,
        due: ("healthy", 0),
        runs: Runs::Before,
        says: "will not be started",
    },
    Part {
        name: "same release",
        prepare: &["dpkg --install /srv/rebuilt/*.deb\n\
                  mkdir /srv/empty; : >/srv/empty/Packages; rm -f /etc/apt/sources.list.d/*\n\
                  echo 'deb [trusted=yes] file:/srv/empty ./' >/etc/apt/sources.list; apt-get -qq update\n"],
        settings: "[verify]\nboot-timeout = \"30m\"\nsettle = \"10s\"\n",
        due: ("healthy", 0),
        runs: Runs::Rebuilt,
        says: "is installed as",
    },
];

/// Parts that are played in their own way.
const CAPS: &str = "caps";
const KEXEC: &str = "kexec";
const BY_HAND: &str = "by-hand.service";

/// A repository without a package, in place of all others.
const NOTHING_PENDING: &str = "mkdir /srv/empty; : >/srv/empty/Packages; rm -f /etc/apt/sources.list.d/*\n\
    echo 'deb [trusted=yes] file:/srv/empty ./' >/etc/apt/sources.list; apt-get -qq update\n";

struct Shown {
    part: &'static str,
    what: String,
    took: Duration,
    as_expected: bool,
}

fn main() -> ExitCode {
    ended("tour", tour(&Arguments::parse()))
}

fn tour(arguments: &Arguments) -> Result<bool> {
    let lab = Lab::new()?;
    let mut shown = Vec::new();
    let parts = PARTS.iter().map(|part| (part.name, Some(part))).chain([(CAPS, None), (KEXEC, None)]);
    for (part, played) in parts.filter(|(part, _)| part.contains(&arguments.only)) {
        let played = match played {
            None if part == KEXEC => kexec::beside_a_full_reboot(&lab, arguments, &mut shown),
            None => build_under_caps(&lab, arguments, &mut shown),
            Some(part) => play(&lab, arguments, *part, &mut shown),
        };
        if let Err(error) = played {
            eprintln!("tour: {part}: {error:#}");
            let what = "ended early".to_owned();
            shown.push(Shown { part, what, took: Duration::ZERO, as_expected: false });
        }
    }
    println!("\n{:<16} {:<60} {:>7}", "part", "what", "took");
    for Shown { part, what, took, as_expected } in &shown {
        let mark = if *as_expected { "" } else { "  WRONG" };
        println!("{part:<16} {what:<60} {:>5.0} s{mark}", took.as_secs_f64());
    }
    Ok(!shown.is_empty() && shown.iter().all(|shown| shown.as_expected))
}

fn play(lab: &Lab, arguments: &Arguments, part: Part, shown: &mut Vec<Shown>) -> Result<()> {
    let Part { name, prepare: orders, settings, due, runs, says } = part;
    let mut start = Instant::now();
    let mut show = |what: String, as_expected: bool| {
        eprintln!("tour: {name}: {what}");
        shown.push(Shown { part: name, what, took: start.elapsed(), as_expected });
        start = Instant::now();
    };
    let machine = lab.qemu_machine("tour")?;
    machine.boot()?;
    let state = machine.wait_until_up(BOOT)?;
    machine.wait_until_healthy(BOOT)?;
    let (old, old_version) = (kernel(&machine, "-r")?, kernel(&machine, "-v")?);
    show(format!("booted {old}: {state}"), state == "running");

    prepare(&machine, &arguments.shipped, settings)?;
    in_the_background(&machine, &orders.concat())?;
    show("Patchday installed, and the host as it is to be".to_owned(), true);

    machine.start(&["patchday", "run", "--yes"])?;
    let report = end_of_run(&machine, 1)?;
    let verdict = report["verdict"].as_str().unwrap_or("none").to_owned();
    let exit_code = report["exit_code"].as_u64();
    let code = exit_code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    let is_due = (verdict.as_str(), exit_code) == (due.0, Some(due.1));
    show(format!("run ended: verdict {verdict}, exit code {code}"), is_due);

    let (running, version) = (kernel(&machine, "-r")?, kernel(&machine, "-v")?);
    let is_right = match runs {
        Runs::Newer => running != old && report["kernel"]["expected"].as_str() == Some(running.as_str()),
        Runs::Before => running == old && version == old_version,
        Runs::Rebuilt => running == old && version != old_version,
    };
    show(format!("{old} ran, {running} runs: {}", version.split(" Debian ").last().unwrap_or_default()), is_right);
    let text = machine.exec_ok(&["patchday", "report"])?;
    let is_said = text.split_whitespace().collect::<Vec<_>>().join(" ").contains(says);
    show(format!("the report says: {says}"), is_said);
    if runs == Runs::Newer {
        let built = machine.exec_ok(&["dkms", "status", "-k", &running])?;
        show(format!("dkms: {}", built.trim()), built.trim_end().ends_with(": installed"));
        let loaded = machine.exec(&["modprobe", "--verbose", "lab_tour"])?;
        show("the module of DKMS can be loaded".to_owned(), loaded.success());
    }
    println!("{text}");
    Ok(())
}

/// Under emulation an initrd takes longer to build than anybody waits for an answer.
fn in_the_background(machine: &EmulatedMachine, orders: &str) -> Result<()> {
    // In a file: systemd would put values in the place of a shell's variables.
    machine.write("/srv/orders", orders.as_bytes(), 0o600)?;
    machine.exec_ok(&[
        "systemd-run",
        "--quiet",
        "--unit=lab-orders",
        "--property=RemainAfterExit=yes",
        "sh",
        "-eu",
        "/srv/orders",
    ])?;
    let show = ["systemctl", "show", "-P", "ActiveState", "-P", "SubState", "lab-orders.service"];
    wait_for("what is done before the run", BOOT, || {
        match machine.exec_ok(&show)?.split_whitespace().collect::<Vec<_>>()[..] {
            ["active", "exited"] => Ok(Some(())),
            ["failed", _] => bail!("{}", machine.exec_ok(&["journalctl", "-u", "lab-orders.service", "-n", "40"])?),
            _ => Ok(None),
        }
    })?;
    machine.exec_ok(&["systemctl", "stop", "lab-orders.service"]).map(drop)
}

/// Users ask while DKMS builds a module, by hand and in a run that has nothing else to do. The build is not waited for: how
/// it goes on is the other parts' matter.
fn build_under_caps(lab: &Lab, arguments: &Arguments, shown: &mut Vec<Shown>) -> Result<()> {
    let start = Instant::now();
    let machine = lab.qemu_machine("caps")?;
    machine.boot()?;
    machine.wait_until_up(BOOT)?;
    machine.wait_until_healthy(BOOT)?;
    prepare(&machine, &arguments.shipped, "[verify]\nsettle = \"10s\"\n[upgrade]\norder = \"late-stop\"\n")?;
    machine.exec_ok(&["sh", "-ec", NOTHING_PENDING])?;
    machine.exec_ok(&["sh", "-ec", &slow_module("make -C /lib/modules/$kernelver/build")])?;
    machine.exec_ok(&["cp", "-r", "/usr/src/lab-slow-1.0", "/srv/by-hand"])?;

    let seconds = arguments.seconds;
    let mut windows = vec![Window::watch(&machine, "no build", None, seconds)?];
    let tree = format!("/lib/modules/{}/build", kernel(&machine, "-r")?);
    let make = ["make", "-j2", "-C", &tree, "M=/srv/by-hand", "modules"];
    machine.exec_ok(&[&["systemd-run", "--quiet", "--unit", BY_HAND, "--"][..], &make].concat())?;
    wait_for("the build by hand", BOOT, || Ok(machine.exec(&["pgrep", "cc1"])?.success().then_some(())))?;
    let group = format!("/sys/fs/cgroup/system.slice/{BY_HAND}");
    windows.push(Window::watch(&machine, "make by hand", Some((&group, None)), seconds)?);
    machine.exec_ok(&["systemctl", "stop", BY_HAND])?;

    machine.exec_ok(&["dkms", "add", "lab-slow/1.0"])?;
    machine.start(&["patchday", "run", "--yes", "--no-reboot"])?;
    let builds = |sighting: &Sighting| {
        let words = "\"event\":\"step-started\",\"step\":\"build-kernel\"";
        sighting.source == "event" && sighting.text.contains(words)
    };
    let begun = wait_for("the build", RUN, || Ok(machine.sightings(0).iter().any(builds).then_some(())));
    begun.with_context(|| format!("{:?}", machine.exec(&["patchday", "report"])))?;
    wait_for("the compiler", BOOT, || Ok(machine.exec(&["pgrep", "cc1"])?.success().then_some(())))?;
    windows.extend(Window::watch_caps(&machine, "module by DKMS", seconds)?);
    machine.exec_ok(&["patchday", "limits", "--cpu-weight", "0"])?;
    windows.extend(Window::watch_caps(&machine, "the same, idle", seconds)?);

    println!("{}", Window::heading());
    windows.iter().for_each(|window| println!("{}", window.row()));
    let [idle, _, capped @ ..] = &windows[..] else { bail!("no window was watched") };
    for window in capped {
        let (what, as_expected) = (window.beside(idle), !window.exceeds_cap());
        shown.push(Shown { part: CAPS, what, took: start.elapsed(), as_expected });
    }
    Ok(())
}

fn prepare(machine: &EmulatedMachine, shipped: &Shipped, more: &str) -> Result<()> {
    machine.install(&shipped.patchday, &shipped.systemd)?;
    let mut settings = services(machine, SLOW, SLOW);
    // They may not answer in the time that checks give them.
    settings += "[preflight]\nallow = [\"clock\", \"patch-tools\", \"reboot-begins\"]\n";
    settings += "[limits]\ncpu = \"100%\"\n";
    settings += more;
    machine.write(CONFIGURATION, settings.as_bytes(), 0o600)
}

fn kernel(machine: &EmulatedMachine, option: &str) -> Result<String> {
    Ok(machine.exec_ok(&["uname", option])?.trim().to_owned())
}

/// Waits until the run has ended, over its reboots, and returns its report; it is the machine's run of this number, from 1.
/// The agent tells of the end, so that nobody need ask a machine that is slow enough. On each boot it tells of earlier ones
/// too.
fn end_of_run(machine: &EmulatedMachine, number: usize) -> Result<Value> {
    let run_that_ended = |sighting: Sighting| {
        let event = serde_json::from_str::<Value>(&sighting.text).unwrap_or_default();
        let is_end = sighting.source == "event" && event["event"] == "run-ended";
        is_end.then(|| event["run"].as_str().map(str::to_owned)).flatten()
    };
    let ended = wait_for("the end of the run", RUN, || {
        let runs: BTreeSet<String> = machine.sightings(0).into_iter().filter_map(run_that_ended).collect();
        Ok((runs.len() >= number).then_some(()))
    });
    ended.with_context(|| format!("-- console --\n{}\n--", machine.console()))?;
    machine.wait_until_up(BOOT)?;
    serde_json::from_str(&machine.exec_ok(&["patchday", "report", "--json"])?).context("no report")
}
