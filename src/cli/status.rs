//! `patchday status`.

use serde::Serialize;

use super::app::{self, App, json_text};
use super::args::JsonArgs;
use super::page;
use crate::error::Failure;
use crate::events::Event;
use crate::exit_code;
use crate::host::Clock as _;
use crate::host::clock::SystemClock;
use crate::model::{Attempt, BootId, Change, Closing, Owed, Phase, Restart, Run, RunId};
use crate::report::ahead::{Progress, ahead};
use crate::store::LockHolder;
use crate::ui;

/// Version of the shape of `patchday status --json`.
const STATUS_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Status<'a> {
    format: u32,
    run: Option<&'a RunId>,
    host: Option<&'a str>,
    open: bool,
    phase: Option<&'static str>,
    /// Which restart was asked for.
    restart: Option<Restart>,
    attempt: Option<&'a Attempt>,
    /// How far the run is, and its step.
    progress: Option<StatusProgress>,
    changes: &'a [Change],
    coordinator: Option<u32>,
    closed: Option<Closing>,
    /// What the boot that runs owes.
    owed: &'a [Owed],
}

#[derive(Serialize)]
struct StatusProgress {
    run: Progress,
    step: Progress,
}

pub(super) fn status(app: &App, args: &JsonArgs) -> Result<u8, Failure> {
    // Before the record is read and after it: a coordinator that begins or ends meanwhile is one that was at work.
    let before = app.state.lock_holder();
    let mut run = app.pick_run(None)?.map(|id| app.state.load(&id)).transpose()?;
    if let Some(run) = run.as_mut().filter(|run| run.abort.is_none()) {
        let wish = app.state.abort_wish(&run.id)?.filter(|wish| wish.boot == run.boot);
        run.abort = wish.map(|wish| wish.abort);
    }
    let coordinator = before.or_else(|| app.state.lock_holder());
    let boot = app::boot();
    let undone = run.as_mut().map(|run| app::strike_out_undone(run, boot.as_ref())).unwrap_or_default();
    // Of the boot that runs: another one has what it owed.
    let owed = boot.as_ref().map(|boot| app.state.owed(boot, None)).transpose()?.unwrap_or_default();
    // What a closed one came to does not depend on them.
    let open = run.as_ref().filter(|run| run.is_open());
    let timeline = open.map(|run| app.state.events(&run.id).read_new()).transpose()?.unwrap_or_default();
    let text = match &run {
        _ if args.json => json(run.as_ref(), boot.as_ref(), &timeline, &owed, coordinator.as_ref())?,
        Some(run) => {
            let (now, zone) = (app::time_of(run, boot.as_ref()), SystemClock.zone());
            let status = ui::status::Status {
                run,
                timeline: &timeline,
                undone: &undone,
                owed: &owed,
                abandoned: run.is_open() && coordinator.is_none() && !waits_for_reboot(run, boot.as_ref()),
                now,
                zone: &zone,
            };
            ui::status::render(&status, &app.stdout_style())
        }
        None => ui::status::render_none(),
    };
    page::print(&text)?;
    Ok(exit_code::DONE)
}

/// Between the wish for a reboot and the next boot nobody needs to be at work.
fn waits_for_reboot(run: &Run, boot: Option<&BootId>) -> bool {
    run.phase == Phase::RebootRequested && boot.is_none_or(|boot| *boot == run.boot)
}

fn json(
    run: Option<&Run>,
    boot: Option<&BootId>,
    timeline: &[Event],
    owed: &[Owed],
    coordinator: Option<&LockHolder>,
) -> Result<String, Failure> {
    let ahead = run.filter(|run| run.is_open()).map(|run| ahead(run, timeline, app::time_of(run, boot)));
    let status = Status {
        format: STATUS_FORMAT,
        run: run.map(|run| &run.id),
        host: run.map(|run| run.host.as_str()),
        open: run.is_some_and(Run::is_open),
        phase: run.map(|run| run.phase.name()),
        restart: run.filter(|run| run.reboot_requested.is_some()).map(|run| run.restart.restart),
        attempt: run.and_then(|run| run.attempt.as_ref()),
        progress: ahead.map(|ahead| StatusProgress { run: ahead.of_run(), step: ahead.of_step() }),
        changes: run.map_or(&[], |run| &run.changes),
        coordinator: coordinator.and_then(|holder| holder.pid),
        closed: run.and_then(|run| run.closed),
        owed,
    };
    json_text(&status)
}
