//! Watch the services of a boot until each is ready or will not be, and then for a while.
//!
//! systemd tells what changes, and what it tells is looked at at once. Everything is looked at besides, at a pace of
//! its own: signals get lost, and a service may become ready without telling systemd.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::Verifying;
use crate::config::ServiceSettings;
use crate::events::EventKind;
use crate::host::UnitChanges;
use crate::model::spoken::exactly;
use crate::model::{
    ActiveState, Latency, LoadState, Readiness, ReadinessProbe, ServiceReturn, Step, UnitName, UnitState,
};

/// Pauses between two looks at one service: the first, and the longest, to which they double.
const PAUSES: (SignedDuration, SignedDuration) = (SignedDuration::from_millis(50), SignedDuration::from_secs(1));
/// The same where systemd tells nothing, and looks are all there is.
const LONGEST_DEAF: SignedDuration = SignedDuration::from_millis(200);
/// Services that are looked at, or probed, at the same time.
const AT_ONCE: usize = 16;
/// So long a service that was not ready before the run is asked whether it is now.
const AS_BEFORE: SignedDuration = SignedDuration::from_secs(5);
/// Pace of the looks while services must stay as they are: a sixth of that time, within these bounds.
const SETTLE_LOOKS: (SignedDuration, SignedDuration) = (SignedDuration::from_secs(1), SignedDuration::from_secs(15));
/// A unit that is down after the boot has finished is given this long to be started by whatever else starts it.
const LATE_START: SignedDuration = SignedDuration::from_secs(5);
/// Whether the boot has finished is asked this often.
const BOOT_LOOKS: SignedDuration = SignedDuration::from_secs(1);

/// What is known of one service.
pub(super) struct Watched {
    pub(super) service: ServiceSettings,
    pub(super) state: Option<UnitState>,
    pub(super) ready_usec: Option<u64>,
    pub(super) ready_at: Option<Timestamp>,
    /// The last moment at which it was certainly not ready; none if nobody looked before it was.
    pub(super) not_ready_usec: Option<u64>,
    pub(super) problem: Option<String>,
    pub(super) latency: Option<Latency>,
    /// Why its probe did not succeed before the run either, in the probe's words.
    pub(super) was_not_ready: Option<String>,
    down_since: Option<Timestamp>,
    up_since: Option<Timestamp>,
    settled: bool,
    next_look: Timestamp,
    pause: SignedDuration,
}

impl Watched {
    pub(super) fn new(service: ServiceSettings) -> Self {
        Self {
            service,
            state: None,
            ready_usec: None,
            ready_at: None,
            not_ready_usec: None,
            problem: None,
            latency: None,
            was_not_ready: None,
            down_since: None,
            up_since: None,
            settled: false,
            next_look: Timestamp::UNIX_EPOCH,
            pause: PAUSES.0,
        }
    }

    pub(super) fn unit(&self) -> &UnitName {
        &self.service.unit
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready_at.is_some() && self.problem.is_none()
    }

    /// Somebody mended it: it is looked at anew.
    pub(super) fn look_again(&mut self) {
        let (latest, before) = (self.not_ready_usec, self.was_not_ready.take());
        *self = Self { not_ready_usec: latest, was_not_ready: before, ..Self::new(self.service.clone()) };
    }

    /// Its unit runs, and its probe says no, as both did before the run.
    pub(super) fn is_as_before(&self) -> bool {
        self.was_not_ready.is_some() && self.ready_at.is_none() && self.state.as_ref().is_some_and(UnitState::is_up)
    }

    /// Has its times count from a moment of the boot, and not from the boot itself.
    pub(super) fn count_from(&mut self, began: u64) {
        for usec in [&mut self.ready_usec, &mut self.not_ready_usec].into_iter().flatten() {
            *usec = usec.saturating_sub(began);
        }
        if let Some(state) = &mut self.state {
            for usec in [&mut state.active_since_usec, &mut state.activation_began_usec].into_iter().flatten() {
                *usec = usec.saturating_sub(began);
            }
        }
    }

