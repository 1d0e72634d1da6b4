//! Restart, once, what the boot did not bring back: `[verify] on-failure = "restart"`.

use super::{RecordError, Recorder};
use crate::host::Host;
use crate::model::{Fact, Recovery, UnitName};
use crate::verify::Look;

/// Restarts every service that is not ready, dependencies first, and looks at all of them again. Each restart is
/// recorded before it is made; a service that was restarted in this run already is left alone. Gives those that are
/// ready now.
///
/// # Errors
///
/// When a restart cannot be recorded; it is not made then.
pub(super) async fn restart(
    look: &mut Look<'_>,
    host: &Host,
    recorder: &mut dyn Recorder,
) -> Result<Vec<UnitName>, RecordError> {
    let mut restarted = Vec::new();
    for service in look.services() {
        let unit = service.unit;
        let again = recorder.run().recoveries.iter().any(|recovery| recovery.unit == unit);
        if look.is_ready(&unit) || again {
            continue;
        }
        recorder.record(Fact::RecoveryIntended(Recovery { unit: unit.clone(), at: host.clock.now() }))?;
        // Where this fails, the look afterwards says why.
        let _ = host.units.restart(&unit, service.start_timeout).await;
        look.again(&unit).await;
        restarted.push(unit);
    }
    restarted.retain(|unit| look.is_ready(unit));
    Ok(restarted)
}
