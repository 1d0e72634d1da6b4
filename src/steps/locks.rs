//! apt's locks in somebody else's hands: who it is, and waiting for the end of it. Nobody is killed for a lock.

use jiff::{SignedDuration, Timestamp};

use super::{StepContext, StepError};
use crate::events::EventKind;
use crate::model::spoken::exactly;
use crate::model::{LockHolder, Step};

const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// A wait for locks that somebody else holds: tells whom it waits for whenever that changes, and when to stop.
pub(super) struct Wait {
    step: Step,
    began: Timestamp,
    limit: SignedDuration,
    told: String,
}

impl Wait {
    pub(super) fn new(ctx: &StepContext<'_>, step: Step) -> Self {
        Self::at_most(ctx, step, ctx.settings.upgrade.lock_timeout)
    }

    pub(super) fn at_most(ctx: &StepContext<'_>, step: Step, limit: SignedDuration) -> Self {
        Self { step, began: ctx.host.clock.now(), limit, told: String::new() }
    }

    /// Tells who holds the locks.
    ///
    /// # Errors
    ///
    /// When the time is over, or the run is to end.
    pub(super) fn go_on(&mut self, ctx: &StepContext<'_>, holders: &[LockHolder]) -> Result<(), StepError> {
        let holders = named(holders);
        if ctx.abort.is_requested() {
            return Err(StepError::Aborted);
        }
        if ctx.host.clock.now().duration_since(self.began) >= self.limit {
            let key = if self.limit == ctx.settings.upgrade.lock_timeout { " ([upgrade] lock-timeout)" } else { "" };
            return Err(StepError::Failed(format!(
                "apt's locks are not free after {}{key}: {holders}",
                exactly(self.limit)
            )));
        }
        if holders != self.told {
            let message = format!("waiting for apt's locks, {} at most: {holders}", exactly(self.limit));
            let step = self.step.clone();
            ctx.events.emit(EventKind::StepProgressed { step, fraction: None, remaining: None, message });
            self.told = holders;
        }
        Ok(())
    }
}

/// Every holder, each once for all that it holds.
pub(super) fn named(holders: &[LockHolder]) -> String {
    let mut names: Vec<String> = Vec::new();
    for (at, holder) in holders.iter().enumerate() {
        if !holders[..at].iter().any(|other| other.pid.is_some() && other.pid == holder.pid) {
            names.push(holder.to_string());
        }
    }
    if names.is_empty() { "the process that held them has ended, or cannot be seen".into() } else { names.join("; ") }
}

/// Waits until nobody holds a lock that the upgrade needs: the last look while the services still run.
pub(super) async fn wait_until_free(ctx: &StepContext<'_>, step: Step) -> Result<(), StepError> {
    let mut wait = Wait::new(ctx, step);
    loop {
        match ctx.host.packages.lock_holders().await {
            Ok(holders) if holders.is_empty() => return Ok(()),
            Ok(holders) => wait.go_on(ctx, &holders)?,
            // apt waits for most of them itself.
            Err(error) => {
                ctx.note(error.to_string());
                return Ok(());
            }
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}
