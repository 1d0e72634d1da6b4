//! The limits of all long work: set before the first work of a run, measured while it goes on, lifted at the end.

use jiff::{SignedDuration, Timestamp};

use super::{StepContext, StepError};
use crate::events::EventKind;
use crate::model::{Change, CpuCap, Fact, SliceLimits, share_of};

/// How often the use is measured: often enough for a watcher, and too seldom to be a load itself.
const MEASURE_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// Limits the slice, unless the run has done so. Returns whether it did now.
///
/// Limits that are in place stay as they are: somebody may have changed them while the work ran.
pub(super) async fn ensure(ctx: &mut StepContext<'_>) -> Result<bool, StepError> {
    let now = ctx.host.budget.limits().await?;
    match recorded(ctx) {
        Some(before) if now != before => return Ok(false),
        // The intent was saved, and nothing came of it.
        Some(_) => {}
        None => {
            let change = Change::Limited { slice: ctx.host.budget.slice(), before: now };
            ctx.recorder.record(Fact::ChangeIntended(change))?;
        }
    }
    ctx.host.budget.set_limits(&ctx.settings.limits.of_slice()).await?;
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
        ctx.events.emit(EventKind::WorkMeasured {
            cpu_percent: rate(before, used, since).map(|rate| share_of(rate, host.cpus).round() as u32),
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
