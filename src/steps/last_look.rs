//! The last look at the services of a run that was not verified: ready once is not running. What ended within the settle time
//! is started once more, in order; what is down after that stays on record, so that `resume` tries again.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::restore::start_until_ready;
use super::{StepContext, StepEnd, StepError, StepResult, companions};
use crate::config::ServiceSettings;
use crate::model::{Change, Fact, Finding, FindingKey, LastLook, Readiness, Severity, UnitName};
use crate::verify::compare::{self, GoneUnit};
use crate::verify::relations_of_each;

/// So long services must stay up; `[verify] settle` is for a host that is to be judged.
const SETTLE: SignedDuration = SignedDuration::from_secs(10);
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// One answer that does not come is none: a service that is not ready is asked so often.
const TRIES: u32 = 3;

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let services = to_look_at(ctx);
    let mut ended = settle(ctx, &services).await;
    let mut started_again: Vec<UnitName> = Vec::new();
    for (service, why) in ended.clone() {
        let unit = &service.unit;
        // Restore has tried all that it could with what it has told already.
        if ctx.run().changes.contains(&Change::Stopped(unit.clone())) && !is_up(ctx, unit).await {
            continue;
        }
        ctx.note(format!("{unit} was ready, and is not any more: {why}; it is started once more"));
        ctx.recorder.record(Fact::ChangeIntended(Change::Stopped(unit.clone())))?;
        started_again.push(unit.clone());
        if let Err(problem) = start_until_ready(ctx, &service).await {
            ctx.note(problem);
        }
    }
    if !started_again.is_empty() {
        companions::follow(ctx, &started_again).await;
        ended = settle(ctx, &services).await;
    }

    let is_down = |unit: &UnitName| ended.iter().any(|(service, _)| service.unit == *unit);
    let serving: Vec<UnitName> =
        services.iter().map(|service| service.unit.clone()).filter(|unit| !is_down(unit)).collect();
    for unit in &serving {
        ctx.recorder.record(Fact::ChangeUndone(Change::Stopped(unit.clone())))?;
    }
    for (service, _) in &ended {
        ctx.recorder.record(Fact::ChangeIntended(Change::Stopped(service.unit.clone())))?;
    }
    let mut findings: Vec<Finding> = ended.iter().map(|(service, why)| down(&service.unit, why)).collect();
    findings.extend(others(ctx).await);
    let look = LastLook { at: ctx.host.clock.now(), serving, started_again, findings };
    let note = note(&look, services.len());
    ctx.recorder.record(Fact::LookedLast(look))?;
    match ended.first() {
        None => Ok(StepEnd::Succeeded(Some(note))),
        Some(_) => Err(StepError::Failed(note)),
    }
}

/// What ran before the run; of a run that was opened again, only what it brought back or still has on record: all else is
/// somebody else's by now.
fn to_look_at(ctx: &StepContext<'_>) -> Vec<ServiceSettings> {
    let run = ctx.run();
    let is_ours = |unit: &UnitName| {
        let ran = run.baseline.as_ref().is_some_and(|baseline| baseline.service_ran(unit));
        let touched = run.restored.contains(unit) || run.changes.contains(&Change::Stopped(unit.clone()));
        if run.reopened.is_some() { touched } else { ran || touched }
    };
    ctx.settings.services.iter().filter(|service| is_ours(&service.unit)).cloned().collect()
}

async fn is_up(ctx: &StepContext<'_>, unit: &UnitName) -> bool {
    ctx.host.units.state(unit).await.is_ok_and(|state| state.is_up() && !ctx.run().is_hollow(unit, &state))
}

/// Waits for the settle time. Gives those that do not serve at its end, dependencies first, and why.
async fn settle(ctx: &StepContext<'_>, services: &[ServiceSettings]) -> Vec<(ServiceSettings, String)> {
    ctx.host.clock.sleep(SETTLE).await;
    let mut ended = Vec::new();
    for service in services {
        if let Err(why) = serves(ctx, service).await {
            ended.push((service.clone(), why));
        }
    }
    ended
}

async fn serves(ctx: &StepContext<'_>, service: &ServiceSettings) -> Result<(), String> {
    let unit = &service.unit;
    let mut problem = String::new();
    for again in 0..TRIES {
        if again > 0 {
            ctx.host.clock.sleep(LOOK_EVERY).await;
        }
        problem = match ctx.host.units.state(unit).await {
            Ok(state) if !state.is_up() => {
                let result = state.result.as_deref().filter(|result| *result != "success");
                format!("it is {}{}", state.described(), result.map_or(String::new(), |why| format!(", result {why}")))
            }
            Ok(state) if ctx.run().is_hollow(unit, &state) => {
                format!("it is {} ({}), and no process of it runs", state.active, state.sub)
            }
            Ok(_) => match ctx.host.prober.probe(unit, &service.readiness, service.probe_timeout).await {
                // Whoever says that it is asked too often answers.
                Readiness::Ready(_) | Readiness::TooOften(_) => return Ok(()),
                Readiness::NotReady(why) => why,
            },
            Err(error) => format!("its state is unknown: {error}"),
        };
    }
    Err(problem)
}

fn down(unit: &UnitName, why: &str) -> Finding {
    let finding = Finding::new(FindingKey::ServiceNotReady, Severity::Blocker, format!("{unit} is down: {why}"));
    let finding = finding.about(unit);
    finding.remedy(
        format!("read journalctl -b -u {unit}; once its cause is fixed, start it"),
        format!("systemctl restart {unit}"),
    )
}

/// Units that are no services of the run, and that failed or ended since the baseline.
async fn others(ctx: &StepContext<'_>) -> Vec<Finding> {
    let Some(baseline) = ctx.run().baseline.as_ref().filter(|_| ctx.run().reopened.is_none()) else {
        return Vec::new();
    };
    let services: Vec<UnitName> = ctx.settings.services.iter().map(|service| service.unit.clone()).collect();
    let survey = match ctx.host.units.survey().await {
        Ok(survey) => survey,
        Err(error) => {
            let finding = Finding::new(FindingKey::UnitFailed, Severity::Warning, "units could not be compared");
            return vec![finding.evidence(error.to_string())];
        }
    };
    let asked = compare::ran_and_does_not(baseline, &survey, &services);
    let mut gone = BTreeMap::new();
    if let Ok(mut relations) = relations_of_each(ctx.host, &asked).await {
        for unit in asked {
            if let (Some(relations), Ok(state)) = (relations.remove(&unit), ctx.host.units.state(&unit).await) {
                gone.insert(unit, GoneUnit { relations, state });
            }
        }
    }
    compare::units_alone(baseline, &survey, &gone, &services)
}

fn note(look: &LastLook, looked_at: usize) -> String {
    let mut parts: Vec<String> =
        look.findings.iter().filter(|one| one.severity == Severity::Blocker).map(|one| one.title.clone()).collect();
    parts.push(format!("{} of {looked_at} services serve", look.serving.len()));
    if !look.started_again.is_empty() {
        let names: Vec<&str> = look.started_again.iter().map(UnitName::as_str).collect();
        parts.push(format!("started once more: {}", names.join(", ")));
    }
    parts.join("; ")
}
