//! How long the API is away while a machine is patched and rebooted: by Patchday, and by what people use without it.

use crate::ansible::Control;
use crate::compared::{Measured, table};
use crate::deadline::{succeeds_within, within};
use crate::figures::{Shown, Table};
use crate::prober::{Downtime, Prober};
use crate::slow_disk::SlowDisk;
use crate::waiting;
use crate::ways::{By, Way};
use anyhow::{Context, Result, bail, ensure};
use patchday_lab::{Image, Lab, Machine, Shipped, Suite, services, wait_for};
use serde_json::Value;
use std::process::Child;
use std::thread;
use std::time::Duration;

const BOOT_TIMEOUT: Duration = Duration::from_secs(180);
/// For the work of one way; the slowest takes a few minutes.
const WORK_TIMEOUT: Duration = Duration::from_secs(1800);
/// From the reboot until all is back and said.
const BACK_TIMEOUT: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_secs(120);
/// An API that answered for so long in the new boot is back.
const LASTING: Duration = Duration::from_secs(5);

const PREPARE: &str = include_str!("../../../recipe/downtime/prepare.sh");
const KERNEL: &str = "linux-image-cloud-amd64";
/// Nothing caps the CPU in a container, and there is no /boot of its own.
const LAB: &str = "[limits]\ncpu = \"100%\"\n[verify]\nsettle = \"1s\"\n[preflight]\nallow = [\"boot-space\"]\n";

/// The server that each way gets anew, and what the ways need.
pub(crate) struct Bench<'a> {
    lab: Lab,
    image: Image,
    shipped: &'a Shipped,
    suite: Suite,
    slow_disk: Option<SlowDisk>,
}

/// What one way did in one round.
pub(crate) struct Round {
    pub(crate) pending: usize,
    pub(crate) downtime: Downtime,
}

/// A machine to be patched, and the port of its ssh server.
struct Server {
    machine: Machine,
    ssh: u16,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(shipped: &'a Shipped, suite: Suite, slow_disk: bool) -> Result<Self> {
        let lab = Lab::new()?;
        let image = Image::ensure(&lab, suite)?.with(&lab, PREPARE)?;
        let slow_disk = slow_disk.then(|| SlowDisk::build(&lab)).transpose()?;
        Ok(Self { lab, image, shipped, suite, slow_disk })
    }

    /// Measures in turn, so that a busy hour of the host hits all alike. A way that fails does not end the others.
    pub(crate) fn measure(&self, rounds: u32, ways: &[Way]) -> Shown {
        let (part, on) = match self.slow_disk {
            Some(_) => ("slow-disk", ", each sync 5 ms longer"),
            None => ("downtime", ""),
        };
        let mut measured: Vec<Measured> = ways.iter().map(|&way| Measured::of(way)).collect();
        for round in 1..=rounds {
            for measured in &mut measured {
                eprintln!("bench: {part}, round {round} of {rounds}: {}", measured.way.title());
                match self.once(measured.way) {
                    Ok(done) => {
                        eprintln!("bench: away for {:.1} s", done.downtime.total().as_secs_f64());
                        measured.rounds.push(done);
                    }
                    Err(error) => {
                        eprintln!("bench: FAILED: {}: {error:#}", measured.way.title());
                        measured.failures.push(error.root_cause().to_string());
                    }
                }
            }
        }
        let is_whole = measured.iter().all(|measured| measured.failures.is_empty());
        let tables = vec![(part, table(&measured, rounds, &format!("{}{on}", self.suite)))];
        let mut shown = Shown { tables, is_whole };
        if self.slow_disk.is_none() && ways.contains(&Way::Unrelated) {
            match self.waits() {
                Ok(table) => shown.tables.push(("waits", table)),
                Err(error) => {
                    eprintln!("bench: FAILED: what waits: {error:#}");
                    shown.is_whole = false;
                }
            }
        }
        shown
    }

    /// Which package waits for the stop under `ahead = "unrelated"`, and why.
    fn waits(&self) -> Result<Table> {
        eprintln!("bench: what waits, and why");
        let server = self.server()?;
        server.machine.pending_upgrades()?;
        self.patchday(&server.machine, Way::Unrelated)?;
        let plan = within(&server.machine, BACK_TIMEOUT, &["patchday", "plan", "--json"])?;
        let plan = serde_json::from_str(&plan.stdout).with_context(|| format!("no plan: {}", plan.stderr))?;
        waiting::table(&plan, self.suite)
    }

    fn server(&self) -> Result<Server> {
        let machine = Machine::create(&self.lab, &self.image, "downtime")?;
        let ssh = machine.reserve_port()?;
        machine.write_file("/etc/ssh/sshd_config.d/lab.conf", &format!("Port {ssh}\nListenAddress 127.0.0.1\n"))?;
        if let Some(slow_disk) = &self.slow_disk {
            slow_disk.put_into(&machine)?;
        }
        machine.boot()?;
        machine.wait_until_up(BOOT_TIMEOUT)?;
        machine.wait_until_healthy(BOOT_TIMEOUT)?;
        if self.slow_disk.is_some() {
            SlowDisk::is_met(&machine)?;
        }
        Ok(Server { machine, ssh })
    }

