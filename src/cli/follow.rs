//! Follow a run by its events, live or from their beginning.

use std::io::stdout;
use std::time::Duration;

use super::app::App;
use crate::error::{Failure, FailureKind};
use crate::events::EventKind;
use crate::exit_code;
use crate::model::{Phase, RunId};
use crate::ui;

/// A bar that moves four times a second looks alive; reading an unchanged file costs next to nothing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a run may be without a coordinator before that is called wrong: starting one takes a moment.
const PATIENCE: u32 = 40;

/// Shows the run's events until its end, then its report; returns its exit code. Ctrl-C stops following.
pub(super) async fn follow(app: &App, id: &RunId, json: bool) -> Result<u8, Failure> {
    let mut view = app.view(json);
    let mut events = app.state.events(id);
    let mut without_coordinator = 0;
    let end = loop {
        let new = match events.read_new() {
            Ok(new) => new,
            Err(error) => break Err(error.into()),
        };
        let mut ended = None;
        for event in &new {
            view.event(event);
            match &event.kind {
                EventKind::RunEnded { exit_code, .. } => ended = Some(*exit_code),
                // It was opened again.
                EventKind::RunResumed { .. } => ended = None,
                _ => {}
            }
        }
        if let Some(exit_code) = ended {
            break Ok(Some(exit_code));
        }
        without_coordinator = if app.state.lock_holder().is_some() { 0 } else { without_coordinator + 1 };
        if new.is_empty() && without_coordinator > PATIENCE {
            break abandoned(app, id);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => break Ok(None),
        }
    };
    view.finish();
    match end? {
        Some(exit_code) => {
            if !json && let Ok(text) = super::report::text(app, id) {
                ui::print_data(&mut stdout(), &format!("\n{text}"));
            }
            Ok(exit_code)
        }
        None => {
            let note = format!("no longer following; run {id} goes on (patchday attach)\n");
            ui::print_data(&mut std::io::stderr(), &note);
            Ok(exit_code::DETACHED)
        }
    }
}

/// Nobody is at work on the run, and it did not end.
fn abandoned(app: &App, id: &RunId) -> Result<Option<u8>, Failure> {
    let Ok(run) = app.state.load(id) else {
        let message = format!("the coordinator of run {id} did not start");
        let hint = format!("journalctl -u {}", super::run::coordinator_unit("run", id)?);
        return Err(Failure::new(FailureKind::Unexpected, message).hint(hint));
    };
    match (&run.closed, &run.phase) {
        (Some(closing), _) => Ok(Some(closing.exit_code)),
        (None, Phase::RebootRequested) => {
            Err(Failure::new(FailureKind::Unexpected, format!("run {id} waits for the host to reboot"))
                .hint("patchday attach, once the host is back"))
        }
        (None, phase) => {
            let message = format!("nobody is at work on run {id}; it stands at \"{}\"", phase.name());
            Err(Failure::new(FailureKind::Unexpected, message).hint("patchday resume"))
        }
    }
}
