//! Units outside of the configuration that go down with a service: recorded, held and stopped before it, and started again
//! with it. systemd stops what is bound to a unit, and starts none of it again; a socket or path whose service is held fails
//! for good when it is used.

use jiff::SignedDuration;

use super::{RecordError, StepContext, StepError, ask_again};
use crate::config::ServiceSettings;
use crate::host::UnitHold;
use crate::model::{Change, Companion, Fact, JobResult, LoadState, UnitName, companions, is_handed_over, is_trigger};

/// A companion has no timeouts of ours: those of its unit end its jobs. This is for units that have none.
const START_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// Takes down what goes down with the service, and what would start it.
pub(super) async fn take_down(ctx: &mut StepContext<'_>, service: &ServiceSettings) -> Result<(), StepError> {
    let found = recorded(ctx, &service.unit).await?;
    let units: Vec<UnitName> = found.iter().map(|one| one.unit.clone()).collect();
    if units.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = found.iter().map(|one| one.described()).collect();
    ctx.note(format!("stopped with {}, and started again with it: {}", service.unit, told.join(", ")));
    let holds: Vec<UnitHold> = units.iter().map(|unit| UnitHold { unit: unit.clone(), stop_timeout: None }).collect();
    ctx.host.units.hold(&holds).await?;
    // First what would start the others again, then whoever comes after another one.
    let (triggers, bound): (Vec<&UnitName>, Vec<&UnitName>) = units.iter().rev().partition(|unit| is_trigger(unit));
    for unit in triggers.into_iter().chain(bound) {
        let why = match ctx.host.units.stop(unit, service.stop_timeout).await {
            Ok(JobResult::Done) => continue,
            Ok(result) => format!("systemd's stop job ended {result}"),
            Err(error) => error.to_string(),
        };
        return Err(StepError::Failed(format!("{unit}, which goes down with {}, did not stop: {why}", service.unit)));
    }
    Ok(())
}

/// Finds the companions of a service, and records that they are about to go down with it.
async fn recorded(ctx: &mut StepContext<'_>, service: &UnitName) -> Result<Vec<Companion>, StepError> {
    let configured: Vec<UnitName> = ctx.settings.services.iter().map(|service| service.unit.clone()).collect();
    let known = ctx.host.units.dependents(std::slice::from_ref(service)).await?;
    let found = companions(service, &known, &configured);
    for one in &found {
        let change = Change::TakenAlong { unit: one.unit.clone(), with: service.clone() };
        ctx.recorder.record(Fact::ChangeIntended(change))?;
    }
    Ok(found)
}

/// What went down with the service, in the order in which it starts.
fn taken_with(ctx: &StepContext<'_>, service: &UnitName) -> Vec<UnitName> {
    let of = |change: &Change| match change {
        Change::TakenAlong { unit, with } if with == service => Some(unit.clone()),
        _ => None,
    };
    ctx.run().changes.iter().filter_map(of).collect()
}

/// Whether a socket went down with the service.
pub(super) fn has_sockets(ctx: &StepContext<'_>, service: &UnitName) -> bool {
    taken_with(ctx, service).iter().any(is_handed_over)
}

/// Opens the sockets of a service, before it starts: systemd hands them over, and does not open them once it runs. Where it
/// runs already, it is stopped for that. Returns what could not be opened.
pub(super) async fn open_sockets(
    ctx: &mut StepContext<'_>,
    service: &ServiceSettings,
) -> Result<Vec<String>, RecordError> {
    let sockets: Vec<UnitName> = taken_with(ctx, &service.unit).into_iter().filter(is_handed_over).collect();
    let mut problems = Vec::new();
    if sockets.is_empty() {
        return Ok(problems);
    }
    if let Err(error) = ask_again(ctx, || ctx.host.units.release(&sockets)).await {
        problems.push(format!("the sockets of {} are still held: {error}", service.unit));
    }
    for socket in sockets {
        let mut started = start(ctx, &socket).await;
        if started.is_err() && ctx.host.units.state(&service.unit).await.is_ok_and(|state| state.is_up()) {
            ctx.note(format!("{} is stopped, since {socket} cannot be opened while it runs", service.unit));
            // The stop takes along what was brought back already.
            match recorded(ctx, &service.unit).await {
                Err(StepError::Record(error)) => return Err(error),
                Err(error) => problems.push(error.to_string()),
                Ok(_) => {}
            }
            ctx.recorder.record(Fact::ChangeIntended(Change::Stopped(service.unit.clone())))?;
            let _ = ctx.host.units.stop(&service.unit, service.stop_timeout).await;
            started = start(ctx, &socket).await;
        }
        conclude(ctx, socket, &service.unit, started, &mut problems).await?;
    }
    Ok(problems)
}