    fn once(&self, way: Way) -> Result<Round> {
        let server = self.server()?;
        let machine = &server.machine;
        let pending = machine.pending_upgrades()?;
        ensure!(pending.iter().any(|name| name == KERNEL), "no newer {KERNEL} is pending: there is nothing to compare");
        let kernel = newest_kernel(machine)?;
        let control = match way.by() {
            By::Ansible => Some(Control::of(&self.lab, self.suite, machine, server.ssh)?),
            By::Commands { settings, .. } => {
                machine.write_file("/etc/apt/apt.conf.d/99-lab", settings)?;
                None
            }
            By::Patchday { .. } => {
                self.patchday(machine, way)?;
                None
            }
        };

        let prober = Prober::new(machine);
        thread::scope(|scope| {
            scope.spawn(|| prober.ask());
            let done = patch(machine, &prober, way, control.as_ref());
            prober.stop();
            done
        })?;
        ensure!(prober.back_for() >= LASTING, "the API went away again");
        all_is_done(machine, &kernel)?;
        Ok(Round { pending: pending.len(), downtime: prober.downtime() })
    }

    fn patchday(&self, machine: &Machine, way: Way) -> Result<()> {
        let By::Patchday { settings } = way.by() else { bail!("{} needs no Patchday", way.title()) };
        machine.install(&self.shipped.patchday, &self.shipped.systemd)?;
        machine.write_file("/etc/patchday/patchday.toml", &(services(machine, "", "") + LAB + settings))
    }
}

fn patch(machine: &Machine, prober: &Prober, way: Way, control: Option<&Control>) -> Result<()> {
    let mut work = match (way.by(), control) {
        (By::Commands { commands, .. }, _) => {
            // It must outlive the machine's way down, and the loss of whoever started it.
            let unit =
                ["systemd-run", "--quiet", "--wait", "--setenv=DEBIAN_FRONTEND=noninteractive", "--", "sh", "-c"];
            machine.spawn(&[&unit, &[commands][..]].concat())?
        }
        (By::Patchday { .. }, _) => machine.spawn(&["patchday", "run", "--yes"])?,
        (By::Ansible, Some(control)) => control.play()?,
        (By::Ansible, None) => bail!("a playbook without a control host"),
    };
    let down = went_down(machine, &mut work);
    match (control, down) {
        (Some(control), Err(error)) => return Err(error.context(control.said())),
        (_, down) => down?,
    }
    let back = || Ok((prober.back_for() >= LASTING).then_some(()));
    machine.explain(wait_for("the API to be back", BACK_TIMEOUT, back))?;
    match (way.by(), control) {
        (By::Patchday { .. }, _) => came_back_well(machine)?,
        (_, Some(control)) => control.ended_well(&mut work, BACK_TIMEOUT)?,
        (_, None) => {}
    }
    machine.wait_until_up(BOOT_TIMEOUT).map(drop)
}

/// Waits for the end of Patchday's run, which finds nothing wrong but the kernel: no container boots the new one.
fn came_back_well(machine: &Machine) -> Result<()> {
    let followed = within(machine, BACK_TIMEOUT, &["patchday", "attach", "--last"])?;
    let report = succeeds_within(machine, LOOK, &["patchday", "report", "--json"])?;
    let report: Value = serde_json::from_str(&report).context("the report is no JSON")?;
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
fn went_down(machine: &Machine, work: &mut Child) -> Result<()> {
    machine.explain(wait_for("the reboot", WORK_TIMEOUT, || {
        let ended = work.try_wait().context("cannot wait for the work")?;
        // What is ended by the way down has a code above.
        match ended.and_then(|status| status.code()) {
            Some(code @ 1..128) => bail!("the work ended with {code}"),
            _ => Ok((machine.boot_count() > 1).then_some(())),
        }
    }))
}

fn newest_kernel(machine: &Machine) -> Result<String> {
    let images = succeeds_within(machine, LOOK, &["sh", "-c", "ls -v /boot/vmlinuz-*"])?;
    let newest = images.lines().last().and_then(|path| path.strip_prefix("/boot/vmlinuz-"));
    newest.map(str::to_owned).context("no kernel is there")
}

/// Whoever left something undone was not faster.
fn all_is_done(machine: &Machine, old_kernel: &str) -> Result<()> {
    let left = machine.pending_upgrades()?;
    ensure!(left.is_empty(), "still pending: {}", left.join(", "));
    let kernel = newest_kernel(machine)?;
    ensure!(kernel != old_kernel, "{kernel} is still the newest kernel");
    let modules = succeeds_within(machine, LOOK, &["dkms", "status", "-k", &kernel])?;
    ensure!(modules.contains("installed"), "no module was built for {kernel}: {modules}");
    Ok(())
}
