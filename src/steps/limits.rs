//! The limits of all long work: set before the first work of a run, measured while it goes on, lifted at the end.

use jiff::{SignedDuration, Timestamp};

use super::{StepContext, StepError};
use crate::events::EventKind;
use crate::host::HostResult;
use crate::model::spoken::exactly;
use crate::model::{Change, CpuCap, Fact, Resources, SliceLimits, quota_of, share_of};

/// How often the use is measured: often enough for a watcher, and too seldom to be a load itself.
const MEASURE_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// Work that gets less than this part of its share for so long, on a host whose CPUs others want, would never end.
const STARVED_PART: u64 = 10;
const STARVED_FOR: SignedDuration = SignedDuration::from_mins(3);

/// Limits the slice, unless the run has done so. Returns whether it did now.
///
/// Limits that are in place stay as they are: somebody may have changed them while the work ran. But once services are down
/// nobody is served while the work waits, and their users wait with it.
pub(super) async fn ensure(ctx: &mut StepContext<'_>) -> Result<bool, StepError> {
    let now = ctx.host.budget.limits().await?;
    let is_new = match recorded(ctx) {
        // Where the intent was saved, and nothing came of it, they are as before.
        Some(before) => now == before,
        None => {
            let change = Change::Limited { slice: ctx.host.budget.slice(), before: now };
            ctx.recorder.record(Fact::ChangeIntended(change))?;
            true
        }
    };
    let wanted = if is_new { ctx.settings.limits.of_slice() } else { now };
    let raised = if ctx.run().has_stopped_something() { wanted.raised() } else { None };
    if is_new || raised.is_some() {
        ctx.host.budget.set_limits(&raised.unwrap_or(wanted)).await?;
    }
    Ok(is_new)
}

/// Has the work share the CPUs where it was to get what is left over. Returns whether it did.
async fn raise(ctx: &StepContext<'_>) -> HostResult<bool> {
    let Some(raised) = ctx.host.budget.limits().await?.raised() else { return Ok(false) };
    ctx.host.budget.set_limits(&raised).await?;
    Ok(true)
}

/// Gives the slice back the limits that it had. A failure is told, and the change stays on record.
pub(super) async fn lift(ctx: &mut StepContext<'_>) -> Result<(), StepError> {
    let Some(before) = recorded(ctx) else { return Ok(()) };
    let slice = ctx.host.budget.slice();
    match ctx.host.budget.set_limits(&before).await {
        Ok(()) => ctx.recorder.record(Fact::ChangeUndone(Change::Limited { slice, before }))?,
        Err(error) => ctx.note(format!("the limits of {slice} stay until the next boot: {error}")),
    }
    Ok(())
}

fn recorded(ctx: &StepContext<'_>) -> Option<SliceLimits> {
    ctx.run().changes.iter().find_map(|change| match change {
        Change::Limited { before, .. } => Some(*before),
        _ => None,
    })
}

/// Says once where a limit is set that nothing enforces.
pub(super) async fn tell_unless_enforced(ctx: &StepContext<'_>) {
    let slice = ctx.host.budget.slice();
    match ctx.host.budget.usage().await {
        Ok(Some(seen)) if seen.cpu == CpuCap::NotEnforced => ctx.note(format!(
            "the CPU limit is set but not enforced: {slice} has no cpu controller on this host; nice {} is in force",
            ctx.settings.limits.nice
        )),
        Ok(_) => {}
        Err(error) => ctx.note(format!("whether the CPU limit is enforced is not known: {error}")),
    }
}

/// Measures what the work takes from the host, and tells it at a light pace.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<(Timestamp, Option<u64>)>,
    starved_since: Option<Timestamp>,
}

