//! The reboot that is under way, or that does not come.

use super::{Coordinator, LOOK_EVERY, RunStorage};
use crate::events::EventKind;
use crate::model::spoken::exactly;
use crate::model::{Fact, Outcome, Restart, Step};
use crate::steps;

/// A request of which nothing has come.
#[derive(Debug, Default)]
pub(super) struct LostReboot {
    /// Looks in a row at which no shutdown was seen, a second apart.
    looks: u32,
    /// How often it was asked for again.
    asked: u32,
}

/// A request is on its way in an instant; a busy systemd gets a few of them.
const LOOKS: u32 = 4;
/// systemd is asked so often, a second apart, how often all but the kernel was started anew, where much hangs on it.
const COUNT_LOOKS: u32 = 60;
/// The first time again through logind, which tells others of it. Who asks for more often than this is not heard.
const ASKED_AT_MOST: u32 = 10;

impl<S: RunStorage> Coordinator<'_, S> {
    /// Whoever was asked may have been killed right then, and the request with it: services must not be down for that as
    /// long as a shutdown that hangs may take.
    pub(super) async fn ask_until_it_is_under_way(&mut self) {
        let seen = match self.host.power.prepares_shutdown().await {
            Ok(true) => true,
            Ok(false) | Err(_) => self.host.shutdown.is_under_way().await.unwrap_or(false),
        };
        self.lost.looks = if seen { 0 } else { self.lost.looks + 1 };
        if self.lost.looks < LOOKS || self.lost.asked >= ASKED_AT_MOST {
            return;
        }
        self.lost.looks = 0;
        self.lost.asked += 1;
        let restart = self.let_go().await;
        let (whom, asked) = if self.lost.asked == 1 {
            ("logind", self.host.power.reboot(restart).await)
        } else {
            ("systemd", self.host.shutdown.begin(restart).await)
        };
        let said = asked.map_or_else(|error| format!(": {error}"), |()| String::new());
        let message = format!("no shutdown is under way, though one was asked for; {whom} is asked again{said}");
        self.events.emit(EventKind::Noted { message });
    }

    /// Once is enough: no coordinator outlives a soft-reboot.
    pub(super) async fn look_for_soft_reboots(&mut self) {
        let mut looks = if self.awaits_soft_reboot().await { COUNT_LOOKS } else { 1 };
        while looks > 0 && self.soft_reboots.is_none() {
            looks -= 1;
            self.soft_reboots = self.host.shutdown.soft_reboots().await.unwrap_or_else(|error| {
                tracing::warn!("{error}");
                None
            });
            if self.soft_reboots.is_none() && looks > 0 {
                self.host.clock.sleep(LOOK_EVERY).await;
            }
        }
    }

    /// A soft reboot was asked for, and no boot of the kernel has come in its place: only systemd's count tells whether it
    /// is done. Whoever asked again without it would have the host started anew for ever.
    pub(super) async fn awaits_soft_reboot(&self) -> bool {
        let run = self.run();
        run.awaits() == Some(Restart::Soft) && self.host.system.boot().await.as_ref() == Some(&run.boot)
    }

    pub(super) async fn record_soft_reboot(&mut self, count: u32) {
        let at = self.host.clock.now();
        let requested = self.run().reboot_requested.filter(|_| self.run().awaits() == Some(Restart::Soft));
        let down = requested.map(|asked| at.duration_since(asked));
        if down.is_some() {
            // The flags of holds, which hold nothing any more. Where they stay, the next run writes the same.
            if let Err(error) = self.host.units.release(&self.run().held_units()).await {
                tracing::warn!("{error}");
            }
        }
        if self.record_end(Fact::SoftRebooted { count, at }) {
            self.events.emit(match down {
                Some(down) => EventKind::SoftRebooted { down },
                None => EventKind::Noted {
                    message: "the host was soft-rebooted: all but the kernel was started anew".into(),
                },
            });
        }
    }

    /// Makes sure that nothing is held behind a soft reboot; returns which restart it is.
    async fn let_go(&mut self) -> Restart {
        let problem = match steps::let_go(self.host, &mut self.journal).await {
            Ok(problem) => problem,
            Err(error) => Some(error.to_string()),
        };
        if let Some(message) = problem {
            self.events.emit(EventKind::Noted { message });
        }
        self.run().restart.restart
    }

    /// Somebody else's shutdown: the signal came from it, and systemd would start no service now.
    pub(super) async fn host_is_going_down(&self) -> bool {
        self.host.units.survey().await.is_ok_and(|survey| survey.system_state == "stopping")
    }

    /// The request was recorded; whether it was also made is not known. Asking twice is harmless: logind takes the
    /// second for the first.
    pub(super) async fn ask_again_for_reboot(&mut self) {
        let restart = self.let_go().await;
        if let Err(error) = self.host.power.reboot(restart).await {
            self.events.emit(EventKind::Noted { message: error.to_string() });
        }
    }

    pub(super) async fn force_reboot(&mut self) {
        let waits_for = self.what_the_shutdown_waits_for().await;
        let message = format!("the host is still up, {waits_for}; it is rebooted without waiting any longer");
        self.events.emit(EventKind::Noted { message });
        if self.record_or_degrade(Fact::RebootForced { at: self.host.clock.now() })
            && let Err(error) = self.host.shutdown.force().await
        {
            self.events.emit(EventKind::Noted { message: error.to_string() });
        }
    }

    pub(super) async fn conclude_no_reboot(&mut self) {
        let note = self.take_shutdown_back().await;
        let step = self.run().attempt.as_ref().map_or(Step::Reboot, |attempt| attempt.step.clone());
        self.end_step(&step, Outcome::Failed, Some(note));
    }

    /// Services may be down for a shutdown that will never end: they are needed back. Returns what there is to say.
    async fn take_shutdown_back(&self) -> String {
        let grace = self.settings.reboot.grace;
        let waits_for = self.what_the_shutdown_waits_for().await;
        let asked = match self.run().restart.restart {
            Restart::Full | Restart::Kexec => "the host was asked to reboot and is still up after",
            Restart::Soft => "a soft reboot was asked for and has not come after",
        };
        let mut note = format!("{asked} {grace}, {waits_for}", grace = exactly(grace));
        match self.host.shutdown.take_back().await {
            Ok(true) => note.push_str("; the shutdown was taken back"),
            Ok(false) => {}
            Err(error) => note.push_str(&format!("; {error}")),
        }
        note
    }

    async fn what_the_shutdown_waits_for(&self) -> String {
        match self.host.shutdown.jobs().await {
            Ok(jobs) => {
                let at_work: Vec<String> = jobs.iter().filter(|job| job.is_running).map(ToString::to_string).collect();
                if at_work.is_empty() {
                    "and systemd has nothing to do".into()
                } else {
                    format!("since systemd waits for the {}", at_work.join(", the "))
                }
            }
            Err(error) => format!("for an unknown reason ({error})"),
        }
    }
}