    /// Why it is not ready, in words.
    pub(super) fn told_problem(&self) -> &str {
        self.problem.as_deref().unwrap_or("nothing is known of it")
    }

    fn give_up(&mut self, problem: String) {
        self.problem = Some(problem);
        self.settled = true;
    }

    pub(super) fn into_return(self, because_of: Option<UnitName>) -> ServiceReturn {
        let state = self.state.as_ref();
        ServiceReturn {
            activation_began_usec: state.and_then(|state| state.activation_began_usec),
            active_usec: state.and_then(|state| state.active_since_usec),
            restarts: state.map_or(0, |state| state.restarts),
            unit: self.service.unit,
            ready_usec: self.ready_usec,
            ready_at: self.ready_at,
            problem: self.problem,
            because_of,
            latency: self.latency,
        }
    }
}

/// What did not run before need not run now.
pub(super) fn services(with: &Verifying<'_>) -> Vec<Watched> {
    let ran = with.settings.services.iter().filter(|service| with.baseline.service_ran(&service.unit));
    let watched = |service: ServiceSettings| {
        let was_not_ready = with.baseline.why_not_ready(&service.unit);
        let mut watched = Watched::new(service);
        watched.was_not_ready = was_not_ready;
        watched
    };
    ran.cloned().map(watched).collect()
}

/// What systemd tells, or nothing where it tells nothing.
pub(super) struct Ears(Option<Box<dyn UnitChanges>>);

impl Ears {
    pub(super) async fn open(with: &Verifying<'_>) -> Self {
        Self(with.host.units.listen().await.ok())
    }

    fn longest_pause(&self) -> SignedDuration {
        if self.0.is_some() { PAUSES.1 } else { LONGEST_DEAF }
    }

    async fn wait(&mut self, with: &Verifying<'_>, timeout: SignedDuration) -> BTreeSet<UnitName> {
        if let Some(changes) = &mut self.0 {
            return changes.next(timeout).await;
        }
        with.host.clock.sleep(timeout).await;
        BTreeSet::new()
    }
}

/// Looks at all services until each is settled.
pub(super) async fn until_settled(with: &Verifying<'_>, ears: &mut Ears, watched: &mut [Watched]) {
    let clock = &with.host.clock;
    let began = clock.now();
    let longest = watched.iter().map(|one| one.service.start_timeout).max().unwrap_or_default();
    let (mut booted, mut next_boot_look) = (false, began);
    let mut changed = BTreeSet::new();
    loop {
        let now = clock.now();
        if !booted && next_boot_look <= now {
            booted = with.host.units.survey().await.is_ok_and(|survey| !is_booting(&survey.system_state));
            next_boot_look = now + BOOT_LOOKS;
        }
        let is_due = |one: &&mut Watched| !one.settled && (one.next_look <= now || changed.contains(one.unit()));
        let mut due: Vec<&mut Watched> = watched.iter_mut().filter(is_due).collect();
        for some in due.chunks_mut(AT_ONCE) {
            join_all(some.iter_mut().map(|one| look(with, one, booted, ears.longest_pause()))).await;
        }
        let became_ready: Vec<UnitName> =
            due.iter().filter(|one| one.is_ready()).map(|one| one.unit().clone()).collect();
        // At once, so that it is seen whether they were ready before what they depend on.
        let now = clock.now();
        for one in watched.iter_mut().filter(|one| !one.settled) {
            if one.service.after.iter().any(|on| became_ready.contains(on)) {
                one.next_look = now;
            }
        }
        if watched.iter().all(|one| one.settled) {
            return;
        }
        let now = clock.now();
        if now.duration_since(began) > with.settings.verify.boot_timeout + longest {
            for one in watched.iter_mut().filter(|one| !one.settled) {
                let why = one.problem.take().unwrap_or_else(|| "nothing is known of it".into());
                one.give_up(format!("not ready when the boot's time was over: {why}"));
            }
            return;
        }
        let next = watched.iter().filter(|one| !one.settled).map(|one| one.next_look).min().unwrap_or(now);
        changed = ears.wait(with, next.duration_since(now).clamp(SignedDuration::from_millis(10), PAUSES.1)).await;
    }
}

