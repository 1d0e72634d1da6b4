//! `patchday run`.

use std::io::{IsTerminal, stderr, stdin};

use jiff::SignedDuration;

use super::app::{App, require_labels, require_root};
use super::args::RunArgs;
use super::look::look;
use super::{coordinate, follow, gate, hand_over, room};
use crate::config::Settings;
use crate::error::{Failure, FailureKind};
use crate::host::Host;
use crate::model::{RunOptions, Trigger};
use crate::report::telling;
use crate::store::StoreError;
use crate::ui;

pub(super) async fn run(app: &App, args: &RunArgs) -> Result<u8, Failure> {
    let end = begin(app, args).await;
    if args.is_unattended() {
        coordinate::say_ready_where_nothing_began(&end);
    }
    end
}

async fn begin(app: &App, args: &RunArgs) -> Result<u8, Failure> {
    require_labels(&args.allow)?;
    require_root("run")?;
    let mut located = app.load_config()?;
    located.settings.upgrade.only_planned |= args.only_planned || args.fetch_only;
    let host = app.host(&located.settings)?;
    refuse_second_run(app)?;
    refuse_over_leftovers(app, &host).await?;
    room::refuse_without(host.system.as_ref(), &app.state_path.to_string_lossy()).await?;
    app.require_units(&located, host.units.as_ref()).await?;

    let trigger = if args.is_unattended() { Trigger::Unattended } else { Trigger::Operator };
    let options = RunOptions {
        trigger,
        no_reboot: args.no_reboot,
        allowed_checks: args.allow.clone(),
        outside_window: args.outside_window,
        fetch_only: args.fetch_only,
    };
    let id = args.run_id.clone().unwrap_or_else(hand_over::mint);
    // The services run while it fetches, whenever that is.
    if args.fetch_only {
        return coordinate::new_run(app, &host, &located.settings, id, options, None, args.json).await;
    }
    // Without an end to keep to, nobody need know beforehand how long it takes.
    let heeds_windows = !located.settings.windows.is_empty() || !located.settings.blackouts.is_empty();
    let mut window = gate::may_begin(app, &located.settings, &options, SignedDuration::ZERO)?;
    if heeds_windows && window.is_some() {
        let plan = host.packages.simulate().await?;
        let (settings, reboots) = (&located.settings, located.settings.may_reboot(&options));
        let outlook = app.outlook(&host, settings).await;
        let takes = app.estimate(settings, &options, &plan, reboots, &outlook).until_back();
        window = gate::may_begin(app, &located.settings, &options, takes)?;
    }
    if args.foreground {
        return coordinate::new_run(app, &host, &located.settings, id, options, window, args.json).await;
    }

    if !args.yes {
        confirm(app, &host, &located.settings, &options).await?;
    }
    // Said now: the reboot takes the terminal along, and leaves no time for words.
    if located.settings.may_reboot(&options) && app.shows_bars(args.json) {
        ui::print_talk(&mut stderr(), "a reboot ends your connection; log in again, then: patchday attach\n");
    }
    let verb = args.for_coordinator(&id);
    hand_over::start_coordinator(app, host.work.as_ref(), &hand_over::coordinator_unit("run", &id)?, verb).await?;
    follow::follow(app, &id, args.json).await
}

/// Says who is at work before anything is asked or started; the lock itself decides later.
pub(super) fn refuse_second_run(app: &App) -> Result<(), Failure> {
    if let Some(holder) = app.state.lock_holder() {
        return Err(StoreError::Locked(holder).into());
    }
    match app.state.unfinished_run()? {
        Some(open) => Err(StoreError::RunIsOpen(open).into()),
        None => Ok(()),
    }
}

/// A new run would take what the last one left changed for how the host is meant to be.
pub(super) async fn refuse_over_leftovers(app: &App, host: &Host) -> Result<(), Failure> {
    let Some(id) = app.state.leftover()? else { return Ok(()) };
    let run = app.state.load(&id)?;
    if host.system.boot().await.is_some_and(|boot| boot != run.boot) {
        return Ok(());
    }
    let message = format!("run {id} has ended and left changed: {}", telling::changes(&run.changes));
    Err(Failure::new(FailureKind::Refused, message).hint("patchday resume"))
}

/// Asks with the line that a plan begins with, and with what a run does to the services.
async fn confirm(app: &App, host: &Host, settings: &Settings, options: &RunOptions) -> Result<(), Failure> {
    if !stdin().is_terminal() {
        let message = "a run stops services and may reboot the host, and there is no terminal to ask on";
        return Err(Failure::new(FailureKind::Usage, message).hint("patchday run --yes"));
    }
    let style = app.stderr_style();
    match look(app, host, settings, options, false).await {
        Ok(look) => ui::print_talk(&mut stderr(), &(style.wrap(&look.headline().render(&style), 0).join("\n") + "\n")),
        // The run would find the same, and say so in its report; whether it begins is the answer's.
        Err(failure) => ui::print_error(&mut stderr(), &failure.message, &[], &[], &style),
    }
    let stops: Vec<String> = settings.services.iter().rev().map(|service| service.unit.to_string()).collect();
    let stops = if stops.is_empty() { "stops no service".into() } else { format!("stops {}", stops.join(", then ")) };
    let then = if options.no_reboot { "does not reboot" } else { "reboots if that is needed" };
    let question = format!("This {stops}, upgrades the packages and {then}. Go on? [y/N]");
    ui::print_talk(&mut stderr(), &(style.wrap(&question, 0).join("\n") + " "));
    let mut answer = String::new();
    let read = stdin().read_line(&mut answer);
    let is_yes = read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if is_yes { Ok(()) } else { Err(Failure::new(FailureKind::Refused, "not confirmed; nothing was touched")) }
}
