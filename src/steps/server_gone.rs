//! Wait until a server that was told to end has ended: its process, whatever its unit says meanwhile. A unit that remains
//! active without a process (an init script, `RemainAfterExit=`) becomes inactive by its stop job alone.

use jiff::{SignedDuration, Timestamp};

use super::stop_unit::remaining;
use super::{StepContext, StepError};
use crate::config::ServiceSettings;
use crate::model::spoken::exactly;
use crate::model::{DatabaseAccess, DatabaseFacts};

const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(100);
/// A server closes its port long before it ends. Where its process cannot be seen, so many refusals in a row, and a lock
/// file without its number, have to do.
const REFUSALS: u32 = 3;

/// Looks until the server is gone, or its unit inactive, at most until the unit's stop timeout is over.
pub(super) async fn wait(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    access: &DatabaseAccess,
    (facts, process): (&DatabaseFacts, Option<u32>),
    began: Timestamp,
) -> Result<(), StepError> {
    let mut refusals = 0;
    loop {
        if ctx.host.units.state(&settings.unit).await.is_ok_and(|state| state.is_inactive()) {
            return Ok(());
        }
        match process {
            Some(process) => match ctx.host.units.processes(&settings.unit).await {
                Ok(left) if left.iter().all(|one| one.pid != process) => return Ok(()),
                _ => {}
            },
            None => {
                refusals = if ctx.host.database.facts(access).await.is_err() { refusals + 1 } else { 0 };
                let holds_its_lock = async {
                    let evidence = ctx.host.forensics.stop_evidence(facts).await;
                    evidence.lock_file_bytes.is_some_and(|bytes| bytes > 0)
                };
                if refusals >= REFUSALS && !holds_its_lock.await {
                    return Ok(());
                }
            }
        }
        if remaining(ctx, settings, began).is_zero() {
            let unit = &settings.unit;
            let which = process.map_or(String::new(), |process| format!(" (process {process})"));
            return Err(StepError::Failed(format!(
                "the server of {unit}{which} did not end within {}",
                exactly(settings.stop_timeout)
            )));
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}
