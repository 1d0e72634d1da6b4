//! One fault on one machine: run, inject, come back, judge.

use super::judge::{Before, Deed, Judgement, assert_safe};
use super::matrix::Fault;
use super::moment::{Moment, event};
use super::subject::Subject;
use crate::settings::services;
use crate::testbed::Testbed;
use crate::wait::wait_for;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// A whole run on a busy host, with its reboot.
const RUN_TIMEOUT: Duration = Duration::from_secs(1800);
const BOOT_TIMEOUT: Duration = Duration::from_secs(300);

/// A moment is waited for without a pause that would matter, and without burning a CPU.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A run that was handed to a coordinator gets this long to take it, before it is asked to go on once more.
const NUDGE_EVERY: Duration = Duration::from_secs(10);

/// The fault was injected and hit nobody, so that what came after proves nothing.
#[derive(Debug)]
pub struct NotHit(String);

impl fmt::Display for NotHit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not hit: {}", self.0)
    }
}

impl std::error::Error for NotHit {}

/// Which fault, and when.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// What is done.
    pub fault: Fault,
    /// When.
    pub moment: Moment,
    /// When the machine's clock is set, and to what; only where it has one of its own.
    pub clock: Option<(Moment, &'static str)>,
}

impl Experiment {
    /// A fault, and nothing besides.
    pub fn new(fault: Fault, moment: Moment) -> Self {
        Self { fault, moment, clock: None }
    }

    /// The same at half the time: a moment that was chosen without knowing the run may lie behind its end.
    pub fn sooner(mut self) -> Self {
        let clock = self.clock.as_mut().map(|(moment, _)| moment);
        for moment in [&mut self.moment].into_iter().chain(clock) {
            moment.delay /= 2;
        }
        self
    }
}

impl fmt::Display for Experiment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.moment)?;
        match &self.clock {
            Some((moment, to)) => write!(formatter, ", clock {to} at {} ms", moment.delay.as_millis()),
            None => Ok(()),
        }
    }
}

/// What came after the fault.
#[derive(Debug)]
pub struct Recovery {
    /// From the beginning of the run to its end.
    pub took: Duration,
    /// From the moment when the machine was switched on until the sample API and its database worked.
    pub healthy_after: Option<Duration>,
    /// The same, until the run was closed: from then on, Patchday answers for the host.
    pub closed_after: Option<Duration>,
    /// What must hold, and whether it does.
    pub judgement: Judgement,
}

/// Runs Patchday on a prepared machine, injects the fault, waits for the end and judges it.
pub fn perform(subject: &dyn Subject, experiment: &Experiment) -> Result<Recovery> {
    // The agent is heard then, and counts the boots from here on.
    wait_for("the first order", BOOT_TIMEOUT, || {
        Ok(subject.sightings(0).iter().any(|sighting| sighting.source == "order").then_some(()))
    })?;
    let before = Before::of(subject)?;
    let began = Instant::now();
    subject.start(&["patchday", "run", "--yes"])?;
    let set_clock = |first: bool| match &experiment.clock {
        Some((moment, to)) if (moment.delay < experiment.moment.delay) == first => {
            wait_for_moment(subject, moment, before.seen)?;
            set_the_clock(subject, to)
        }
        _ => Ok(()),
    };
    set_clock(true)?;
    wait_for_moment(subject, &experiment.moment, before.seen)?;
    let mut switched_on = None;
    let mut healthy_after = None;
    match experiment.fault {
        Fault::Kill => kill_coordinator(subject)?,
        Fault::PowerCut => {
            subject.cut_power()?;
            let deed_seen = subject.sightings(0).len();
            subject.switch_on()?;
            switched_on = Some((Instant::now(), deed_seen));
        }
    }
    set_clock(false)?;
    let deed = Deed {
        fault: experiment.fault,
        seen: switched_on.map_or_else(|| subject.sightings(0).len(), |(_, seen)| seen),
    };

    let mut nudged: Option<Instant> = None;
    wait_for("the run to be closed", RUN_TIMEOUT, || {
        if let (Some((on, _)), None) = (switched_on, healthy_after)
            && is_healthy(subject)
        {
            healthy_after = Some(on.elapsed());
        }
        match state(subject) {
            RunState::Closed => return Ok(Some(())),
            // A machine that lost its power must help itself; after a kill, somebody types `patchday resume`.
            RunState::Abandoned if experiment.fault == Fault::Kill => {
                if nudged.is_none_or(|last| last.elapsed() >= NUDGE_EVERY) {
                    nudged = Some(Instant::now());
                    subject.start(&["patchday", "resume"])?;
                }
            }
            RunState::Abandoned | RunState::AtWork | RunState::Unknown => {}
        }
        Ok(None)
    })?;
    let closed_after = switched_on.map(|(on, _)| on.elapsed());
    let took = began.elapsed();
    wait_for("the API to be healthy", BOOT_TIMEOUT, || Ok(is_healthy(subject).then_some(())))?;
    if let (Some((on, _)), None) = (switched_on, healthy_after) {
        healthy_after = Some(on.elapsed());
    }
    let mut judgement = assert_safe(subject, &before, &[deed])?;
    if let Some(longest) = judgement.longest_told.filter(|told| *told > took) {
        let (told, took) = (longest.as_secs(), took.as_secs());
        judgement.violations.push(format!("the report tells of {told} s, and all of it took {took} s"));
    }
    Ok(Recovery { took, healthy_after, closed_after, judgement })
}

