//! The last look at what is held: each service is still down, whoever may have started it, by whatever way.

use super::{RecordError, StepContext, StepError};
use crate::model::{Change, Fact, UnitName};

/// Fails where one is up again.
pub(super) async fn prove(ctx: &StepContext<'_>) -> Result<(), StepError> {
    let services = ctx.settings.services.iter();
    for service in services.filter(|service| ctx.run().changes.contains(&Change::Held(service.unit.clone()))) {
        let unit = &service.unit;
        let state = ctx.host.units.state(unit).await?;
        if !state.is_inactive() {
            let why = format!("{unit} was stopped and held, and is {} again", state.described());
            return Err(StepError::Failed(format!("{why}; see who started it: journalctl -b -u {unit}")));
        }
        let Some(access) = &service.database else { continue };
        // A driver looks for seconds for a server that is not there, and users wait meanwhile.
        let may_answer = ctx.host.database.listens(access).await.unwrap_or(true);
        if may_answer && let Ok(facts) = ctx.host.database.facts(access).await {
            let process = facts.pid.map_or(String::new(), |pid| format!(", process {pid}"));
            return Err(StepError::Failed(format!(
                "{unit} is stopped and held, and a mongod answers in its place{process}: somebody has started it by \
                 another way; end it in mongosh with db.adminCommand({{shutdown: 1}})"
            )));
        }
        let before = ctx.run().stops.iter().find(|proof| proof.unit == *unit).and_then(|proof| proof.database.as_ref());
        let Some(facts) = before else { continue };
        let evidence = ctx.host.forensics.stop_evidence(facts).await;
        if evidence.lock_file_bytes.is_some_and(|bytes| bytes > 0) {
            let path = facts.db_path.as_deref().unwrap_or("its data directory");
            return Err(StepError::Failed(format!(
                "{unit} is stopped and held, and somebody has its data: {path}/mongod.lock names a process; see which: \
                 cat {path}/mongod.lock, and end it"
            )));
        }
    }
    Ok(())
}

/// Records which units failed since the baseline: systemd forgets it with the boot. Unknown is not recorded, and harmless:
/// it is a hint for who reads the report.
pub(super) async fn record_failed(ctx: &mut StepContext<'_>) -> Result<(), RecordError> {
    let (Some(baseline), Ok(survey)) = (&ctx.run().baseline, ctx.host.units.survey().await) else { return Ok(()) };
    let known = &baseline.units.failed;
    let is_own = |unit: &UnitName| unit.as_str().starts_with("patchday");
    let failed: Vec<UnitName> =
        survey.failed.into_iter().filter(|unit| !known.contains(unit) && !is_own(unit)).collect();
    if failed == ctx.run().failed_meanwhile {
        return Ok(());
    }
    ctx.recorder.record(Fact::FailedMeanwhile(failed))
}
