//! `patchday history`.

use std::io::stdout;

use serde::Serialize;

use super::app::{App, json_text};
use super::args::JsonArgs;
use super::report;
use crate::error::Failure;
use crate::exit_code;
use crate::report::ReportSummary;
use crate::ui;

/// Version of the shape of `patchday history --json`.
const HISTORY_FORMAT: u32 = 1;

#[derive(Serialize)]
struct History {
    format: u32,
    runs: Vec<ReportSummary>,
}

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
    let text = if args.json {
        json_text(&History { format: HISTORY_FORMAT, runs })?
    } else {
        ui::history::render(&runs, &app.stdout_style())
    };
    ui::print_data(&mut stdout(), &text);
    Ok(exit_code)
}
