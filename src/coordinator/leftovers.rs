//! What is still in systemd's list when a run is over.

use super::{Coordinator, RunStorage};
use crate::events::EventKind;
use crate::model::UnitName;

impl<S: RunStorage> Coordinator<'_, S> {
    /// A coordinator that was killed between saving an outcome and collecting its unit leaves the unit loaded.
    pub(super) async fn collect_what_is_left(&self) {
        let ended = match self.host.work.ended(&self.run().id).await {
            Ok(ended) => ended,
            Err(error) => return tracing::warn!("{error}"),
        };
        for unit in ended {
            if let Err(error) = self.host.work.collect(&unit).await {
                tracing::warn!("{unit} cannot be collected: {error}");
            }
        }
    }

    /// A host is not degraded for a coordinator that was killed, once the run is at its end all the same.
    pub(super) async fn forget_who_was_killed(&self) {
        if !self.took_over {
            return;
        }
        match self.host.work.forget_killed(&self.run().id).await {
            Ok(forgotten) if forgotten.is_empty() => {}
            Ok(forgotten) => {
                let names: Vec<&str> = forgotten.iter().map(UnitName::as_str).collect();
                let message = format!("{} was killed, and the run went on without it", names.join(", "));
                self.events.emit(EventKind::Noted { message });
            }
            Err(error) => tracing::warn!("{error}"),
        }
    }
}
