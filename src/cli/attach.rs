//! `patchday attach`.

use super::app::{App, no_run};
use super::args::AttachArgs;
use super::follow;
use crate::error::{Failure, FailureKind};

pub(super) async fn attach(app: &App, args: &AttachArgs) -> Result<u8, Failure> {
    let id = match &args.run {
        Some(name) => {
            let id = app.pick_run(Some(name))?.ok_or_else(no_run)?;
            app.state.load(&id)?;
            Some(id)
        }
        None if args.last => app.pick_run(None)?,
        None => app.state.open_run()?,
    };
    match id {
        Some(id) => follow::follow(app, &id, args.json).await,
        None => Err(Failure::new(FailureKind::Usage, "no run is open").hint("patchday report")),
    }
}
