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
    let judgement = assert_safe(subject, &before, &[deed])?;
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
