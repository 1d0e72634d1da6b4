//! `patchday resume`.

use super::app::{App, own_program, require_root};
use super::args::ResumeArgs;
use super::coordinate::{self, Resume};
use super::{follow, run};
use std::time::Duration;

use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::host::WorkUnits;
use crate::host::bus::{Bus, BusAddress};
use crate::host::systemd::SystemdWork;
use crate::model::Phase;
use crate::store::StoreError;

pub(super) async fn resume(app: &App, args: &ResumeArgs) -> Result<u8, Failure> {
    require_root("resume")?;
    if let Some(seconds) = args.unless_rebooted_in {
        // Nothing is opened meanwhile: a file system that is in use cannot be unmounted.
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let Some(id) = app.state.unfinished_run()? else { return Ok(exit_code::DONE) };
        // A coordinator that is still there looks after it itself.
        if app.state.lock_holder().is_some() || app.state.load(&id)?.phase != Phase::RebootRequested {
            return Ok(exit_code::DONE);
        }
    }
    let is_by_hand = !args.automatic && args.unless_rebooted_in.is_none();
    if args.foreground && is_by_hand && app.state.unfinished_run()?.is_none() && app.state.leftover()?.is_some() {
        return coordinate::leftover(app, args.json).await;
    }
    if args.foreground {
        let what = Resume { automatic: args.automatic, abort: args.abort, json: args.json };
        let end = coordinate::open_run(app, &what).await;
        if args.automatic {
            coordinate::say_ready_where_nothing_began(&end);
        }
        return end;
    }
    let Some(id) = app.state.unfinished_run()? else {
        return match app.state.leftover()? {
            // Here and now: it is short, and somebody waits for it.
            Some(_) => coordinate::leftover(app, args.json).await,
            None => Err(nothing_to_resume()),
        };
    };
    if let Some(holder) = app.state.lock_holder() {
        return Err(StoreError::Locked(holder).into());
    }
    hand_over(app, &id, false).await?;
    follow::follow(app, &id, args.json).await
}

pub(super) fn nothing_to_resume() -> Failure {
    Failure::new(FailureKind::Usage, "no run is open; there is nothing to resume").hint("patchday report")
}

/// Starts a coordinator for the open run in a service of its own.
pub(super) async fn hand_over(app: &App, id: &crate::model::RunId, abort: bool) -> Result<(), Failure> {
    let work: Box<dyn WorkUnits> = {
        // A configuration that is wrong by now keeps nobody from going on: what it names is not written to then.
        let writable = app.load_config().ok().map(|located| app.writable(&located.settings)).transpose()?;
        let work = SystemdWork::new(Bus::new(BusAddress::System), own_program()?);
        Box::new(work.with_writable(writable.unwrap_or_default()))
    };
    let mut verb = vec!["resume".to_owned(), "--foreground".to_owned()];
    verb.extend(abort.then(|| "--abort".to_owned()));
    run::start_coordinator(app, work.as_ref(), &run::coordinator_unit("resume", id)?, verb).await
}
