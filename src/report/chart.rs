//! When each service was in which state, for the pictures of the shutdown and of the boot. Only recorded instants count.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Report, ServiceStory};
use crate::model::{Outcome, Step};

/// What a service was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As before the run.
    Running,
    /// Told to stop, and not yet proven down.
    Stopping,
    Down,
    /// Being started, and not yet ready.
    Starting,
    Ready,
    /// Started, and not ready by the end.
    NotReady,
}

/// A state and how long it lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) state: State,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) spans: Vec<Span>,
    /// Lanes that must be ready before this one starts.
    pub(super) after: Vec<usize>,
}

impl Lane {
    /// When the lane first entered a state.
    pub(super) fn first(&self, state: State) -> Option<&Span> {
        self.spans.iter().find(|span| span.state == state)
    }
}

/// Which way the dependencies count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The whole run, without dependencies.
    Whole,
    /// Who needs another stops before it.
    Down,
    /// Who needs another starts after it.
    Up,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) direction: Direction,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    /// The instant from which the axis counts.
    pub(super) zero: Timestamp,
    pub(super) lanes: Vec<Lane>,
    /// From the request until the next boot was at work.
    pub(super) reboot: Option<(Timestamp, Timestamp)>,
    /// Whose clock it shows.
    pub(super) zone: TimeZone,
}

