//! The whole matrix of faults, on disposable machines: kills at every kind of event, power cuts all over a run. Prints
//! what was done, where, and what came of it, and fails on any violation.

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use patchday_lab::faults::{
    BeforeBatch, DISKS, Experiment, Fault, NotHit, Recovery, Subject, Watched, at_random, configure, cuts, in_batch,
    kills, perform, pulls, with_clock_set,
};
use patchday_lab::{EmulatedMachine, Lab, Shipped, Suite, Testbed, ended};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const BOOT_TIMEOUT: Duration = Duration::from_secs(300);

/// How often a fault is aimed before it counts as one that hit nobody.
const TRIES: u32 = 3;

/// Inject every fault into runs on disposable machines
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    shipped: Shipped,
    /// The Debian release: bookworm or trixie
    #[arg(long, default_value_t = Suite::Bookworm)]
    suite: Suite,
    /// Only these kinds of faults
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Only moments whose name contains this
    #[arg(long)]
    moment: Option<String>,
    /// The seed of the random kinds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many of each random kind
    #[arg(long, default_value_t = 10)]
    count: usize,
    /// How many milliseconds of a run the random kinds spread over; about as long as one takes
    #[arg(long, default_value_t = 40_000)]
    within: u64,
    /// How many machines at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Kind {
    /// SIGKILL to the coordinator, on nspawn machines with real updates
    Kills,
    /// All processes end at once, on nspawn machines with real updates
    Pulls,
    /// The power is cut, with the page cache, on UML machines
    Cuts,
    /// SIGKILL to the coordinator at random moments, on nspawn machines with real updates
    Random,
    /// The same on UML machines, whose clock is set at another random moment
    Clock,
    /// The power is cut, with the page cache, on nspawn machines with a disk of their own, at random moments of an upgrade
    /// that is not synced file by file
    Batch,
}

impl Kind {
    fn experiments(self, arguments: &Arguments) -> Vec<Experiment> {
        let Arguments { seed, within, count, .. } = *arguments;
        let (fault, moments) = match self {
            Self::Kills => (Fault::Kill, kills()),
            Self::Pulls => (Fault::PowerCut, pulls()),
            Self::Cuts => (Fault::PowerCut, cuts()),
            Self::Random => (Fault::Kill, at_random(seed, within, count)),
            Self::Batch => (Fault::PowerCut, in_batch(seed, within, count)),
            Self::Clock => return with_clock_set(seed, within, count),
        };
        moments.into_iter().map(|moment| Experiment::new(fault, moment)).collect()
    }

    fn is_random(self) -> bool {
        matches!(self, Self::Random | Self::Clock | Self::Batch)
    }

    fn is_kill(self) -> bool {
        matches!(self, Self::Kills | Self::Random | Self::Clock)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Kills => "kill",
            Self::Pulls => "pull (nspawn)",
            Self::Cuts => "cut (UML)",
            Self::Random => "random kill",
            Self::Clock => "kill and clock",
            Self::Batch => "cut in a batch",
        }
    }
}

const KINDS: [Kind; 6] = [Kind::Kills, Kind::Pulls, Kind::Cuts, Kind::Random, Kind::Clock, Kind::Batch];

struct Trial {
    kind: Kind,
    experiment: Experiment,
    result: Result<Recovery>,
}

fn main() -> ExitCode {
    ended("faults", inject_all(&Arguments::parse()))
}

fn inject_all(arguments: &Arguments) -> Result<bool> {
    let lab = Lab::new()?;
    let plan = plan(arguments);
    let (next, trials) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while let Some((kind, experiment)) = plan.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = try_until_hit(&lab, arguments, *kind, experiment);
                    let trial = Trial { kind: *kind, experiment: experiment.clone(), result };
                    println!("{}", trial.line());
                    if let Ok(mut trials) = trials.lock() {
                        trials.push(trial);
                    }
                }
            });
        }
    });
    let trials = trials.into_inner().unwrap_or_default();
    Ok(summary(&trials, began.elapsed()))
}

fn plan(arguments: &Arguments) -> Vec<(Kind, Experiment)> {
    let mut plan = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| arguments.only.is_empty() || arguments.only.contains(kind)) {
        let is_wanted = |experiment: &Experiment| {
            arguments.moment.as_ref().is_none_or(|part| experiment.moment.to_string().contains(part))
        };
        let experiments = kind.experiments(arguments).into_iter().filter(is_wanted);
        plan.extend(experiments.map(|experiment| (kind, experiment)));
    }
    plan
}

/// A kill may come too late for a step that takes no time, and a run on a busy host may end before its fault. Then nothing
/// was tried, and it is aimed once more.
fn try_until_hit(lab: &Lab, arguments: &Arguments, kind: Kind, experiment: &Experiment) -> Result<Recovery> {
    let mut result = try_one(lab, arguments, kind, experiment);
    let mut experiment = experiment.clone();
    for _ in 1..TRIES {
        match &result {
            Err(error) if error.downcast_ref::<NotHit>().is_some() => {}
            _ => break,
        }
        if kind.is_random() {
            experiment = experiment.sooner();
        }
        result = try_one(lab, arguments, kind, &experiment);
    }
    result
}