pub(super) fn is_booting(system_state: &str) -> bool {
    matches!(system_state, "initializing" | "starting" | "")
}

async fn look(with: &Verifying<'_>, one: &mut Watched, booted: bool, longest_pause: SignedDuration) {
    let unit = one.service.unit.clone();
    one.pause = (one.pause * 2).min(longest_pause);
    one.next_look = with.host.clock.now() + one.pause;
    let state = match with.host.units.state(&unit).await {
        Ok(state) => state,
        Err(error) => {
            one.problem = Some(format!("its state is unknown: {error}"));
            return;
        }
    };
    let now = with.host.clock.now();
    one.state = Some(state.clone());
    let is_empty = with.baseline.is_hollow(&unit, &state);
    if !state.is_up() || is_empty {
        is_down(one, &state, booted, now);
        if is_empty {
            let problem = format!("{} ({}), and no process of it runs", state.active, state.sub);
            // It does not become anything else by itself.
            if booted { one.give_up(problem) } else { one.problem = Some(problem) }
        }
        return;
    }
    one.down_since = None;
    if one.up_since.is_none() {
        // From here on it may become ready at any moment, and nobody but the probe tells.
        one.up_since = Some(now);
        one.pause = PAUSES.0;
        one.next_look = now + one.pause;
    }
    let asked_usec = with.host.system.moment();
    let said = with.host.prober.probe(&unit, &one.service.readiness, one.service.probe_timeout).await;
    match &said {
        Readiness::Ready(_) => {
            one.ready_at = Some(with.host.clock.now());
            // Where systemd's word is all there is, it is exact.
            one.ready_usec = match one.service.readiness {
                ReadinessProbe::Unit => state.active_since_usec,
                _ => Some(with.host.system.moment()),
            };
            one.problem = None;
            one.settled = true;
            // Without a boot it was brought back, and told of, before.
            let since = match with.rebooted {
                true => Some(with.began_usec),
                false => state.activation_began_usec.filter(|_| one.not_ready_usec.is_some()),
            };
            if let Some(since) = since {
                let ready = one.ready_usec.unwrap_or(since).saturating_sub(since);
                let after = i64::try_from(ready).unwrap_or_default();
                with.events.emit(EventKind::ServiceReady { unit, after: SignedDuration::from_micros(after) });
            }
        }
        Readiness::NotReady(_) | Readiness::TooOften(_) => {
            match said.ask_again_after() {
                Some(pause) => one.next_look = now + pause,
                None => one.not_ready_usec = Some(asked_usec),
            }
            let why = said.problem().unwrap_or_default();
            one.problem = Some(why.clone());
            let up_for = one.up_since.map(|since| now.duration_since(since)).unwrap_or_default();
            if one.was_not_ready.is_some() && up_for >= AS_BEFORE {
                // Nobody expects more of it than that it runs as it did.
                one.give_up(why);
            } else if up_for > one.service.start_timeout {
                one.give_up(format!("up, but not ready after {}: {why}", exactly(one.service.start_timeout)));
            }
        }
    }
}

fn is_down(one: &mut Watched, state: &UnitState, booted: bool, now: Timestamp) {
    one.up_since = None;
    let down_for = now.duration_since(*one.down_since.get_or_insert(now));
    let described = describe(state);
    one.problem = Some(described.clone());
    let hopeless = match (&state.load, &state.active) {
        (LoadState::Loaded, ActiveState::Activating) => down_for > one.service.start_timeout,
        (LoadState::Loaded, ActiveState::Failed) => down_for > LATE_START,
        (LoadState::Loaded, _) => booted && down_for > LATE_START,
        _ => booted,
    };
    if hopeless {
        one.give_up(described);
    }
}