/// Waits until the moment has come; a run that ends before it is an error, since then nothing was injected.
fn wait_for_moment(subject: &dyn Subject, moment: &Moment, mut seen: usize) -> Result<()> {
    let deadline = Instant::now() + RUN_TIMEOUT;
    loop {
        let mut over = false;
        for sighting in subject.sightings(seen) {
            seen += 1;
            if moment.is_seen_in(&sighting) {
                thread::sleep(moment.delay.saturating_sub(sighting.at.elapsed()));
                return Ok(());
            }
            over |= event(&sighting).is_some_and(|event| event["event"] == "run-ended");
        }
        if over {
            let report = subject.exec(&["patchday", "report"])?;
            return Err(NotHit(format!("the run ended before \"{moment}\" came\n{}", report.stdout)).into());
        }
        if Instant::now() >= deadline {
            bail!("\"{moment}\" did not come within {} s\n{}", RUN_TIMEOUT.as_secs(), subject.last_words());
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Kills the coordinator; a fault that hit nobody proves nothing, and is an error.
fn kill_coordinator(subject: &dyn Subject) -> Result<()> {
    // Whoever follows the run in a terminal is no coordinator.
    let coordinator = "^/usr/bin/patchday .*--foreground";
    let killed = subject.exec(&["pkill", "--signal=KILL", "--full", coordinator])?;
    match killed.code() {
        Some(0) => Ok(()),
        Some(1) => Err(NotHit("no coordinator was there to be killed".into()).into()),
        // The coordinator went down with it.
        Some(code) if code >= 128 => Err(NotHit("the machine went down first".into()).into()),
        _ => bail!("pkill failed: {}", killed.stderr),
    }
}

/// The wall's clock of a machine that has one of its own; never of an nspawn machine, whose clock is the host's.
fn set_the_clock(subject: &dyn Subject, to: &str) -> Result<()> {
    if !subject.has_own_clock() {
        bail!("this machine's clock is the host's");
    }
    // A machine that goes down meanwhile takes the host's time at its next boot.
    let set = subject.exec(&["date", "--set", to]);
    match set {
        Ok(set) if set.success() => Ok(()),
        _ => Err(NotHit("the clock could not be set: the machine was going down".to_owned()).into()),
    }
}

enum RunState {
    Closed,
    AtWork,
    /// Open, on a machine that is up, and nobody works on it.
    Abandoned,
    /// The machine is down, or it does not answer.
    Unknown,
}

fn state(subject: &dyn Subject) -> RunState {
    let Ok(status) = subject.exec(&["patchday", "status", "--json"]) else { return RunState::Unknown };
    let Ok(status) = serde_json::from_str::<serde_json::Value>(&status.stdout) else { return RunState::Unknown };
    let Ok(pointer) = subject.exec(&["test", "-e", "/var/lib/patchday/open-run"]) else { return RunState::Unknown };
    if status["run"].is_null() {
        return RunState::Unknown;
    }
    match (status["open"].as_bool(), status["coordinator"].is_null(), pointer.code()) {
        (_, false, _) => RunState::AtWork,
        (Some(false), true, Some(1)) => RunState::Closed,
        (_, true, Some(0)) => {
            let up = subject.exec(&["systemctl", "is-system-running"]);
            let is_up = up.is_ok_and(|up| ["running", "degraded"].contains(&up.stdout.trim()));
            if is_up { RunState::Abandoned } else { RunState::Unknown }
        }
        _ => RunState::Unknown,
    }
}

fn is_healthy(subject: &dyn Subject) -> bool {
    subject.request("GET", "/health").is_ok_and(|response| response.status == 200)
}

/// Patchday's configuration for the lab's two services, and a writer of orders.
pub fn configure(machine: &dyn Testbed) -> Result<()> {
    let database = "stop-timeout = \"60s\"\nstart-timeout = \"90s\"\ndrain-timeout = \"3s\"";
    let services = services(machine, database, "stop-timeout = \"60s\"\nstart-timeout = \"60s\"");
    let text = format!("{services}[reboot]\nwhen = \"always\"\n\n[verify]\nsettle = \"3s\"\n");
    machine.write("/etc/patchday/patchday.toml", text.as_bytes(), 0o644)?;
    machine.write("/etc/lab-write-orders", machine.api_port().to_string().as_bytes(), 0o644)?;
    // A power cut must not take what was set up before the run.
    machine.exec_ok(&["sync"]).context("cannot sync").map(drop)
}