impl Meter {
    pub(super) async fn look(&mut self, ctx: &StepContext<'_>) {
        let now = ctx.host.clock.now();
        let since = self.last.map(|(last, _)| now.duration_since(last));
        // A clock that was set back must not silence the meter.
        if since.is_some_and(|since| since >= SignedDuration::ZERO && since < MEASURE_EVERY) {
            return;
        }
        let (Ok(host), Ok(usage)) = (ctx.host.system.resources().await, ctx.host.budget.usage().await) else { return };
        let used = usage.and_then(|usage| usage.cpu_usec);
        let before = self.last.and_then(|(_, used)| used);
        self.last = Some((now, used));
        let Some(since) = since else { return };
        let rate = rate(before, used, since);
        let cap = match usage.map(|usage| usage.cpu) {
            Some(CpuCap::Enforced(quota)) => quota,
            _ => quota_of(100, host.cpus),
        };
        if self.has_starved(now, rate.is_some_and(|rate| starves(rate, cap, &host))) {
            match raise(ctx).await {
                Ok(true) => ctx.note(format!(
                    "the work got next to no CPU for {}, since others want all of it: it shares now, so that it ends",
                    exactly(STARVED_FOR)
                )),
                Ok(false) => {}
                Err(error) => ctx.note(format!("the work gets next to no CPU: {error}")),
            }
        }
        ctx.events.emit(EventKind::WorkMeasured {
            cpu_percent: rate.map(|rate| share_of(rate, host.cpus).round() as u32),
            limit_percent: match usage.map(|usage| usage.cpu) {
                Some(CpuCap::Enforced(quota)) => Some(share_of(quota, host.cpus).round() as u32),
                _ => None,
            },
            throttled: usage
                .and_then(|usage| usage.throttled_usec)
                .and_then(|usec| i64::try_from(usec).ok())
                .map(SignedDuration::from_micros),
            load: host.load_one_minute,
            memory_available: host.memory_available,
            memory_total: host.memory_total,
        });
    }
}

impl Meter {
    /// Whether it has starved for long enough, counted anew from there.
    fn has_starved(&mut self, now: Timestamp, starves: bool) -> bool {
        if !starves {
            self.starved_since = None;
            return false;
        }
        let since = *self.starved_since.get_or_insert(now);
        let is_over = now.duration_since(since) >= STARVED_FOR;
        if is_over {
            self.starved_since = None;
        }
        is_over
    }
}

/// Whether work at this rate waits for others rather than for a disk: more want the CPUs than there are.
fn starves(rate: u64, cap: u64, host: &Resources) -> bool {
    rate.saturating_mul(STARVED_PART) < cap && host.load_one_minute >= f64::from(host.cpus) + 1.0
}

/// Microseconds of CPU time a second between two readings.
fn rate(before: Option<u64>, after: Option<u64>, since: SignedDuration) -> Option<u64> {
    let used = after?.checked_sub(before?)?;
    let since = u128::try_from(since.as_micros()).ok().filter(|since| *since > 0)?;
    u64::try_from(u128::from(used) * 1_000_000 / since).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_starves_where_others_have_what_it_wants_for_minutes() {
        let host = |load| Resources { cpus: 2, memory_total: 0, memory_available: 0, load_one_minute: load };
        for (rate, load, expected) in
            [(99_999, 3.0, true), (100_000, 3.0, false), (0, 2.9, false), (0, 8.0, true), (u64::MAX, 8.0, false)]
        {
            assert_eq!(starves(rate, 1_000_000, &host(load)), expected, "{rate} {load}");
        }
        let mut meter = Meter::default();
        let mut heard = |secs, starves| meter.has_starved(Timestamp::from_second(secs).unwrap(), starves);
        let told: Vec<bool> = [
            (0, true),
            (175, true),
            // A moment in which it got what it wanted.
            (178, false),
            (180, true),
            (359, true),
            (360, true),
            // Raised once; where that does not help it is tried again.
            (365, true),
        ]
        .map(|(secs, starves)| heard(secs, starves))
        .into();
        assert_eq!(told, [false, false, false, false, false, true, false]);
    }

    #[test]
    fn a_rate_needs_two_readings_of_one_counter() {
        let secs = SignedDuration::from_secs;
        for (before, after, since, expected) in [
            (Some(1_000_000), Some(3_000_000), secs(4), Some(500_000)),
            (Some(5), Some(5), secs(5), Some(0)),
            (None, Some(5), secs(5), None),
            (Some(5), None, secs(5), None),
            (Some(9), Some(5), secs(5), None),
            (Some(1), Some(5), secs(0), None),
            (Some(1), Some(5), secs(-3), None),
        ] {
            assert_eq!(rate(before, after, since), expected, "{before:?} {after:?} {since:?}");
        }
    }
}