/// Starts everything else that went down with a service, once all services are back: what is bound to them, then what
/// starts them. With a service that is not back nothing is started: it would only pull the service up.
pub(super) async fn bring_back(ctx: &mut StepContext<'_>, down: &[UnitName]) -> Result<Vec<String>, RecordError> {
    let services: Vec<UnitName> = ctx.settings.services.iter().map(|service| service.unit.clone()).collect();
    let all: Vec<(UnitName, UnitName)> = services
        .iter()
        .flat_map(|service| taken_with(ctx, service).into_iter().map(|unit| (unit, service.clone())))
        .collect();
    let mut problems = Vec::new();
    if all.is_empty() {
        return Ok(problems);
    }
    let units: Vec<UnitName> = all.iter().map(|(unit, _)| unit.clone()).collect();
    if let Err(error) = ask_again(ctx, || ctx.host.units.release(&units)).await {
        problems.push(format!("units that went down with the services are still held: {error}"));
    }
    let (triggers, bound): (Vec<_>, Vec<_>) = all.into_iter().partition(|(unit, _)| is_trigger(unit));
    for (unit, with) in bound.into_iter().chain(triggers) {
        let started = match down.contains(&with) {
            true => Err(format!("{with} is not back")),
            false => start(ctx, &unit).await,
        };
        conclude(ctx, unit, &with, started, &mut problems).await?;
    }
    Ok(problems)
}

async fn start(ctx: &StepContext<'_>, unit: &UnitName) -> Result<(), String> {
    match ask_again(ctx, || ctx.host.units.start(unit, START_TIMEOUT)).await {
        Ok(JobResult::Done) => {}
        Ok(result) => return Err(format!("systemd's start job ended {result}")),
        Err(error) => return Err(error.to_string()),
    }
    match ctx.host.units.state(unit).await {
        // A job that ends when its work is done has worked.
        Ok(state) if state.is_up() || state.service_type == "oneshot" => Ok(()),
        Ok(state) => Err(format!("it was started, and is {}", state.described())),
        Err(error) => Err(error.to_string()),
    }
}

/// What a program made (`systemd-run`) is deleted by its stop: nobody can start it again, and that was told before.
async fn is_gone(ctx: &StepContext<'_>, unit: &UnitName) -> bool {
    ctx.host.units.state(unit).await.is_ok_and(|state| state.load == LoadState::NotFound)
}

async fn conclude(
    ctx: &mut StepContext<'_>,
    unit: UnitName,
    with: &UnitName,
    started: Result<(), String>,
    problems: &mut Vec<String>,
) -> Result<(), RecordError> {
    match started {
        Ok(()) => ctx.recorder.record(Fact::ChangeUndone(Change::TakenAlong { unit, with: with.clone() })),
        Err(_) if is_gone(ctx, &unit).await => {
            ctx.note(format!(
                "{unit} went down with {with} and has no unit file: the program that made it has to make it again"
            ));
            ctx.recorder.record(Fact::ChangeUndone(Change::TakenAlong { unit, with: with.clone() }))
        }
        Err(why) => {
            problems.push(format!("{unit}, which went down with {with}, is not back: {why}; systemctl start {unit}"));
            Ok(())
        }
    }
}

/// Starts what was bound to services that ended by themselves, ran before the run, and went down with them.
pub(super) async fn follow(ctx: &StepContext<'_>, services: &[UnitName]) {
    let Some(baseline) = &ctx.run().baseline else { return };
    let known = match ctx.host.units.dependents(services).await {
        Ok(known) => known,
        Err(error) => return ctx.note(error.to_string()),
    };
    let is_configured = |unit: &UnitName| ctx.settings.services.iter().any(|service| service.unit == *unit);
    let gone = known.iter().filter(|(unit, now)| !now.is_active && baseline.units.active.contains(unit));
    for (unit, _) in gone.filter(|(unit, _)| !is_configured(unit) && !is_trigger(unit)) {
        match start(ctx, unit).await {
            Ok(()) => ctx.note(format!("{unit} had gone down with a service, and is started again")),
            Err(why) => ctx.note(format!("{unit} had gone down with a service, and is not back: {why}")),
        }
    }
}
