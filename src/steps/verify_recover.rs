//! Restart, once, what the boot did not bring back: `[verify] on-failure = "restart"`.

use super::verify::Verifying;
use super::verify_watch::{self, Ears, Watched};
use super::{RecordError, Recorder};
use crate::model::{Fact, Recovery, UnitName};

/// Restarts every service that is not ready, dependencies first, and looks at all of them again. Each restart is
/// recorded before it is made; a service that was restarted in this run already is left alone. Gives those that are
/// ready now.
///
/// # Errors
///
/// When a restart cannot be recorded; it is not made then.
pub(super) async fn restart(
    with: &Verifying<'_>,
    recorder: &mut dyn Recorder,
    ears: &mut Ears,
    watched: &mut [Watched],
) -> Result<Vec<UnitName>, RecordError> {
    let mut restarted = Vec::new();
    // In the order of the settings, which is that of the dependencies.
    for one in watched.iter_mut() {
        let unit = one.unit().clone();
        let again = recorder.run().recoveries.iter().any(|recovery| recovery.unit == unit);
        if one.is_ready() || again {
            continue;
        }
        recorder.record(Fact::RecoveryIntended(Recovery { unit: unit.clone(), at: with.host.clock.now() }))?;
        // Where this fails, the look afterwards tells why.
        let _ = with.host.units.restart(&unit, one.service.start_timeout).await;
        one.look_again();
        verify_watch::until_settled(with, ears, std::slice::from_mut(one)).await;
        restarted.push(unit);
    }
    restarted.retain(|unit| watched.iter().any(|one| one.unit() == unit && one.is_ready()));
    Ok(restarted)
}
