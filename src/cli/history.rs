//! `patchday history`.

use super::app::App;
use super::args::JsonArgs;
use super::report;
use crate::error::Failure;
use crate::exit_code;
use crate::host::Clock as _;
use crate::host::clock::SystemClock;
use crate::ui;
use crate::ui::history::{FORMAT, History};

pub(super) fn history(app: &App, args: &JsonArgs) -> Result<u8, Failure> {
    let mut runs = Vec::new();
    let mut exit_code = exit_code::DONE;
    // The newest run is the one that is looked for.
    for id in app.state.runs()?.into_iter().rev() {
        match report::build(app, &id) {
            Ok(report) => runs.push(report.summarised()),
            // One broken record must not hide the others.
            Err(failure) => {
                exit_code = failure.exit_code();
                ui::print_error(&mut std::io::stderr(), &failure.message, &[], &[], &app.stderr_style());
            }
        }
    }
    app.answer(&History { format: FORMAT, runs, zone: SystemClock.zone() }, args.json)?;
    Ok(exit_code)
}
