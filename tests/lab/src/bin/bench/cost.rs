//! What Patchday itself costs: one whole run on a disposable machine, measured from outside.

use crate::deadline::{succeeds_within, within};
use crate::figures::Table;
use anyhow::{Context, Result, bail};
use patchday_lab::{Lab, Machine, Shipped, Suite, Usage, services, wait_for};
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

/// How often a command is timed; one that takes a second, a fifth as often. The median counts.
const TIMES: u32 = 50;
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);
const RUN_TIMEOUT: Duration = Duration::from_secs(900);

const MIB: f64 = 1_048_576.0;

/// One whole run, and the commands that people type.
struct Round {
    pending: usize,
    took: Duration,
    usage: Usage,
    plan: Duration,
    simulation: Duration,
    status: Duration,
    systemctl: Duration,
}

impl Round {
    fn share(&self) -> f64 {
        self.usage.own().as_secs_f64() / self.usage.of_apt().as_secs_f64()
    }

    fn peak_mib(&self) -> f64 {
        self.usage.peak_kib() as f64 / 1024.0
    }
}

/// Whole runs, each on a machine of its own; the one whose coordinator took the median share counts.
pub(crate) fn measure(shipped: &Shipped, suite: Suite, times: u32) -> Result<Table> {
    let size = fs::metadata(&shipped.patchday).context("cannot see the patchday program")?.len();
    let mut rounds = Vec::new();
    for number in 1..=times {
        eprintln!("bench: cost, round {number} of {times} ({suite})");
        let round = once(shipped, suite)?;
        eprintln!("bench: {:.2} % of apt's CPU time, {:.1} MiB", round.share() * 100.0, round.peak_mib());
        for (unit, used) in &round.usage.cpu {
            eprintln!("bench: {unit}: {}", millis(*used));
        }
        rounds.push(round);
    }
    rounds.sort_by(|one, other| one.share().total_cmp(&other.share()));
    let round = rounds.get(rounds.len() / 2).context("nothing was measured")?;
    Ok(table(round, times, suite, size))
}

fn once(shipped: &Shipped, suite: Suite) -> Result<Round> {
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
    Ok(Round { pending, took, usage, plan, simulation, status, systemctl })
}

fn table(round: &Round, times: u32, suite: Suite, size: u64) -> Table {
    let Round { pending, usage, plan, simulation, status, systemctl, .. } = round;
    let (share, peak, took) = (round.share(), round.peak_mib(), round.took.as_secs_f64());
    let times_of_apt = plan.as_secs_f64() / simulation.as_secs_f64();
    let mut table = Table::new(
        format!("{suite}, {pending} packages, a run of {took:.0} s with its reboot, the median of {times}"),
        &["what", "aim", "measured", ""],
    );
    let mut row = |what: &str, aim: &str, figure: String, is_met: Option<bool>| {
        let met = is_met.map_or("", |is_met| if is_met { "met" } else { "**missed**" });
        table.row([what, aim, &figure, met].map(str::to_owned));
    };
    row(
        "coordinator's CPU time, both boots",
        "under 1 % of apt's",
        format!("{} beside {:.1} s: {:.2} %", millis(usage.own()), usage.of_apt().as_secs_f64(), share * 100.0),
        Some(share < 0.01),
    );
    row("the same with the programs that it asks", "", millis(usage.of_coordinators()), None);
    row("coordinator's peak memory", "under 18 MiB", format!("{peak:.1} MiB"), Some(peak < 18.0));
    row("its page faults; its reads and writes", "", format!("{}; {}", usage.faults(), usage.calls()), None);
    row(
        "`patchday status`",
        "under 20 ms",
        format!("{}; `systemctl is-system-running` takes {}", millis(*status), millis(*systemctl)),
        Some(*status < Duration::from_millis(20)),
    );
    row(
        "`patchday plan`",
        "under 1.5 times `apt-get -s dist-upgrade`",
        format!("{}, {times_of_apt:.2} times", millis(*plan)),
        Some(times_of_apt < 1.5),
    );
    row("the program", "", format!("{:.1} MiB", size as f64 / MIB), None);
    table
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
    let output = succeeds_within(machine, RUN_TIMEOUT, &["bash", "-c", &script])
        .with_context(|| format!("cannot time `{command}`"))?;
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
    let (usage, followed) = Usage::during(machine, &run, || {
        went_down(machine, &mut follower)
            .and_then(|()| machine.wait_for_reboot(&boot, BOOT_TIMEOUT))
            .and_then(|_| within(machine, RUN_TIMEOUT, &["patchday", "attach", "--last"]))
    });
    let output = followed?;
    eprint!("{}", output.stdout);
    if !output.success() {
        bail!("the run ended with {}: {}", output.status, output.stderr);
    }
    Ok(usage)
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
