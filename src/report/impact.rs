//! What the run cost: how each service went, came back, and how long it was away. Only recorded facts count.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ending::is_settled;
use super::{Downtime, ServiceStory, TimeAway, words};
use crate::events::{Event, EventKind};
use crate::model::{Estimate, Outcome, Run, Step, UnitName};

/// The time without services; none if none was stopped.
pub(super) fn away(run: &Run, timeline: &[Event]) -> Option<TimeAway> {
    let first = run.history.iter().find(|record| record.attempt.step.is_stop())?;
    let estimated = run.estimate.as_ref().map(Estimate::downtime).filter(|away| !away.is_zero());
    let still_down = is_settled(run) && run.services.iter().any(|service| is_still_down(run, timeline, &service.unit));
    let measured = run.measured_downtime().or_else(|| seen_back(run, timeline, first.attempt.began));
    let away = TimeAway { estimated, measured: measured.filter(|_| !still_down), still_down };
    (away.estimated.is_some() || away.measured.is_some() || away.still_down).then_some(away)
}

/// Without a judgement: until the last service that was stopped was seen ready. None if one of them was not.
fn seen_back(run: &Run, timeline: &[Event], began: Timestamp) -> Option<SignedDuration> {
    if run.verification.is_some() {
        return None;
    }
    let stopped = run.services.iter().filter_map(|service| downtime(run, timeline, &service.unit));
    let until: Option<Vec<Timestamp>> = stopped.map(|downtime| downtime.until).collect();
    words::between(began, until?.into_iter().max()?)
}

/// It was stopped by the run, and whoever looked last did not find it ready. That nobody looked proves nothing.
fn is_still_down(run: &Run, timeline: &[Event], unit: &UnitName) -> bool {
    let Some(downtime) = downtime(run, timeline, unit) else { return false };
    match &run.verification {
        Some(verification) => verification.services.iter().any(|one| one.unit == *unit && one.problem.is_some()),
        None => {
            let restored = run.last_record(&Step::Restore).map(|record| record.outcome);
            downtime.until.is_none() && restored == Some(Outcome::Failed)
        }
    }
}

/// The stories of the services, dependencies first.
pub(super) fn services(run: &Run, timeline: &[Event]) -> Vec<ServiceStory> {
    let positions = ready_positions(run);
    run.services
        .iter()
        .map(|service| {
            let unit = &service.unit;
            let returned = run
                .verification
                .as_ref()
                .and_then(|verification| verification.services.iter().find(|returned| &returned.unit == unit).cloned());
            ServiceStory {
                unit: unit.clone(),
                after: service.after.clone(),
                ran_before: run.baseline.as_ref().map(|baseline| baseline.service_ran(unit)),
                latency_before: run.baseline.as_ref().and_then(|baseline| {
                    baseline.services.iter().find(|service| &service.unit == unit).and_then(|service| service.latency)
                }),
                stopped: run.stops.iter().rev().find(|proof| &proof.unit == unit).cloned(),
                returned,
                database: run
                    .verification
                    .as_ref()
                    .and_then(|verification| verification.databases.iter().find(|back| &back.unit == unit).cloned()),
                ready_position: positions.get(unit).copied(),
                downtime: downtime(run, timeline, unit),
            }
        })
        .collect()
}

/// Places in the order in which the services became ready after the boot, from 1.
fn ready_positions(run: &Run) -> BTreeMap<UnitName, u32> {
    let returns = run.verification.as_ref().map_or(&[][..], |verification| &verification.services);
    let mut ready: Vec<(u64, &UnitName)> =
        returns.iter().filter_map(|returned| Some((returned.ready_usec?, &returned.unit))).collect();
    // Stable: services seen ready in one look keep their dependency order.
    ready.sort_by_key(|(usec, _)| *usec);
    ready.into_iter().zip(1..).map(|((_, unit), place)| (unit.clone(), place)).collect()
}

/// From the beginning of the first attempt to stop the service until it was next seen ready.
///
/// The beginning of the attempt is saved before anything is touched, so that the measure never says too little. None
/// where no stop was begun, or where the service was down already.
fn downtime(run: &Run, timeline: &[Event], unit: &UnitName) -> Option<Downtime> {
    let records: Vec<_> = run.history.iter().filter(|record| record.attempt.step.stops(unit)).collect();
    let open = run.attempt.as_ref().filter(|attempt| attempt.step.stops(unit));
    let from = records.first().map(|record| record.attempt.began).or(open.map(|attempt| attempt.began))?;
    if records.last().is_some_and(|record| record.outcome == Outcome::Skipped) {
        return None;
    }
    // Down at the only look: not taken down by us. After a second attempt that says nothing, since it may have been
    // the first that took it down before it could record so.
    let proofs: Vec<_> = run.stops.iter().filter(|proof| &proof.unit == unit).collect();
    if records.len() == 1 && !proofs.is_empty() && proofs.iter().all(|proof| !proof.was_running) {
        return None;
    }
    // Ready before the stop ended says nothing about the time after it.
    let stopped = records.last().map_or(from, |record| record.ended);
    // Ready once and down at the last look: it is not back.
    let judged = run.verification.iter().flat_map(|verification| &verification.services);
    let is_down = judged.clone().any(|one| &one.unit == unit && one.problem.is_some());
    let until = seen_ready(run, timeline, unit).filter(|at| *at >= stopped && !is_down).min();
    let took = until.and_then(|until| words::between(from, until));
    Some(Downtime { from, until, took, proven: !proofs.is_empty() })
}

fn seen_ready(run: &Run, timeline: &[Event], unit: &UnitName) -> impl Iterator<Item = Timestamp> {
    let judged = run.verification.iter().flat_map(|verification| &verification.services);
    let judged = judged.filter(move |returned| &returned.unit == unit).filter_map(|returned| returned.ready_at);
    let told = timeline.iter().filter_map(move |event| match &event.kind {
        EventKind::ServiceReady { unit: ready, .. } if ready == unit => Some(event.at),
        _ => None,
    });
    judged.chain(told)
}
