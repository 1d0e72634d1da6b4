//! How a coordinator comes to a run: to a new one, to an open one, or to one that is over and left something changed.

use super::{Coordinator, RunEnd, RunStorage};
use crate::config::Settings;
use crate::events::EventKind;
use crate::host::Host;
use crate::model::{AbortWish, BootId, Estimate, Run, RunId, RunOptions, RunWindow};
use crate::steps::planned_steps;
use crate::store::{LockedState, RunStore, StateDir, StoreResult};

/// How a coordinator comes to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// The run was just recorded.
    New,
    /// The run is open: its coordinator ended, or the host rebooted.
    Resumed {
        /// By the service that every boot starts, and not by hand.
        automatic: bool,
    },
    /// The run is over, and left something changed.
    Reopened,
}

/// What is known of a run before it is recorded.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Minted by whoever starts it.
    pub id: RunId,
    pub host: String,
    /// What was asked for.
    pub options: RunOptions,
    /// The window that it must keep to.
    pub window: Option<RunWindow>,
    /// How long it will take, until the package lists are fresh.
    pub estimate: Option<Estimate>,
}

impl NewRun {
    /// Records the run, under the lock.
    ///
    /// # Errors
    ///
    /// The store's word; nothing was begun then.
    pub async fn record(
        self,
        locked: LockedState,
        state: &StateDir,
        boot: BootId,
        host: &Host,
        settings: &Settings,
    ) -> StoreResult<(RunStore, Run)> {
        let Self { id, host: name, options, window, estimate } = self;
        let steps = planned_steps(settings, &options);
        let services = if options.fetch_only { Vec::new() } else { settings.planned_services() };
        let mut run = Run::plan(id, name, host.clock.now(), boot, options, steps, services);
        run.window = window;
        run.estimate = estimate;
        run.soft_reboots_of_boot = soft_reboots(host).await;
        run.owed = state.owed(&run.boot, run.soft_reboots_of_boot)?;
        run.last_healthy = state.last_healthy()?;
        let store = locked.create_run(&run, settings)?;
        Ok((store, run))
    }
}

/// How often all but the kernel was started anew. None if systemd does not count it: then a soft-reboot is a crash of
/// the coordinator, and no more.
pub async fn soft_reboots(host: &Host) -> Option<u32> {
    host.shutdown.soft_reboots().await.ok().flatten()
}

/// Why the service that every boot starts must leave the run alone: one boot resumes a run by itself once, so that a
/// coordinator that dies of it does not die for ever.
pub fn refusal(run: &Run, boot: &BootId, soft_reboots: Option<u32>) -> Option<String> {
    let was_resumed = run.resumed_on.as_ref() == Some(boot) && !run.is_soft_rebooted(soft_reboots);
    was_resumed.then(|| format!("run {} was resumed on this boot already, and did not end", run.id))
}

/// Who asked for the end of the run on this boot, before anyone was there to hear it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    None,
    /// Someone; None if the wish cannot be read, which is a wish all the same.
    Abort(Option<String>),
}

/// Reads the wish that a coordinator left which was told to end and did not live to do it.
pub fn wish(found: StoreResult<Option<AbortWish>>, boot: &BootId) -> Wish {
    match found {
        Ok(Some(wish)) if wish.boot == *boot => Wish::Abort(Some(wish.abort.by)),
        Ok(_) => Wish::None,
        Err(_) => Wish::Abort(None),
    }
}

impl<S: RunStorage> Coordinator<'_, S> {
    /// Carries the run from where it is to its end.
    pub async fn carry(&mut self, beginning: Beginning) -> RunEnd {
        match beginning {
            Beginning::New => {
                let (host, steps) = (self.run().host.clone(), self.run().steps.clone());
                self.events.emit(EventKind::RunStarted { host, steps });
                if self.run().options.outside_window {
                    let message = "the maintenance window is not heeded (--outside-window)".to_owned();
                    self.events.emit(EventKind::Noted { message });
                }
                self.drive().await
            }
            Beginning::Resumed { automatic } => self.resume(automatic).await,
            Beginning::Reopened => self.reopen().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::apply;
    use crate::model::{Abort, Fact, Trigger};
    use crate::store::StoreError;
    use jiff::Timestamp;

    fn boot(number: u8) -> BootId {
        format!("{number:08x}-0000-4000-8000-000000000000").parse().unwrap()
    }

    #[test]
    fn one_boot_resumes_a_run_by_itself_once() {
        let at = Timestamp::UNIX_EPOCH;
        let id = RunId::mint(at, 1);
        let new = Run::plan(id, "web1".into(), at, boot(1), RunOptions::new(Trigger::Operator), Vec::new(), Vec::new());
        let resumed =
            |automatic| apply(&new, Fact::Resumed { boot: boot(1), soft_reboots: Some(0), automatic, at }).unwrap();
        for (case, run, on, soft_reboots, refused) in [
            ("never resumed", new.clone(), boot(1), Some(0), false),
            ("resumed by hand", resumed(false), boot(1), Some(0), false),
            ("resumed by itself", resumed(true), boot(1), Some(0), true),
            ("on a systemd that counts no soft-reboots", resumed(true), boot(1), None, true),
            ("soft-rebooted since", resumed(true), boot(1), Some(1), false),
            ("rebooted since", resumed(true), boot(2), Some(0), false),
        ] {
            assert_eq!(refusal(&run, &on, soft_reboots).is_some(), refused, "{case}");
        }
    }

    #[test]
    fn a_wish_for_the_end_counts_on_its_boot() {
        let wished = || AbortWish { abort: Abort { by: "ada".into(), at: Timestamp::UNIX_EPOCH }, boot: boot(1) };
        let unreadable = || StoreError::Unreadable { path: "wish".into(), why: "spoiled".into() };
        assert_eq!(wish(Ok(None), &boot(1)), Wish::None);
        assert_eq!(wish(Ok(Some(wished())), &boot(1)), Wish::Abort(Some("ada".into())));
        assert_eq!(wish(Ok(Some(wished())), &boot(2)), Wish::None);
        assert_eq!(wish(Err(unreadable()), &boot(1)), Wish::Abort(None));
    }
}
