//! The run's time: anchored once a boot, saved with the run, and not moved by whoever sets the host's clock.

use jiff::{SignedDuration, Timestamp};

use super::{Coordinator, RunStorage};
use crate::events::EventKind;
use crate::model::spoken::running;
use crate::model::{BootId, ClockAnchor, Fact, time_on_next_boot};
use crate::steps::Recorder as _;

/// The two clocks are read one after the other, and a leap second is nobody's deed.
const TOLD_FROM: SignedDuration = SignedDuration::from_secs(2);

impl<S: RunStorage> Coordinator<'_, S> {
    /// Before anything is waited for or written down, and between any two decisions.
    pub(super) async fn set_the_clock(&mut self) {
        // Unreadable: the loop waits for it, and comes here again.
        let Some(boot) = self.host.system.boot().await else { return };
        let clock = &self.host.clock;
        match self.run().clock.clone() {
            Some(saved) if saved.boot == boot => {
                clock.go_on_from(&saved);
                self.look_at_the_wall(boot, &saved);
            }
            before => {
                let wall_ahead = before.map_or(SignedDuration::ZERO, |before| before.wall_ahead);
                let uptime = match boot == self.run().boot {
                    true => SignedDuration::ZERO,
                    false => self.host.system.uptime().await.unwrap_or_default(),
                };
                clock.go_on_at(time_on_next_boot(clock.wall(), self.last_known_time(), wall_ahead, uptime));
                self.record_or_degrade(Fact::ClockAnchored(clock.saved(boot)));
            }
        }
    }

    /// Somebody set the host's clock since we last looked: it is told, and kept, since the next boot may go by it.
    fn look_at_the_wall(&mut self, boot: BootId, known: &ClockAnchor) {
        let anchor = self.host.clock.saved(boot);
        let set_by = anchor.wall_ahead - known.wall_ahead;
        if set_by.abs() < TOLD_FROM {
            return;
        }
        let direction = if set_by.is_positive() { "forward" } else { "back" };
        let by = running(set_by.abs());
        let message = format!("the host's clock was set {direction} by {by}; the times of this run go on as they were");
        self.events.emit(EventKind::Noted { message });
        self.record_or_degrade(Fact::ClockAnchored(anchor));
    }

    /// The latest of all that is on record.
    fn last_known_time(&self) -> Timestamp {
        let run = self.run();
        let ended = run.history.last().map(|record| record.ended);
        let began = run.attempt.as_ref().map(|attempt| attempt.began);
        let told = self.journal.timeline().last().map(|event| event.at);
        let known = [Some(run.planned), ended, began, told, run.reboot_requested, run.reboot_forced, run.rebooted];
        known.into_iter().flatten().max().unwrap_or(run.planned)
    }
}
