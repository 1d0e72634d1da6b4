//! `patchday abort`.

use rustix::process::{Pid, Signal, kill_process};

use super::app::{App, require_root};
use super::args::AbortArgs;
use super::{follow, hand_over, person};
use crate::error::{Failure, FailureKind};
use crate::model::Phase;

pub(super) async fn abort(app: &App, args: &AbortArgs) -> Result<u8, Failure> {
    require_root("abort")?;
    let Some(id) = app.state.open_run()? else {
        return Err(
            Failure::new(FailureKind::Usage, "no run is open; there is nothing to abort").hint("patchday report")
        );
    };
    let run = app.state.load(&id)?;
    if matches!(run.phase, Phase::RebootRequested | Phase::Rebooted) {
        let message = format!("run {id} is past the point of no return ({}); it can only go on", run.phase.name());
        return Err(Failure::new(FailureKind::Refused, message).hint("patchday attach"));
    }
    // A signal has no sender that could be told.
    app.state.sign_abort(&id, &person::at_terminal())?;
    let coordinator = app.state.lock_holder().and_then(|holder| holder.pid);
    match coordinator.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        Some(pid) => kill_process(pid, Signal::TERM).map_err(|error| {
            Failure::new(FailureKind::Unexpected, format!("tell the coordinator of run {id} to end: {error}"))
        })?,
        None => hand_over::resume(app, &id, true).await?,
    }
    follow::follow(app, &id, args.json).await
}
