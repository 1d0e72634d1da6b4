//! May a run begin now? Held, blacked out, outside the window, or too late in it: then nothing is begun.

use jiff::{SignedDuration, Timestamp};

use super::app::App;
use crate::config::Settings;
use crate::error::{Failure, FailureKind};
use crate::host::Clock as _;
use crate::host::clock::SystemClock;
use crate::model::{RunId, RunOptions, RunWindow, Trigger};
use crate::report::words::{roughly, running};
use crate::ui::plan::PlanWindow;
use crate::window::{Closed, Piece, clock_time};

/// The window of a run that begins now; none if it need not heed one.
///
/// # Errors
///
/// Why it must not begin, as a refusal: a timer that fires late, or again, does nothing.
pub(super) fn may_begin(
    app: &App,
    settings: &Settings,
    options: &RunOptions,
    takes: SignedDuration,
) -> Result<Option<RunWindow>, Failure> {
    let (now, zone) = (Timestamp::now(), SystemClock.zone());
    let hold = app.state.hold()?;
    let open = settings.schedule(&zone).open_at(now, hold.as_ref());
    if options.outside_window && !matches!(open, Err(Closed::Held(_))) {
        return Ok(None);
    }
    let piece = open.map_err(|closed| {
        let hint = match &closed {
            Closed::Held(_) => "patchday release",
            _ if options.trigger == Trigger::Unattended => "patchday windows",
            _ => "patchday run --outside-window, or wait: patchday windows",
        };
        refused(closed.told(&zone), hint)
    })?;
    let Some(window) = run_window(&piece) else { return Ok(None) };
    let left = window.closes.duration_since(now);
    if takes + window.reserve > left {
        let closes = clock_time(window.closes, &zone);
        let [left, takes, reserve] = [running(left), roughly(takes), running(window.reserve)];
        let message = format!(
            "the window closes {closes}: {left} are left, and a run takes about {takes} and {reserve} in reserve"
        );
        return Err(refused(message, "patchday run --outside-window, or wait: patchday windows"));
    }
    if options.trigger == Trigger::Unattended
        && let Some(earlier) = automatic_run_in(app, &window)?
    {
        let message = format!("the automatic run of this window was {earlier}; there is at most one");
        return Err(refused(message, "patchday report, then patchday run by hand"));
    }
    Ok(Some(window))
}

/// For a plan: whether a window is open, whether a run that takes so long fits into it or into the next one, and both
/// in words.
pub(super) fn outlook(
    app: &App,
    settings: &Settings,
    options: &RunOptions,
    takes: SignedDuration,
) -> Result<PlanWindow, Failure> {
    let (now, zone) = (Timestamp::now(), SystemClock.zone());
    let hold = app.state.hold()?;
    let schedule = settings.schedule(&zone);
    if options.outside_window && !matches!(schedule.open_at(now, hold.as_ref()), Err(Closed::Held(_))) {
        return Ok(PlanWindow { open: true, fits: true, told: "not heeded: --outside-window".to_owned() });
    }
    let fits = |piece: &Piece| takes + piece.opening.reserve <= piece.until.duration_since(piece.from.max(now));
    let (open, fits, told) = match schedule.open_at(now, hold.as_ref()) {
        Ok(piece) if piece.until == Timestamp::MAX => (true, true, "none is configured: open".to_owned()),
        Ok(piece) => {
            let fits = fits(&piece);
            let word = if fits { "a run fits" } else { "too late for a run" };
            (true, fits, format!("open until {}; {word}", clock_time(piece.until, &zone)))
        }
        Err(closed) => {
            let pieces = schedule.pieces(now, hold.as_ref(), 20);
            let next = pieces.iter().find(|piece| piece.blocked.is_none());
            let fits = next.is_some_and(fits);
            let word = if fits { "a run fits into the next one" } else { "a run does not fit into the next one" };
            (false, fits, format!("{}; {word}", closed.told(&zone)))
        }
    };
    Ok(PlanWindow { open, fits, told })
}

fn refused(message: String, hint: &str) -> Failure {
    Failure::new(FailureKind::Refused, message).hint(hint)
}

/// Without windows and blackouts there is no end to keep to.
fn run_window(piece: &Piece) -> Option<RunWindow> {
    let ends = piece.until < Timestamp::MAX;
    ends.then_some(RunWindow { opens: piece.opening.opens, closes: piece.until, reserve: piece.opening.reserve })
}

/// A run is saved before it does anything: it is its own stamp.
fn automatic_run_in(app: &App, window: &RunWindow) -> Result<Option<RunId>, Failure> {
    for id in app.state.runs()?.into_iter().rev() {
        let run = app.state.load(&id)?;
        let same = run.window.is_some_and(|other| other.opens == window.opens && window.opens > Timestamp::MIN);
        if same && run.options.trigger == Trigger::Unattended {
            return Ok(Some(id));
        }
        if run.planned < window.opens {
            break;
        }
    }
    Ok(None)
}
