//! Watch the services of a boot until each is ready or will not be.

use jiff::{SignedDuration, Timestamp};

use super::StepContext;
use crate::config::ServiceSettings;
use crate::events::EventKind;
use crate::model::{ActiveState, LoadState, Readiness, ServiceReturn, UnitName, UnitState};

const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(200);
const PROBE_TIMEOUT: SignedDuration = SignedDuration::from_secs(5);
/// How long to wait between two looks while services must stay as they are: a sixth of that time, within these bounds.
const SETTLE_LOOKS: (SignedDuration, SignedDuration) = (SignedDuration::from_secs(1), SignedDuration::from_secs(15));
/// A unit that is down after the boot has finished is given this long to be started by whatever else starts it.
const LATE_START: SignedDuration = SignedDuration::from_secs(5);

/// What is known of one service.
pub(super) struct Watched {
    pub(super) service: ServiceSettings,
    pub(super) state: Option<UnitState>,
    pub(super) ready_usec: Option<u64>,
    pub(super) ready_at: Option<Timestamp>,
    pub(super) problem: Option<String>,
    down_since: Option<Timestamp>,
    up_since: Option<Timestamp>,
    settled: bool,
}

impl Watched {
    fn new(service: ServiceSettings) -> Self {
        Self {
            service,
            state: None,
            ready_usec: None,
            ready_at: None,
            problem: None,
            down_since: None,
            up_since: None,
            settled: false,
        }
    }

    pub(super) fn unit(&self) -> &UnitName {
        &self.service.unit
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready_at.is_some() && self.problem.is_none()
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
            latency: None,
        }
    }
}

/// Looks at all services, all at the same pace, until each is settled.
pub(super) async fn until_settled(ctx: &StepContext<'_>, services: Vec<ServiceSettings>) -> Vec<Watched> {
    let began = ctx.host.clock.now();
    let mut watched: Vec<Watched> = services.into_iter().map(Watched::new).collect();
    loop {
        let booted = ctx.host.units.survey().await.is_ok_and(|survey| !is_booting(&survey.system_state));
        for one in watched.iter_mut().filter(|one| !one.settled) {
            look(ctx, one, booted).await;
        }
        if watched.iter().all(|one| one.settled) {
            return watched;
        }
        let longest = watched.iter().map(|one| one.service.start_timeout).max().unwrap_or_default();
        if ctx.host.clock.now().duration_since(began) > ctx.settings.verify.boot_timeout + longest {
            for one in watched.iter_mut().filter(|one| !one.settled) {
                let why = one.problem.take().unwrap_or_else(|| "nothing is known of it".into());
                one.give_up(format!("not ready when the boot's time was over: {why}"));
            }
            return watched;
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}

fn is_booting(system_state: &str) -> bool {
    matches!(system_state, "initializing" | "starting" | "")
}

async fn look(ctx: &StepContext<'_>, one: &mut Watched, booted: bool) {
    let unit = one.service.unit.clone();
    let state = match ctx.host.units.state(&unit).await {
        Ok(state) => state,
        Err(error) => {
            one.problem = Some(format!("its state is unknown: {error}"));
            return;
        }
    };
    let now = ctx.host.clock.now();
    one.state = Some(state.clone());
    if state.is_up() {
        one.down_since = None;
        let up_since = *one.up_since.get_or_insert(now);
        match ctx.host.prober.probe(&unit, &one.service.readiness, PROBE_TIMEOUT).await {
            Readiness::Ready(_) => {
                let uptime = ctx.host.system.uptime().await.unwrap_or_default();
                one.ready_at = Some(ctx.host.clock.now());
                one.ready_usec = u64::try_from(uptime.as_micros()).ok();
                one.problem = None;
                one.settled = true;
                ctx.events.emit(EventKind::ServiceReady { unit, after: uptime });
            }
            Readiness::NotReady(why) => {
                one.problem = Some(why.clone());
                if now.duration_since(up_since) > one.service.start_timeout {
                    one.give_up(format!("up, but not ready after {:#}: {why}", one.service.start_timeout));
                }
            }
        }
        return;
    }
    one.up_since = None;
    let down_since = *one.down_since.get_or_insert(now);
    let down_for = now.duration_since(down_since);
    let described = describe(&state);
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

/// Waits for the settle time, and reports every service that did not stay as it was.
pub(super) async fn settle(ctx: &StepContext<'_>, watched: &mut [Watched]) {
    let began = ctx.host.clock.now();
    // A restart between two looks still shows in the invocation, and what stays down shows in the last one: looking
    // more often would only cost more.
    let pause = (ctx.settings.verify.settle / 6).clamp(SETTLE_LOOKS.0, SETTLE_LOOKS.1);
    while ctx.host.clock.now().duration_since(began) < ctx.settings.verify.settle {
        if !watched.iter().any(Watched::is_ready) {
            return;
        }
        ctx.host.clock.sleep(pause).await;
        for one in watched.iter_mut().filter(|one| one.is_ready()) {
            if let Ok(state) = ctx.host.units.state(one.unit()).await {
                one.problem = instability(one.state.as_ref(), &state);
            }
        }
    }
    for one in watched.iter_mut().filter(|one| one.is_ready()) {
        let unit = one.service.unit.clone();
        if let Readiness::NotReady(why) = ctx.host.prober.probe(&unit, &one.service.readiness, PROBE_TIMEOUT).await {
            one.problem = Some(format!("was ready, and is not any more: {why}"));
        }
        // While it settled, a bus that was away for a moment was passed over; in the end the truth must be known.
        if let Err(error) = ctx.host.units.state(&unit).await {
            one.problem = Some(format!("was ready, and its state is now unknown: {error}"));
        }
    }
}

fn instability(first: Option<&UnitState>, now: &UnitState) -> Option<String> {
    if !now.is_up() {
        return Some(format!("was ready, and did not stay: {}", describe(now)));
    }
    let restarted = first.is_some_and(|first| first.invocation != now.invocation);
    restarted.then(|| "was ready, and restarted within the settle time".into())
}
