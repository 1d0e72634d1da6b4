//! `patchday verify`: look at the host as it is now, and compare it with the baseline of a run.

use std::io::stdout;

use serde::Serialize;

use super::app::{App, hostname, json_text, require_root};
use super::args::VerifyArgs;
use crate::error::{Failure, FailureKind};
use crate::events::{EventKind, EventSink};
use crate::exit_code;
use crate::model::{Run, RunId, Verdict, Verification};
use crate::ui;
use crate::verify::{self, Verifying};

/// Version of the shape of `patchday verify --json`.
const VERIFY_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Verified<'a> {
    format: u32,
    host: &'a str,
    /// Whose baseline counted.
    run: &'a RunId,
    verification: &'a Verification,
}

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
    let judged = verify::judge(&with).await;

    let name = hostname();
    let text = if args.json {
        json_text(&Verified { format: VERIFY_FORMAT, host: &name, run: &run.id, verification: &judged })?
    } else {
        ui::verify::render(&name, &run.id, &judged, &app.stdout_style())
    };
    ui::print_data(&mut stdout(), &text);
    Ok(if judged.verdict == Verdict::Healthy { exit_code::DONE } else { exit_code::NOT_VERIFIED })
}

/// The named run, or the last one that took a baseline: one with nothing to do took none.
fn run_with_baseline(app: &App, named: Option<&RunId>) -> Result<Run, Failure> {
    if let Some(id) = named {
        return Ok(app.state.load(id)?);
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
