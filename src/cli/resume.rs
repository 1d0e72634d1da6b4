//! `patchday resume`.

use super::app::{App, require_root};
use super::args::ResumeArgs;
use super::coordinate::{self, Resume};
use super::{follow, hand_over};
use std::time::Duration;

use crate::error::Failure;
use crate::exit_code;
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
            None => Err(coordinate::nothing_to_resume()),
        };
    };
    if let Some(holder) = app.state.lock_holder() {
        return Err(StoreError::Locked(holder).into());
    }
    hand_over::resume(app, &id, false).await?;
    follow::follow(app, &id, args.json).await
}
