//! `patchday verify`: look at the host as it is now, and compare it with the baseline of a run.

use super::app::{App, hostname, require_root};
use super::args::{RunName, VerifyArgs};
use crate::error::{Failure, FailureKind};
use crate::events::{EventKind, EventSink};
use crate::exit_code;
use crate::model::{Run, Verdict};
use crate::ui::verify::{FORMAT, Verified};
use crate::verify::{self, Verifying};

/// No run, no events: the answer is the data.
struct Silence;

impl EventSink for Silence {
    fn emit(&self, _: EventKind) {}
}

pub(super) async fn verify(app: &App, args: &VerifyArgs) -> Result<u8, Failure> {
    require_root("verify")?;
    let located = app.load_config()?;
    let run = run_with_baseline(app, args.run.as_ref())?;
    let host = app.host(&located.settings)?;
    let boot = host.system.boot().await.ok_or_else(super::coordinate::no_boot_id)?;
    let with = Verifying::of_run(&run, boot, &host, &located.settings, &Silence).ok_or_else(no_baseline)?;
    let judged = verify::judge(&with.from_its_beginning().await).await;

    let verified = Verified { format: FORMAT, host: &hostname(), run: &run.id, verification: &judged };
    app.answer(&verified, args.json)?;
    Ok(if judged.verdict == Verdict::Healthy { exit_code::DONE } else { exit_code::NOT_VERIFIED })
}

/// The named run, or the last one that took a baseline: one with nothing to do took none.
fn run_with_baseline(app: &App, named: Option<&RunName>) -> Result<Run, Failure> {
    if named.is_some() {
        let id = app.pick_run(named)?.ok_or_else(no_baseline)?;
        return Ok(app.state.load(&id)?);
    }
    for id in app.state.runs()?.into_iter().rev() {
        let run = app.state.load(&id)?;
        if run.baseline.is_some() {
            return Ok(run);
        }
    }
    Err(no_baseline())
}

fn no_baseline() -> Failure {
    Failure::new(FailureKind::Usage, "no baseline to compare with: no run has taken one").hint("patchday run")
}
