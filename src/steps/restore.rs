//! Bring back what the run stopped, dependencies first: what depends on nothing that is down starts side by side, and all of
//! it is ready before what depends on it.

use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{RecordError, StepContext, StepEnd, StepError, StepResult, ask_again, companions, package_locks, rivals};
use crate::config::ServiceSettings;
use crate::events::EventKind;
use crate::host::{HostErrorKind, HostResult};
use crate::model::spoken::exactly;
use crate::model::{Change, Fact, JobResult, Readiness, UnitName};

const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(500);
/// Between two looks at first: what comes after it waits as long.
const SOONEST: SignedDuration = SignedDuration::from_millis(100);
/// A pause is such a part of the time that has passed.
const PART: i32 = 10;
/// So long a service that was not ready before the run is asked whether it is now.
const AS_BEFORE: SignedDuration = SignedDuration::from_secs(5);
const PROBE_TIMEOUT: SignedDuration = SignedDuration::from_secs(5);
/// A unit without a main process that was found up, and is not ready for so long, is taken for one that is left over.
const STALE_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// What became of the services so far.
#[derive(Default)]
struct Restored {
    back: usize,
    down: Vec<UnitName>,
    problems: Vec<String>,
}

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let mut restored = Restored::default();
    for wave in ctx.settings.start_waves() {
        let services = wave.units().iter().filter_map(|unit| ctx.settings.service(unit));
        let services: Vec<ServiceSettings> = services.filter(|service| is_ours(ctx, service)).cloned().collect();
        bring_back(ctx, &services, &mut restored).await?;
    }
    let Restored { back, down, mut problems } = restored;
    problems.extend(companions::bring_back(ctx, &down).await?);
    package_locks::give_up(ctx).await?;
    // After the services: they come first. Before the verification, which misses what is paused. The report tries again.
    for problem in rivals::go_on(ctx).await? {
        ctx.note(problem);
    }
    if problems.is_empty() {
        return Ok(StepEnd::Succeeded(Some(format!("{back} services back and ready"))));
    }
    Err(StepError::Failed(problems.join("; ")))
}

/// After the end of a run its services are somebody else's: only what is on record is undone.
fn is_ours(ctx: &StepContext<'_>, service: &ServiceSettings) -> bool {
    let unit = &service.unit;
    let changes = [Change::Held(unit.clone()), Change::Protected(unit.clone()), Change::Stopped(unit.clone())];
    ctx.run().reopened.is_none()
        || changes.iter().any(|change| ctx.run().changes.contains(change))
        || companions::has_sockets(ctx, unit)
}

/// Whether it ran before the run, or was stopped by it.
fn is_wanted(ctx: &StepContext<'_>, unit: &UnitName) -> bool {
    let run = ctx.run();
    let ran = run.reopened.is_none() && run.baseline.as_ref().is_some_and(|baseline| baseline.service_ran(unit));
    ran || run.changes.contains(&Change::Stopped(unit.clone()))
}

/// Brings services back of which none depends on another.
async fn bring_back(
    ctx: &mut StepContext<'_>,
    services: &[ServiceSettings],
    restored: &mut Restored,
) -> Result<(), RecordError> {
    let units: Vec<UnitName> = services.iter().map(|service| service.unit.clone()).collect();
    // Released even where nothing is recorded: undoing what was not done is harmless, leaving it is not.
    let mut released = release(ctx, &units).await?;
    let mut starting = Vec::new();
    for (service, released) in services.iter().zip(&released) {
        // Where systemd only did not answer, the unit may start already, and its users wait.
        if !may_start(released) {
            continue;
        }
        restored.problems.extend(companions::open_sockets(ctx, service).await?);
        if is_wanted(ctx, &service.unit) {
            starting.push(service);
        }
    }
    let mut started = start_all(ctx, &starting).await;
    let unanswered: Vec<usize> =
        (0..units.len()).filter(|at| released[*at].is_err() && may_start(&released[*at])).collect();
    if !unanswered.is_empty() {
        let asked: Vec<UnitName> = unanswered.iter().map(|at| units[*at].clone()).collect();
        let answer = ask_again(ctx, || ctx.host.units.release(&asked)).await;
        if answer.is_ok() {
            record_release(ctx, &asked)?;
            for (service, outcome) in starting.iter().zip(&mut started) {
                if outcome.is_err() && asked.contains(&service.unit) {
                    *outcome = start_until_ready(ctx, service).await;
                }
            }
        }
        for at in unanswered {
            released[at].clone_from(&answer);
        }
    }
    for (unit, released) in units.iter().zip(released) {
        if let Err(error) = released {
            restored.problems.push(format!("{unit} is still held: {error}"));
        }
    }
    for (service, started) in starting.iter().zip(started) {
        match started {
            Ok(()) => {
                restored.back += 1;
                ctx.recorder.record(Fact::ChangeUndone(Change::Stopped(service.unit.clone())))?;
            }
            Err(problem) => {
                restored.down.push(service.unit.clone());
                restored.problems.push(problem);
            }
        }
    }
    Ok(())
}

/// Releases all of them, and says what became of each. One that cannot be released keeps none of the others.
async fn release(ctx: &mut StepContext<'_>, units: &[UnitName]) -> Result<Vec<HostResult<()>>, RecordError> {
    let all = ctx.host.units.release(units).await;
    let mut released = Vec::new();
    for unit in units {
        released.push(match &all {
            Err(error) if error.kind != HostErrorKind::Unknown => {
                ctx.host.units.release(std::slice::from_ref(unit)).await
            }
            answer => answer.clone(),
        });
    }
    let free: Vec<UnitName> =
        units.iter().zip(&released).filter(|(_, released)| released.is_ok()).map(|(unit, _)| unit.clone()).collect();
    record_release(ctx, &free)?;
    Ok(released)
}

