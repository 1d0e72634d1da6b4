//! What a new run takes over from the runs before it.

use jiff::Timestamp;

use super::{StateDir, StoreResult};
use crate::model::{BootId, Owed};

impl StateDir {
    /// What this boot owes, as the newest run left it: each run begins with what the run before has recorded. All but the
    /// kernel may have been started anew since, now that systemd counts `soft_reboots`.
    ///
    /// # Errors
    ///
    /// When that run cannot be understood: what is owed is then not known.
    pub fn owed(&self, boot: &BootId, soft_reboots: Option<u32>) -> StoreResult<Vec<Owed>> {
        let Some(newest) = self.runs()?.pop() else { return Ok(Vec::new()) };
        let mut run = self.load(&newest)?;
        if run.boot != *boot {
            return Ok(Vec::new());
        }
        if run.is_soft_rebooted(soft_reboots) {
            run.owed.retain(|owed| owed.reason.outlives_soft_reboot());
        }
        Ok(run.owed)
    }

    /// When the last healthy run ended. A run knows that of those before it, so that it outlives them; one of an older
    /// version does not. A record that cannot be understood proves nothing.
    ///
    /// # Errors
    ///
    /// When the directory exists and cannot be read.
    pub fn last_healthy(&self) -> StoreResult<Option<Timestamp>> {
        let mut runs = self.runs()?.into_iter().rev().filter_map(|id| self.load(&id).ok());
        Ok(runs.find_map(|run| run.healthy_at().or(run.last_healthy)))
    }
}
