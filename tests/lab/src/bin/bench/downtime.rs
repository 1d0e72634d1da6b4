//! How long the API is away while a machine is patched and rebooted: by Patchday, and by what people use without it.

use crate::figures::Table;
use crate::prober::{Downtime, Prober};
use anyhow::{Context, Result, bail, ensure};
use patchday_lab::{Image, Lab, Machine, Shipped, Suite, services, wait_for};
use serde_json::Value;
use std::process::Child;
use std::thread;
use std::time::Duration;

const RUN_TIMEOUT: Duration = Duration::from_secs(900);
/// An API that answered for so long in the new boot is back.
const LASTING: Duration = Duration::from_secs(5);

const PREPARE: &str = include_str!("../../../recipe/downtime/prepare.sh");
const UNATTENDED: &str = include_str!("../../../recipe/downtime/unattended-upgrades.conf");
const KERNEL: &str = "linux-image-cloud-amd64";

/// A way to patch and reboot a server.
struct Way {
    name: &'static str,
    /// The share of the script's downtime that it should not exceed.
    aim: Option<f64>,
    by: By,
}

enum By {
    /// A shell's commands, with apt's settings for them.
    Commands { settings: &'static str, commands: &'static str },
    /// Patchday, with this in its configuration besides the services.
    Patchday { settings: &'static str },
}

/// The first is what the others are compared with.
const WAYS: [Way; 6] = [
    Way {
        name: "script",
        aim: None,
        by: By::Commands {
            settings: "",
            commands: "systemctl stop sample-api mongod; apt-get -y dist-upgrade; reboot",
        },
    },
    Way {
        name: "unattended-upgrades",
        aim: None,
        by: By::Commands { settings: UNATTENDED, commands: "unattended-upgrade" },
    },
    Way { name: "Patchday", aim: Some(0.8), by: By::Patchday { settings: "" } },
    Way {
        name: "Patchday, `ahead`",
        aim: Some(0.35),
        by: By::Patchday { settings: "[upgrade]\nahead = \"kernel\"\n" },
    },
    Way {
        name: "Patchday, `unrelated`",
        aim: Some(0.15),
        by: By::Patchday { settings: "[upgrade]\nahead = \"unrelated\"\n" },
    },
    Way {
        name: "Patchday, `late-stop`",
        aim: Some(0.35),
        by: By::Patchday { settings: "[upgrade]\norder = \"late-stop\"\n" },
    },
];

/// In turn, so that a busy hour of the host hits all alike.
pub(crate) fn measure(shipped: &Shipped, suite: Suite, times: u32, only: &str) -> Result<Table> {
    let lab = Lab::new()?;
    let image = Image::ensure(&lab, suite)?.with(&lab, PREPARE)?;
    let others = WAYS.iter().skip(1).filter(|way| way.name.contains(only));
    let mut measured: Vec<(&Way, Vec<Downtime>)> = WAYS.iter().take(1).chain(others).map(|way| (way, vec![])).collect();
    for round in 1..=times {
        for (way, measured) in &mut measured {
            eprintln!("bench: downtime, round {round} of {times}: {}", way.name);
            let downtime = once(&lab, &image, shipped, way).with_context(|| way.name)?;
            eprintln!("bench: away for {:.1} s", downtime.total().as_secs_f64());
            measured.push(downtime);
        }
    }
    Ok(table(&measured, times, suite))
}

fn once(lab: &Lab, image: &Image, shipped: &Shipped, way: &Way) -> Result<Downtime> {
    let machine = lab.booted_machine_of(image, "downtime")?;
    let pending = machine.pending_upgrades()?;
    ensure!(pending.iter().any(|name| name == KERNEL), "no newer {KERNEL} is pending: there is nothing to compare");
    eprintln!("bench: {} packages to upgrade", pending.len());
    let kernel = newest_kernel(&machine)?;
    let command = match way.by {
        By::Commands { settings, commands } => {
            machine.write_file("/etc/apt/apt.conf.d/99-lab", settings)?;
            // It must outlive the machine's way down, and the loss of whoever started it.
            let mut command = vec!["systemd-run", "--quiet", "--wait", "--setenv=DEBIAN_FRONTEND=noninteractive"];
            command.extend(["--", "sh", "-c", commands]);
            command
        }
        By::Patchday { settings } => {
            machine.install(&shipped.patchday, &shipped.systemd)?;
            // Nothing caps the CPU in a container, and there is no /boot of its own.
            let lab = "[limits]\ncpu = \"100%\"\n[verify]\nsettle = \"1s\"\n[preflight]\nallow = [\"boot-space\"]\n";
            machine.write_file("/etc/patchday/patchday.toml", &(services(&machine, "", "") + lab + settings))?;
            vec!["patchday", "run", "--yes"]
        }
    };

    let prober = Prober::new(&machine);
    thread::scope(|scope| {
        scope.spawn(|| prober.ask());
        let done = patch(&machine, &prober, way, &command);
        prober.stop();
        done
    })?;
    ensure!(prober.back_for() >= LASTING, "the API went away again");
    all_is_done(&machine, &kernel)?;
    Ok(prober.downtime())
}

fn patch(machine: &Machine, prober: &Prober, way: &Way, command: &[&str]) -> Result<()> {
    went_down(machine, machine.spawn(command)?)?;
    let back = || Ok((prober.back_for() >= LASTING).then_some(()));
    machine.explain(wait_for("the API to be back", RUN_TIMEOUT, back))?;
    if matches!(way.by, By::Patchday { .. }) {
        came_back_well(machine)?;
    }
    machine.wait_until_up(RUN_TIMEOUT).map(drop)
}

/// Waits for the end of Patchday's run, which finds nothing wrong but the kernel: no container boots the new one.
fn came_back_well(machine: &Machine) -> Result<()> {
    let followed = machine.exec(&["patchday", "attach", "--last"])?;
    let report: Value = serde_json::from_str(&machine.exec_ok(&["patchday", "report", "--json"])?)?;
    let findings = report["findings"].as_array().context("a report without findings")?;
    let wrong: Vec<&Value> = findings.iter().filter(|finding| finding["severity"] != "info").collect();
    let steps = report["steps"].as_array().context("a report without steps")?;
    let took = |step: &Value| Some(format!("{} {}", step["step"].as_str()?, step["took"].as_str()?));
    eprintln!("bench: {}", steps.iter().filter_map(took).collect::<Vec<_>>().join(", "));
    let is_kernel_alone = wrong.iter().all(|finding| finding["key"] == "kernel-release");
    ensure!(report["ending"] == "judged" && is_kernel_alone, "{}{}", followed.stdout, followed.stderr);
    Ok(())
}

/// Waits for the next boot without disturbing the present one. Work that fails is an error.
fn went_down(machine: &Machine, mut work: Child) -> Result<()> {
    machine.explain(wait_for("the reboot", RUN_TIMEOUT, || {
        let ended = work.try_wait().context("cannot wait for the work")?;
        // What is ended by the way down has a code above.
        match ended.and_then(|status| status.code()) {
            Some(code @ 1..128) => bail!("the work ended with {code}"),
            _ => Ok((machine.boot_count() > 1).then_some(())),
        }
    }))
}

fn newest_kernel(machine: &Machine) -> Result<String> {
    let images = machine.exec_ok(&["sh", "-c", "ls -v /boot/vmlinuz-*"])?;
    let newest = images.lines().last().and_then(|path| path.strip_prefix("/boot/vmlinuz-"));
    newest.map(str::to_owned).context("no kernel is there")
}

/// Whoever left something undone was not faster.
fn all_is_done(machine: &Machine, old_kernel: &str) -> Result<()> {
    let left = machine.pending_upgrades()?;
    ensure!(left.is_empty(), "still pending: {}", left.join(", "));
    let kernel = newest_kernel(machine)?;
    ensure!(kernel != old_kernel, "{kernel} is still the newest kernel");
    let modules = machine.exec_ok(&["dkms", "status", "-k", &kernel])?;
    ensure!(modules.contains("installed"), "no module was built for {kernel}: {modules}");
    Ok(())
}

fn table(measured: &[(&Way, Vec<Downtime>)], times: u32, suite: Suite) -> Table {
    let median = |of: &dyn Fn(&Downtime) -> Duration, measured: &[Downtime]| {
        let mut values: Vec<f64> = measured.iter().map(|downtime| of(downtime).as_secs_f64()).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let columns = ["way", "without an answer", "longest", "until the boot", "after it", "beside the script", "aim"];
    let mut table = Table::new(format!("{suite}, the median of {times}"), &columns);
    let script = median(&Downtime::total, &measured[0].1);
    for (way, measured) in measured {
        let total = median(&Downtime::total, measured);
        table.row([
            way.name.to_owned(),
            format!("{total:.1} s"),
            format!("{:.1} s", median(&|downtime| downtime.longest, measured)),
            format!("{:.1} s", median(&|downtime| downtime.before_boot, measured)),
            format!("{:.1} s", median(&|downtime| downtime.after_boot, measured)),
            format!("{:.2}", total / script),
            way.aim.map(|aim| format!("at most {aim}")).unwrap_or_default(),
        ]);
    }
    table
}
