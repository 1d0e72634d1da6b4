//! The view of a service: lines for the journal, which has its own clock, and one status for `systemctl status`.

use std::io::Write;

use super::View;
use super::steady::Steady;
use crate::events::{Event, EventKind};
use crate::report::harmless::one_line;
use crate::report::telling::{Tone, progress, tell};

/// Where the status of the service goes.
pub trait StatusLine: Send {
    /// Says what the service is doing. Never fails: nobody may be listening.
    fn set(&mut self, status: &str);
}

/// systemd, by `$NOTIFY_SOCKET`.
#[derive(Debug, Clone, Copy)]
pub struct NotifySocket;

impl StatusLine for NotifySocket {
    fn set(&mut self, status: &str) {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(status)]);
    }
}

/// Lines for the journal, and `STATUS=`.
#[derive(Debug)]
pub struct Systemd<W, S> {
    out: W,
    status: S,
    said: String,
    steady: Steady,
}

impl<W: Write + Send, S: StatusLine> Systemd<W, S> {
    /// Writes to `out` and `status`.
    pub fn new(out: W, status: S) -> Self {
        Self { out, status, said: String::new(), steady: Steady::default() }
    }
}

impl<W: Write + Send, S: StatusLine> View for Systemd<W, S> {
    fn event(&mut self, event: &Event) {
        let (event, is_news) = self.steady.hear(event);
        // The status may change as often as there is news: it is one line that is replaced.
        if let Some(status) = status(&event).filter(|status| *status != self.said) {
            self.status.set(&status);
            self.said = status;
        }
        if !is_news {
            return;
        }
        if let Some(told) = tell(&event) {
            // `<N>` is how a line on stderr tells the journal its priority (sd-daemon(3)).
            let priority = match told.tone {
                Tone::Plain | Tone::Good => "<6>",
                Tone::Warning => "<4>",
                Tone::Bad => "<3>",
            };
            let _ = writeln!(self.out, "{priority}{}", one_line(&told.text));
            let _ = self.out.flush();
        }
    }

    fn finish(&mut self) {
        let _ = self.out.flush();
    }
}

/// What the service is doing after the event; none if that did not change.
fn status(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::StepStarted { step, .. } | EventKind::StepAttached { step } => Some(step.title()),
        EventKind::StepProgressed { step, fraction, remaining, message } => {
            Some(format!("{}: {}", step.title(), progress(*fraction, *remaining, message)))
        }
        EventKind::RebootRequested { .. } => Some("waiting for the reboot".to_owned()),
        EventKind::VerdictReached { .. } | EventKind::RunEnded { .. } | EventKind::RunResumed { .. } => {
            tell(event).map(|told| told.text)
        }
        _ => None,
    }
}