fn may_start(released: &HostResult<()>) -> bool {
    released.as_ref().map_or_else(|error| error.kind == HostErrorKind::Unknown, |()| true)
}

async fn start_all(ctx: &StepContext<'_>, services: &[&ServiceSettings]) -> Vec<Result<(), String>> {
    join_all(services.iter().map(|service| start_until_ready(ctx, service))).await
}

/// A release takes hold and protection away.
fn record_release(ctx: &mut StepContext<'_>, units: &[UnitName]) -> Result<(), RecordError> {
    for unit in units {
        ctx.recorder.record(Fact::ChangeUndone(Change::Held(unit.clone())))?;
        ctx.recorder.record(Fact::ChangeUndone(Change::Protected(unit.clone())))?;
    }
    Ok(())
}

/// Starts as often as the unit is found down, since a stop that came late may still be under way; ends when the
/// service is ready, or when the time for its stop and its start is over. A unit that is active and of which nothing runs
/// is started by its stop and its start: a start alone does nothing to it.
pub(super) async fn start_until_ready(ctx: &StepContext<'_>, service: &ServiceSettings) -> Result<(), String> {
    let unit = &service.unit;
    let began = ctx.host.clock.now();
    let mut patience = service.start_timeout;
    let mut problem = String::from("it was not started");
    let mut ready_looks = 0;
    let (mut started, mut reset) = (false, false);
    let mut up_since = None;
    // Nobody expects more of it than that it runs as it did.
    let was_not_ready = ctx.run().baseline.as_ref().is_some_and(|baseline| baseline.why_not_ready(unit).is_some());
    loop {
        let waited = ctx.host.clock.now().duration_since(began);
        let mut pause = (waited / PART).clamp(SOONEST, LOOK_EVERY);
        let is_first_start = !started;
        match ctx.host.units.state(unit).await {
            Ok(state) if !state.is_up() => {
                ready_looks = 0;
                if state.processes > 0 {
                    // It is still going down: systemd gives it its own stop timeout before our start is served.
                    patience = service.start_timeout + state.stop_timeout.unwrap_or(service.stop_timeout);
                }
                started = true;
                match ctx.host.units.start(unit, (patience - waited).max(LOOK_EVERY)).await {
                    Ok(JobResult::Done) => problem = "it was started, and is not up".into(),
                    Ok(result) => problem = format!("systemd's start job ended {result}"),
                    Err(error) => problem = error.to_string(),
                }
                // Starts in quick succession would use up systemd's limit of them.
                if !is_first_start {
                    pause = LOOK_EVERY;
                }
            }
            Ok(state) if !reset && ctx.run().is_hollow(unit, &state) => {
                (ready_looks, reset) = (0, true);
                problem = format!("it is {}, and nothing of it runs", state.active);
                if let Some(why) = stop_what_is_stale(ctx, service).await {
                    problem = format!("{problem}; {why}");
                }
                continue;
            }
            Ok(state) => match ctx.host.prober.probe(unit, &service.readiness, PROBE_TIMEOUT).await {
                // Twice in a row: a service that was told to stop and has not noticed yet answers once more.
                Readiness::Ready(_) if ready_looks > 0 => {
                    let after = ctx.host.clock.now().duration_since(began);
                    ctx.events.emit(EventKind::ServiceReady { unit: unit.clone(), after });
                    return Ok(());
                }
                Readiness::Ready(_) => ready_looks += 1,
                said @ (Readiness::NotReady(_) | Readiness::TooOften(_)) => {
                    ready_looks = 0;
                    let why = said.problem().unwrap_or_default();
                    let up_for = ctx.host.clock.now().duration_since(*up_since.get_or_insert(ctx.host.clock.now()));
                    if was_not_ready && up_for >= AS_BEFORE {
                        ctx.note(format!("{unit} runs, and its probe does not succeed, as before the run: {why}"));
                        return Ok(());
                    }
                    pause = said.ask_again_after().unwrap_or(pause);
                    problem = format!("it is up, but not ready: {why}");
                    // Its processes are not its own, so that only the probe tells: what it had started is gone.
                    let says_no = said.ask_again_after().is_none();
                    if says_no && !started && !reset && state.main_pid.is_none() && waited >= STALE_AFTER {
                        reset = true;
                        if let Some(why) = stop_what_is_stale(ctx, service).await {
                            problem = format!("{problem}; {why}");
                        }
                        continue;
                    }
                }
            },
            Err(error) => (problem, pause) = (format!("its state is unknown: {error}"), LOOK_EVERY),
        }
        if ctx.host.clock.now().duration_since(began) >= patience {
            return Err(format!(
                "{unit} is not back after {patience}: {problem}; read journalctl -b -u {unit}, then: systemctl restart \
                 {unit}",
                patience = exactly(patience)
            ));
        }
        ctx.host.clock.sleep(pause).await;
    }
}

/// Returns why it could not.
async fn stop_what_is_stale(ctx: &StepContext<'_>, service: &ServiceSettings) -> Option<String> {
    ctx.note(format!("{} is active, and nothing of it runs: it is stopped, to be started anew", service.unit));
    match ctx.host.units.stop(&service.unit, service.stop_timeout).await {
        Ok(JobResult::Done) => None,
        Ok(result) => Some(format!("systemd's stop job ended {result}")),
        Err(error) => Some(error.to_string()),
    }
}