fn describe(state: &UnitState) -> String {
    let result = state.result.as_deref().filter(|result| *result != "success");
    let mut text = format!("{} ({})", state.active, state.sub);
    if state.load != LoadState::Loaded {
        text = format!("the unit is {}", state.load);
    }
    if let Some(result) = result {
        text.push_str(&format!(", result {result}"));
    }
    if let Some(status) = state.exit_status.filter(|status| *status != 0) {
        text.push_str(&format!(", exit status {status}"));
    }
    if state.restarts > 0 {
        text.push_str(&format!(", {} restarts", state.restarts));
    }
    if !state.is_up() && state.unit_file == "disabled" {
        text.push_str("; it is not enabled, so the boot did not start it");
    }
    text
}

/// Waits for the settle time, and reports every service that did not stay as it was. What systemd tells is looked at
/// at once; at a light pace each service is looked at and probed besides.
pub(super) async fn settle(with: &Verifying<'_>, ears: &mut Ears, watched: &mut [Watched]) {
    let clock = &with.host.clock;
    let end = clock.now() + with.settings.verify.settle;
    let pause = (with.settings.verify.settle / 6).clamp(SETTLE_LOOKS.0, SETTLE_LOOKS.1);
    let mut next_round = clock.now() + pause;
    if watched.iter().any(Watched::is_ready) && end > clock.now() {
        with.events.emit(EventKind::StepProgressed {
            step: Step::Verify,
            fraction: None,
            remaining: Some(with.settings.verify.settle),
            message: "watching that the services stay up".to_owned(),
        });
    }
    loop {
        let now = clock.now();
        if now >= end || !watched.iter().any(Watched::is_ready) {
            break;
        }
        let wait = next_round.min(end).duration_since(now).max(SignedDuration::from_millis(10));
        let changed = ears.wait(with, wait).await;
        let is_round = clock.now() >= next_round;
        if is_round {
            next_round = clock.now() + pause;
        }
        let closely = if is_round { Look::Probe } else { Look::AtUnit };
        stay(with, watched, |one| is_round || changed.contains(one.unit()), closely).await;
    }
    stay(with, watched, |_| true, Look::Last).await;
}

/// How closely services are looked at while they settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// At what systemd says.
    AtUnit,
    Probe,
    /// With a probe, and unknown is no answer: before, a bus that was away for a moment is passed over.
    Last,
}

async fn stay(with: &Verifying<'_>, watched: &mut [Watched], is_due: impl Fn(&Watched) -> bool, closely: Look) {
    let mut due: Vec<&mut Watched> = watched.iter_mut().filter(|one| one.is_ready() && is_due(one)).collect();
    for some in due.chunks_mut(AT_ONCE) {
        join_all(some.iter_mut().map(|one| stays(with, one, closely))).await;
    }
}

async fn stays(with: &Verifying<'_>, one: &mut Watched, closely: Look) {
    let unit = one.service.unit.clone();
    match with.host.units.state(&unit).await {
        Ok(state) => one.problem = instability(one.state.as_ref(), &state),
        Err(error) if closely == Look::Last => {
            one.problem = Some(format!("was ready, and its state is now unknown: {error}"));
        }
        Err(_) => {}
    }
    if closely == Look::AtUnit || one.problem.is_some() {
        return;
    }
    // Who says that it is asked too often has not said that it is not ready.
    if let Readiness::NotReady(why) =
        with.host.prober.probe(&unit, &one.service.readiness, one.service.probe_timeout).await
    {
        one.problem = Some(format!("was ready, and is not any more: {why}"));
    }
}

fn instability(first: Option<&UnitState>, now: &UnitState) -> Option<String> {
    if !now.is_up() {
        return Some(format!("was ready, and did not stay: {}", describe(now)));
    }
    if first.map_or_else(|| now.is_hollow(), |first| now.is_hollow_after(first)) {
        return Some(format!("was ready, and did not stay: {} ({}), and no process of it runs", now.active, now.sub));
    }
    let restarted = first.is_some_and(|first| first.invocation != now.invocation);
    restarted.then(|| "was ready, and restarted within the settle time".into())
}
