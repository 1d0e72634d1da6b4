//! Work that stands still: told, with who waits for what; and left to itself before users wait for it without end. dpkg is
//! never ended. A script that waits for a service of the run finds it up when the services are brought back under it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{StepContext, StepError, task};
use crate::model::spoken::running;
use crate::model::{Change, Fact, KeptDown, ServiceKind, Standstill, Step, UnitName, Waiting};

/// How often the processes are looked at while nothing is heard of the work.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// Nothing is heard, and next to nothing is computed: it is told, and an end that somebody asked for need not wait.
const TOLD_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// Work that takes less than this of one CPU waits for something.
const IDLE_PERCENT: u64 = 5;
/// A script that names a service of the run most likely waits for it: the share of the time that it gets.
const SUSPECT_SHARE: i32 = 5;
/// However much it computes, work that is silent for so many times as long is left to itself.
const BUSY_SHARE: i32 = 6;

/// What is seen of work over time.
#[derive(Debug)]
pub(super) struct Watch {
    looked: Timestamp,
    /// Since when nothing was heard of it, and the same script is at work.
    silent: Timestamp,
    /// Since when it computes next to nothing besides.
    idle: Timestamp,
    script: Option<u32>,
    cpu_usec: Option<u64>,
    told: Told,
}

impl Watch {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { looked: now, silent: now, idle: now, script: None, cpu_usec: None, told: Told::default() }
    }

    /// The work told how far it is.
    pub(super) fn heard(&mut self, now: Timestamp) {
        (self.silent, self.idle) = (now, now);
    }

    /// Looks at what is at work, tells where it stands still, and says when that is to be waited for no longer.
    pub(super) async fn look(&mut self, ctx: &StepContext<'_>, step: &Step, unit: &UnitName) -> Option<Waiting> {
        let now = ctx.host.clock.now();
        if now.duration_since(self.looked) < LOOK_EVERY {
            return None;
        }
        let since = now.duration_since(self.looked);
        self.looked = now;
        let processes = ctx.host.work.at_work(unit).await.ok()?;
        let waiting = Waiting::of(&processes, &kept_down(ctx))?;
        let used = processes.iter().map(|process| process.cpu_usec).sum();
        let before = self.cpu_usec.replace(used);
        if self.script.replace(waiting.pid) != Some(waiting.pid) && processes.iter().any(|one| one.script.is_some()) {
            self.heard(now);
        }
        if before.is_none_or(|before| !is_idle(used.saturating_sub(before), since)) {
            self.idle = now;
        }
        let (silent, idle) = (now.duration_since(self.silent), now.duration_since(self.idle));
        if idle >= TOLD_AFTER && self.told.is_due(silent) {
            self.told.remember(silent);
            ctx.note(format!("\"{}\" stands still for {}: {waiting}", step.title(), running(silent)));
        }
        let patience = ctx.settings.upgrade.stall_timeout;
        let is_asked_to_end = ctx.abort.is_requested() && idle >= TOLD_AFTER;
        let is_too_long = idle >= patience || silent >= patience * BUSY_SHARE;
        let is_suspect = !waiting.wants.is_empty() && silent >= patience / SUSPECT_SHARE;
        let matters = *step == Step::Repair || keeps_services_down(ctx);
        let is_over = step.works_on_packages() && (is_asked_to_end || matters && (is_too_long || is_suspect));
        is_over.then_some(waiting)
    }

    /// Ends the step, not the work: recorded first, since whoever comes next must know what still runs.
    pub(super) fn leave(&self, ctx: &mut StepContext<'_>, step: &Step, work: &str, waiting: &Waiting) -> StepError {
        let silent = running(ctx.host.clock.now().duration_since(self.silent));
        let why = format!("{work} stands still for {silent}, and is left to itself: {waiting}");
        let attempt = task::attempt_number(ctx);
        let stood = Standstill { step: step.clone(), attempt, work: work.to_owned(), why: why.clone() };
        match ctx.recorder.record(Fact::StoodStill(stood)) {
            Ok(()) => ended(ctx, step, why),
            Err(error) => error.into(),
        }
    }
}

/// On a busy host work stands still again and again: it is told again where it takes twice as long as all before.
#[derive(Debug, Default)]
struct Told {
    longest: SignedDuration,
}

impl Told {
    fn is_due(&self, silent: SignedDuration) -> bool {
        silent >= self.longest * 2
    }

    fn remember(&mut self, silent: SignedDuration) {
        self.longest = silent;
    }
}

/// A run that somebody wants to end is aborted by that wish, not failed.
fn ended(ctx: &StepContext<'_>, step: &Step, why: String) -> StepError {
    if ctx.abort.is_requested() && *step != Step::Repair { StepError::Again(why) } else { StepError::Failed(why) }
}

/// The standstill in which this attempt was about to end when its coordinator was killed.
pub(super) fn recorded(ctx: &StepContext<'_>) -> Option<StepError> {
    let attempt = ctx.run().attempt.as_ref()?;
    ctx.run().standstill_of(attempt).map(|stood| ended(ctx, &attempt.step, stood.why.clone()))
}

fn is_idle(used_usec: u64, since: SignedDuration) -> bool {
    let since = u64::try_from(since.as_micros()).unwrap_or_default();
    used_usec * 100 < since * IDLE_PERCENT
}

fn keeps_services_down(ctx: &StepContext<'_>) -> bool {
    ctx.run().changes.iter().any(|change| matches!(change, Change::Held(_) | Change::Stopped(_)))
}

/// The services that the run keeps down, and what a script would call them.
fn kept_down(ctx: &StepContext<'_>) -> Vec<KeptDown> {
    let run = ctx.run();
    let is_down = |unit: &UnitName| {
        run.changes.contains(&Change::Held(unit.clone())) || run.changes.contains(&Change::Stopped(unit.clone()))
    };
    let down = run.services.iter().filter(|service| is_down(&service.unit));
    down.map(|service| {
        let unit = &service.unit;
        let name = unit.as_str();
        let mut words = BTreeSet::from([name.to_owned()]);
        words.extend(name.strip_suffix(".service").filter(|stem| stem.len() > 3).map(ToOwned::to_owned));
        if service.kind == ServiceKind::Mongodb {
            words.extend(["mongod", "mongosh", "mongo", "27017"].map(ToOwned::to_owned));
        }
        let sockets = run.baseline.iter().flat_map(|baseline| &baseline.sockets);
        let ports = sockets.filter(|socket| socket.unit.as_ref() == Some(unit));
        words.extend(ports.filter_map(|socket| Some(socket.address.rsplit_once(':')?.1.to_owned())));
        KeptDown { unit: unit.clone(), words: words.into_iter().collect() }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_on_which_work_often_stands_still_does_not_fill_the_screen_with_it() {
        let mut told = Told::default();
        let mut due = |silent: &[i64]| -> Vec<i64> {
            let mut due = Vec::new();
            for &seconds in silent {
                let silent = SignedDuration::from_secs(seconds);
                if told.is_due(silent) {
                    told.remember(silent);
                    due.push(seconds);
                }
            }
            due
        };
        assert_eq!(due(&[40, 50, 37, 61, 48, 79]), [40]);
        // One that does not end is told as it grows.
        assert_eq!(due(&(3..=60).map(|n| n * 10).collect::<Vec<_>>()), [80, 160, 320]);
    }
}
