//! Bring back what the run stopped, dependencies first, each one ready before the next.

use jiff::SignedDuration;

use super::{RecordError, StepContext, StepEnd, StepError, StepResult, ask_again, companions, package_locks, rivals};
use crate::config::ServiceSettings;
use crate::events::EventKind;
use crate::host::HostErrorKind;
use crate::model::spoken::exactly;
use crate::model::{Change, Fact, JobResult, Readiness, UnitName};

const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(500);
/// So long a service that was not ready before the run is asked whether it is now.
const AS_BEFORE: SignedDuration = SignedDuration::from_secs(5);
const PROBE_TIMEOUT: SignedDuration = SignedDuration::from_secs(5);
/// A unit without a main process that was found up, and is not ready for so long, is taken for one that is left over.
const STALE_AFTER: SignedDuration = SignedDuration::from_secs(5);

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let services = ctx.settings.services.clone();
    let mut problems = Vec::new();
    let mut back = 0;
    let mut down = Vec::new();
    for service in &services {
        let unit = &service.unit;
        let held = Change::Held(unit.clone());
        let stopped = Change::Stopped(unit.clone());
        let protected = Change::Protected(unit.clone());
        // After the end of a run its services are somebody else's: only what is on record is undone.
        if ctx.run().reopened.is_some()
            && ![&held, &protected, &stopped].iter().any(|change| ctx.run().changes.contains(change))
            && !companions::has_sockets(ctx, unit)
        {
            continue;
        }
        let ran = ctx.run().reopened.is_none()
            && ctx.run().baseline.as_ref().is_some_and(|baseline| baseline.service_ran(unit));
        // Released even where nothing is recorded: undoing what was not done is harmless, leaving it is not.
        let mut released = ctx.host.units.release(unit).await;
        if released.is_ok() {
            record_release(ctx, unit)?;
        }
        // Where systemd only did not answer, the unit may start already, and its users wait.
        let may_start = released.as_ref().map_or_else(|error| error.kind == HostErrorKind::Unknown, |()| true);
        if may_start {
            problems.extend(companions::open_sockets(ctx, service).await?);
        }
        let is_wanted = ran || ctx.run().changes.contains(&stopped);
        let mut started = if is_wanted && may_start { start_until_ready(ctx, service).await } else { Ok(()) };
        if released.is_err() && may_start {
            released = ask_again(ctx, || ctx.host.units.release(unit)).await;
            if released.is_ok() {
                record_release(ctx, unit)?;
                if started.is_err() {
                    started = start_until_ready(ctx, service).await;
                }
            }
        }
        if let Err(error) = released {
            problems.push(format!("{unit} is still held: {error}"));
        }
        match started {
            Ok(()) if is_wanted && may_start => {
                back += 1;
                ctx.recorder.record(Fact::ChangeUndone(stopped))?;
            }
            Ok(()) => {}
            Err(problem) => {
                down.push(unit.clone());
                problems.push(problem);
            }
        }
    }
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

/// A release takes hold and protection away.
fn record_release(ctx: &mut StepContext<'_>, unit: &UnitName) -> Result<(), RecordError> {
    ctx.recorder.record(Fact::ChangeUndone(Change::Held(unit.clone())))?;
    ctx.recorder.record(Fact::ChangeUndone(Change::Protected(unit.clone())))
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
        let mut pause = LOOK_EVERY;
        let waited = ctx.host.clock.now().duration_since(began);
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
                    pause = said.ask_again_after().unwrap_or(LOOK_EVERY);
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
            Err(error) => problem = format!("its state is unknown: {error}"),
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
