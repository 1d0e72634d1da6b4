//! Whether the package may be removed: asked by its prerm, which decides nothing itself.

use super::app::{self, App};
use crate::error::{Failure, FailureKind};
use crate::exit_code;

/// Refuses while a run is open, or while the host is not as a run found it: only this program knows the way back.
pub(super) fn may_be_removed(app: &App) -> Result<u8, Failure> {
    let refused = |message: String, hint: &str| Err(Failure::new(FailureKind::Refused, message).hint(hint));
    if let Some(open) = app.state.open_run()? {
        let message = format!("patchday cannot be removed: run {open} is open, and what it stopped would stay down");
        return refused(message, "patchday abort, or patchday resume; then remove the package");
    }
    let last = app.pick_run(None)?.map(|id| app.state.load(&id)).transpose()?;
    let Some(mut run) = last else { return Ok(exit_code::DONE) };
    app::strike_out_undone(&mut run, app::boot().as_ref());
    if run.left_something() {
        let message =
            format!("patchday cannot be removed: run {} left changes of this host that are not undone", run.id);
        return refused(message, "patchday status names them, patchday resume undoes them; then remove the package");
    }
    Ok(exit_code::DONE)
}