fn try_one(lab: &Lab, arguments: &Arguments, kind: Kind, experiment: &Experiment) -> Result<Recovery> {
    let name = format!("{kind:?}").to_lowercase();
    let prepare = |machine: &dyn Testbed| {
        machine.install(&arguments.shipped.patchday, &arguments.shipped.systemd)?;
        configure(machine)
    };
    if kind == Kind::Batch {
        return cut_in_batch(lab, arguments, experiment, &prepare);
    }
    let subject: Box<dyn Subject> = if matches!(kind, Kind::Cuts | Kind::Clock) {
        let machine: EmulatedMachine = lab.uml_machine(arguments.suite, &name)?;
        machine.boot()?;
        machine.wait_until_up(BOOT_TIMEOUT)?;
        machine.wait_until_healthy(BOOT_TIMEOUT)?;
        prepare(&machine)?;
        Box::new(machine)
    } else {
        let machine = lab.booted_machine(arguments.suite, &name)?;
        prepare(&machine)?;
        Box::new(Watched::new(lab, machine)?)
    };
    perform(&*subject, experiment).with_context(|| subject.last_words())
}

fn cut_in_batch(
    lab: &Lab,
    arguments: &Arguments,
    experiment: &Experiment,
    prepare: &dyn Fn(&dyn Testbed) -> Result<()>,
) -> Result<Recovery> {
    // In turn, and the same for the same moment.
    let options = DISKS[experiment.moment.delay.as_millis() as usize % DISKS.len()];
    let machine = lab.disk_machine(arguments.suite, "batch", options)?;
    machine.boot()?;
    machine.wait_until_up(BOOT_TIMEOUT)?;
    machine.wait_until_healthy(BOOT_TIMEOUT)?;
    prepare(&machine)?;
    let before = BeforeBatch::of(&machine)?;
    let subject = Watched::new(lab, machine)?;
    let mut recovery = perform(&subject, experiment).with_context(|| subject.last_words())?;
    let (violations, again) = before.judge(&subject)?;
    recovery.judgement.violations.extend(violations);
    let again =
        again.map_or_else(|| "not in the batch".to_owned(), |mended| format!("installed again, {mended} files mended"));
    recovery.judgement.said = format!("{options}, {again}; {}", recovery.judgement.said);
    if !recovery.judgement.violations.is_empty() {
        println!("{}", subject.exec(&["patchday", "report"])?.stdout);
    }
    Ok(recovery)
}

impl Trial {
    fn line(&self) -> String {
        let what = format!("{:<14} {:<55}", self.kind.words(), self.experiment.to_string());
        match &self.result {
            Err(error) => format!("{what} VIOLATION: {error:#}"),
            Ok(recovery) => {
                let seconds =
                    |time: Option<Duration>| time.map_or_else(String::new, |t| format!("{:.1} s", t.as_secs_f64()));
                let judgement = &recovery.judgement;
                let mut line = format!(
                    "{what} {:<25} exit {:<3} run {:>8} healthy {:>7} closed {:>7}  {}",
                    judgement.end.to_string(),
                    judgement.exit_code,
                    seconds(Some(recovery.took)),
                    seconds(recovery.healthy_after),
                    seconds(recovery.closed_after),
                    judgement.said,
                );
                for violation in self.violations() {
                    line.push_str(&format!("\n    VIOLATION: {violation}"));
                }
                line
            }
        }
    }

    /// What an experiment without a judgement is called.
    fn failure(&self) -> String {
        let hit_nobody = matches!(&self.result, Err(error) if error.downcast_ref::<NotHit>().is_some());
        if hit_nobody { "not hit".to_owned() } else { "no end".to_owned() }
    }

    fn violations(&self) -> Vec<String> {
        let Ok(recovery) = &self.result else { return vec![self.failure()] };
        let mut violations = recovery.judgement.violations.clone();
        // Who only lost a coordinator must not see it in the end.
        if self.kind.is_kill() && recovery.judgement.exit_code != 0 {
            violations.push(format!("a kill changed the end: exit code {}", recovery.judgement.exit_code));
        }
        violations
    }
}

/// Prints the sums; whether nothing was violated.
fn summary(trials: &[Trial], took: Duration) -> bool {
    println!();
    let mut violations = 0;
    for kind in KINDS {
        let trials: Vec<&Trial> = trials.iter().filter(|trial| trial.kind == kind).collect();
        if trials.is_empty() {
            continue;
        }
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        let (mut healthy, mut closed) = (Vec::new(), Vec::new());
        for trial in &trials {
            violations += trial.violations().len();
            match &trial.result {
                Ok(recovery) => {
                    *ends.entry(recovery.judgement.end.to_string()).or_default() += 1;
                    healthy.extend(recovery.healthy_after);
                    closed.extend(recovery.closed_after);
                }
                Err(_) => *ends.entry(trial.failure()).or_default() += 1,
            }
        }
        let ends: Vec<String> = ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
        println!("{}: {} injected: {}", kind.words(), trials.len(), ends.join(", "));
        for (what, times) in [("services healthy", &healthy), ("run closed", &closed)] {
            if let (Some(most), false) = (times.iter().max(), times.is_empty()) {
                let mean = times.iter().sum::<Duration>().as_secs_f64() / times.len() as f64;
                println!("  from power on to {what}: mean {mean:.1} s, most {:.1} s", most.as_secs_f64());
            }
        }
        let in_dpkg = trials.iter().filter(|trial| trial.experiment.moment.is_in_dpkg()).count();
        if in_dpkg > 0 {
            println!("  {in_dpkg} of them in dpkg's unpack and configure");
        }
    }
    println!("{} faults in {:.0} min, {violations} violations", trials.len(), took.as_secs_f64() / 60.0);
    violations == 0
}