/// The pictures of a run: the whole, its shutdown, and how the services came back. None of what did not happen.
pub(super) fn charts(report: &Report) -> Vec<Chart> {
    let lanes = lanes(report);
    let reboot = report.reboot.as_ref().and_then(|reboot| Some((reboot.requested?, reboot.noticed?)));
    let reboot = reboot.filter(|(requested, noticed)| requested < noticed);
    let whole = (report.began, end(report));
    let stops = lanes.iter().filter_map(|lane| lane.first(State::Stopping));
    let shutdown = hull(stops.map(|span| (span.from, span.until)));
    let returns = lanes.iter().flat_map(|lane| &lane.spans).filter_map(|span| match span.state {
        State::Ready => Some((span.from, span.from)),
        State::Starting => Some((span.from, span.until)),
        _ => None,
    });
    let back = hull(returns.chain(reboot).chain(restore(report)));
    let chart = |title, direction, window: Option<(Timestamp, Timestamp)>| {
        let (zero, until) = window?;
        // A margin, so that what comes before and after is seen.
        let room = until.duration_since(zero) / 20;
        let (from, until) = match direction {
            Direction::Whole => (zero, until),
            _ => (zero.checked_sub(room).ok()?, until.checked_add(room).ok()?),
        };
        let lanes = lanes.clone();
        (from < until && !lanes.is_empty()).then_some(Chart {
            title,
            direction,
            from,
            until,
            zero,
            lanes,
            reboot,
            zone: report.zone.clone(),
        })
    };
    [
        chart("The whole run", Direction::Whole, Some(whole)),
        chart("Shutdown", Direction::Down, shutdown),
        chart(if reboot.is_some() { "Reboot and boot" } else { "Return" }, Direction::Up, back),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn hull(spans: impl Iterator<Item = (Timestamp, Timestamp)>) -> Option<(Timestamp, Timestamp)> {
    spans.reduce(|all, span| (all.0.min(span.0), all.1.max(span.1)))
}

fn end(report: &Report) -> Timestamp {
    report.ended.unwrap_or(report.built)
}

/// From when services were brought back without a reboot.
fn restore(report: &Report) -> Option<(Timestamp, Timestamp)> {
    let step = report.steps.iter().find(|step| step.step == Step::Restore)?;
    let (began, took) = (step.began?, step.took.unwrap_or_default());
    let is_over = step.outcome.is_some_and(|outcome| outcome != Outcome::Skipped);
    is_over.then(|| Some((began, began.checked_add(took).ok()?))).flatten()
}

/// When the boot that was judged began: readiness is known by the clock and since the boot.
fn booted(report: &Report) -> Option<Timestamp> {
    report.reboot.as_ref()?.noticed?;
    report.services.iter().filter_map(|service| service.returned.as_ref()).find_map(|returned| {
        let (at, since) = (returned.ready_at?, i64::try_from(returned.ready_usec?).ok()?);
        at.checked_sub(SignedDuration::from_micros(since)).ok()
    })
}

fn lanes(report: &Report) -> Vec<Lane> {
    let boot = booted(report);
    let place = |unit| report.services.iter().position(|service| &service.unit == unit);
    report
        .services
        .iter()
        .map(|service| Lane {
            name: service.unit.to_string(),
            spans: spans(report, service, boot),
            after: service.after.iter().filter_map(place).collect(),
        })
        .collect()
}

/// The instants at which the state of a service changed, in order, each with what followed.
fn spans(report: &Report, service: &ServiceStory, boot: Option<Timestamp>) -> Vec<Span> {
    let returned = service.returned.as_ref();
    let since_boot =
        |usec: Option<u64>| boot?.checked_add(SignedDuration::from_micros(i64::try_from(usec?).ok()?)).ok();
    let down = service.downtime.as_ref();
    let stopped = service.stopped.as_ref().filter(|proof| proof.was_running);
    let requested =
        report.reboot.as_ref().filter(|reboot| reboot.noticed.is_some()).and_then(|reboot| reboot.requested);
    let started = since_boot(returned.and_then(|returned| returned.activation_began_usec));
    let ready =
        down.and_then(|down| down.until).or(returned.and_then(|returned| returned.ready_at).filter(|_| boot.is_some()));
    let is_broken = returned.is_some_and(|returned| returned.ready_usec.is_none());
    let mut turns = vec![(report.began, State::Running)];
    match (down, stopped) {
        (Some(down), Some(proof)) => {
            turns.push((down.from, State::Stopping));
            turns.extend(down.from.checked_add(proof.took).ok().map(|at| (at, State::Down)));
        }
        (Some(down), None) => turns.push((down.from, State::Stopping)),
        // Whoever was not stopped by the run was by the reboot.
        (None, _) => turns.extend(requested.map(|at| (at, State::Down))),
    }
    turns.extend(started.map(|at| (at, if is_broken { State::NotReady } else { State::Starting })));
    turns.extend(ready.map(|at| (at, State::Ready)));
    // A clock that was set makes instants change places; what then comes too early has no length.
    let ends = turns.iter().skip(1).map(|(at, _)| *at).chain([end(report)]);
    let spans = turns.iter().zip(ends).map(|((from, state), until)| Span { state: *state, from: *from, until });
    spans.filter(|span| span.from < span.until).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{Story, at};

    fn states(lane: &Lane) -> Vec<State> {
        lane.spans.iter().map(|span| span.state).collect()
    }

    #[test]
    fn a_run_with_a_reboot_has_three_pictures_of_the_same_lanes() {
        let charts = charts(&Story::healthy().report());
        let titles: Vec<_> = charts.iter().map(|chart| chart.title).collect();
        assert_eq!(titles, ["The whole run", "Shutdown", "Reboot and boot"]);
        for lane in &charts[2].lanes {
            assert_eq!(states(lane), [State::Running, State::Stopping, State::Down, State::Starting, State::Ready]);
            assert!(lane.spans.windows(2).all(|pair| pair[0].until == pair[1].from), "{lane:?}");
        }
        let mongod = charts[2].lanes.iter().find(|lane| lane.name == "mongod.service").unwrap();
        // Ready 4.9 s after the boot, which was seen at 47.1 s; its start began 3.9 s after the boot.
        let began = mongod.first(State::Starting).unwrap().from;
        assert_eq!(began.duration_since(at(46.1)).as_millis(), 0);
        assert_eq!(mongod.first(State::Ready).unwrap().from, at(47.1));
        assert!(charts[2].reboot.unwrap().0 >= charts[2].from);
    }

    #[test]
    fn nothing_is_drawn_that_is_not_recorded() {
        let mut story = Story::new();
        story.prepare();
        let charts = charts(&story.report());
        assert_eq!(charts.len(), 1, "nothing was stopped");
        assert!(charts[0].lanes.iter().all(|lane| states(lane) == [State::Running]));
    }
}
