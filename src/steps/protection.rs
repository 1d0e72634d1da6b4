//! Services that run while packages change: no script may stop or restart them half way.

use super::{RecordError, StepContext, StepError};
use crate::model::{Change, Fact};

pub(super) async fn protect(ctx: &mut StepContext<'_>) -> Result<(), StepError> {
    for service in &ctx.settings.services {
        ctx.recorder.record(Fact::ChangeIntended(Change::Protected(service.unit.clone())))?;
        ctx.host.units.protect(&service.unit).await?;
    }
    Ok(())
}

/// Takes away all protection that is on record, but of what is held, whose hold has taken its place. Where that fails it
/// stays on record: the stop of the service, or its restore, takes it away.
pub(super) async fn lift(ctx: &mut StepContext<'_>) -> Result<(), RecordError> {
    let changes = ctx.run().changes.clone();
    for change in &changes {
        let Change::Protected(unit) = change else { continue };
        if changes.contains(&Change::Held(unit.clone())) {
            continue;
        }
        match ctx.host.units.release(std::slice::from_ref(unit)).await {
            Ok(()) => ctx.recorder.record(Fact::ChangeUndone(change.clone()))?,
            Err(error) => ctx.note(format!("{unit} is still protected: {error}")),
        }
    }
    Ok(())
}
