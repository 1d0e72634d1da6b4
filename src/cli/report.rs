//! `patchday report`.

use super::app::{self, App};
use super::args::{ReportArgs, ReportFormat};
use super::page;
use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::host::Clock as _;
use crate::host::clock::SystemClock;
use crate::host::placed;
use crate::model::RunId;
use crate::report::{self, Report, Style};

pub(super) fn report(app: &App, args: &ReportArgs) -> Result<u8, Failure> {
    let id = app.pick_run(args.run.as_ref())?.ok_or_else(app::no_run)?;
    let report = build(app, &id)?;
    let format = if args.json { ReportFormat::Json } else { args.format };
    let text = match format {
        ReportFormat::Text if args.output.is_some() => report::text::render(&report, &Style::plain()),
        ReportFormat::Text => report::text::render(&report, &app.stdout_style()),
        ReportFormat::Html => report::html::render(&report),
        ReportFormat::Markdown => report::markdown::render(&report),
        ReportFormat::Json => report::json::render(&report)
            .map_err(|error| Failure::new(FailureKind::Unexpected, format!("write JSON: {error}")))?,
    };
    match &args.output {
        Some(path) => placed::deliver(path, text.as_bytes()).map_err(|error| {
            let message = format!("write {}: {error}", path.display());
            Failure::new(FailureKind::Usage, message).hint("name a file in a directory that exists")
        })?,
        None if format == ReportFormat::Json => page::print(&text)?,
        None => app.show(&text)?,
    }
    Ok(exit_code::DONE)
}

/// The report as it is now; of a run that is still open too.
pub(super) fn build(app: &App, id: &RunId) -> Result<Report, Failure> {
    let mut run = app.state.load(id)?;
    let timeline = app.state.events(id).read_new()?;
    let boot = app::boot();
    let is_past = !run.is_open() && boot.as_ref().is_some_and(|boot| *boot != run.boot);
    if is_past {
        run.owed.clear();
    }
    let report = report::build(&run, &timeline, app::time_of(&run, boot.as_ref()));
    Ok(Report { rebooted_since: is_past, ..report }.in_zone(SystemClock.zone()))
}

/// What a run came to, below all that was told of it.
pub(super) fn show_brief(app: &App, id: &RunId) -> Result<(), Failure> {
    let brief = report::brief::render(&build(app, id)?, &app.stdout_style());
    page::print(&format!("\n{brief}"))?;
    Ok(())
}
