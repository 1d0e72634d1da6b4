//! Follow a run by its events, live or from their beginning.

use std::future::poll_fn;
use std::io::stderr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::app::App;
use super::keys::Keys;
use crate::error::{Failure, FailureKind};
use crate::events::EventKind;
use crate::exit_code;
use crate::model::{Phase, RunId};
use crate::ui;

/// A bar that moves four times a second looks alive; reading an unchanged file costs next to nothing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How much of it is shown.
const OUTPUT_LINES: usize = 8;

/// Shows and hides the output.
const OUTPUT_KEY: u8 = b'l';

/// How long a run may be without a coordinator before that is called wrong: starting one takes a moment.
const PATIENCE: u32 = 40;

/// Shows the run's events until its end, then what it came to; returns its exit code. Ctrl-C and a terminal that is closed stop
/// following.
pub(super) async fn follow(app: &App, id: &RunId, json: bool) -> Result<u8, Failure> {
    let Some(exit_code) = follow_to_end(app, id, json).await? else { return Ok(exit_code::DETACHED) };
    if !json {
        // That it cannot be read is no reason to hide how it ended.
        let _ = super::report::show_brief(app, id);
    }
    Ok(exit_code)
}

/// Shows the run's events until its end, and returns its exit code; none if whoever looked went away before.
pub(super) async fn follow_to_end(app: &App, id: &RunId, json: bool) -> Result<Option<u8>, Failure> {
    let mut view = app.view(json);
    let mut events = app.state.events(id);
    let mut without_coordinator = 0;
    // Before the terminal is changed: a signal would end this program at once, and leave the terminal like that.
    let mut left = pin!(left_alone());
    let keys = app.shows_bars(json).then(Keys::listen).flatten();
    if keys.is_some() {
        ui::print_talk(&mut stderr(), "l shows and hides the output; Ctrl-C leaves, and the run goes on\n");
    }
    let mut shows_output = false;
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
        if let Some(keys) = &keys {
            let presses = keys.pressed().iter().filter(|key| **key == OUTPUT_KEY).count();
            shows_output ^= presses % 2 == 1;
            if shows_output || presses > 0 {
                let lines = if shows_output { app.state.last_output(id, OUTPUT_LINES) } else { Vec::new() };
                view.output(shows_output.then_some(&lines));
            }
        }
        without_coordinator = if app.state.lock_holder().is_some() { 0 } else { without_coordinator + 1 };
        if new.is_empty() && without_coordinator > PATIENCE {
            break abandoned(app, id);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = &mut left => break Ok(None),
        }
    };
    view.finish();
    drop(keys);
    let end = end?;
    if end.is_none() {
        let note = format!("no longer following; run {id} goes on (patchday attach)\n");
        ui::print_talk(&mut stderr(), &note);
    }
    Ok(end)
}

/// Ends when whoever looks goes away. From the call on none of the signals that say so ends this program by itself.
fn left_alone() -> impl Future<Output = ()> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    let mut signals: Vec<Signal> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    poll_fn(move |context| {
        let came = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if came { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// Nobody is at work on the run, and it did not end.
fn abandoned(app: &App, id: &RunId) -> Result<Option<u8>, Failure> {
    let Ok(run) = app.state.load(id) else {
        let message = format!("the coordinator of run {id} did not start");
        let hint = format!("journalctl -u {}", super::hand_over::coordinator_unit("run", id)?);
        return Err(Failure::new(FailureKind::Unexpected, message).hint(hint));
    };
    match (&run.closed, &run.phase) {
        (Some(closing), _) => Ok(Some(closing.exit_code)),
        (None, Phase::RebootRequested) => {
            Err(Failure::new(FailureKind::Unexpected, format!("run {id} waits for the host to reboot"))
                .hint("patchday attach, once the host is back"))
        }
        (None, phase) => {
            let message = format!("no coordinator is at work on run {id}; it stands at \"{}\"", phase.name());
            Err(Failure::new(FailureKind::Unexpected, message).hint("patchday resume"))
        }
    }
}
