//! `patchday plan`.

use super::app::{App, hostname, require_labels, require_root};
use super::args::{PlanArgs, RunArgs};
use super::look::look;
use super::{follow, gate, hand_over, modes, report, run};
use crate::error::Failure;
use crate::estimate;
use crate::exit_code;
use crate::host::clock::SystemClock;
use crate::host::{Clock as _, Host};
use crate::model::{Estimate, RunOptions, Trigger};
use crate::steps;
use crate::ui::plan::{FORMAT, Plan};

/// What installs a plan that was fetched, where the configuration does not say so.
const ONLY_PLANNED: &str = "patchday run --only-planned";

pub(super) async fn plan(app: &App, args: &PlanArgs) -> Result<u8, Failure> {
    require_labels(&args.allow)?;
    require_root("plan")?;
    let mut located = app.load_config()?;
    let only_planned = located.settings.upgrade.only_planned;
    located.settings.upgrade.only_planned |= args.fetch || args.only_planned;
    let host = app.host(&located.settings)?;
    app.require_units(&located, host.units.as_ref()).await?;
    if args.fetch
        && let Some(exit_code) = fetch(app, &host, args.json).await?
    {
        return Ok(exit_code);
    }
    // As `patchday run` asks.
    let refused = match run::refuse_second_run(app) {
        Ok(()) => run::refuse_over_leftovers(app, &host).await.err(),
        Err(refused) => Some(refused),
    };
    let options = RunOptions {
        no_reboot: args.no_reboot,
        allowed_checks: args.allow.clone(),
        outside_window: args.outside_window,
        ..RunOptions::new(Trigger::Operator)
    };
    let settings = &located.settings;
    let look = look(app, &host, settings, &options, true).await?;
    let services = settings.planned_services();
    let steps = steps::planned_steps(settings, &options);
    let fetched = match settings.upgrade.only_planned {
        true => host.packages.fetched().await?.map(|fetched| fetched.at),
        false => None,
    };
    let (upgrade, estimate, blocked) = (&look.upgrade, &look.estimate, look.is_blocked());
    let savings = estimate::savings(estimate, upgrade, &settings.limits);
    let last = app
        .recent_runs()
        .into_iter()
        .rev()
        .find_map(|run| Some((run.measured_downtime()?, run.estimate.as_ref().map(Estimate::downtime))));
    let modes = modes::compare(app, settings, &options, &look);
    let window = gate::outlook(app, settings, &options, estimate.until_back())?;
    let plan = Plan {
        format: FORMAT,
        host: &hostname(),
        blocked,
        refused: refused.as_ref().map(|refused| refused.message.as_str()),
        refused_hint: refused.as_ref().and_then(|refused| refused.hint.as_deref()),
        headline: look.headline(),
        checks: &look.checks,
        upgrade,
        selection: &settings.upgrade.selection,
        fetched,
        services: &services,
        steps: &steps,
        reboot_reasons: &look.reasons,
        restart: &look.restart,
        next_kernel: &look.next_kernel,
        owed: &look.owed,
        estimate,
        total: estimate.total(),
        downtime: estimate.downtime(),
        not_measured: look.outlook.pace.as_ref().err().map(String::as_str),
        savings: &savings,
        ahead: look.ahead.as_ref(),
        modes: &modes,
        window: &window,
        last,
        command: if settings.upgrade.only_planned == only_planned { "patchday run" } else { ONLY_PLANNED },
        zone: &SystemClock.zone(),
    };
    app.answer(&plan, args.json)?;
    Ok(match (refused, blocked, window.fits) {
        (Some(refused), ..) => refused.exit_code(),
        (None, true, _) => exit_code::UNTOUCHED,
        (None, false, false) => exit_code::BLOCKED,
        (None, false, true) => exit_code::DONE,
    })
}

/// Fetches the plan in a run of its own: under the limits, and on record. An exit code where there is no plan to show.
async fn fetch(app: &App, host: &Host, json: bool) -> Result<Option<u8>, Failure> {
    run::refuse_second_run(app)?;
    run::refuse_over_leftovers(app, host).await?;
    let id = hand_over::mint();
    let verb = RunArgs { fetch_only: true, ..RunArgs::default() }.for_coordinator(&id);
    hand_over::start_coordinator(app, host.work.as_ref(), &hand_over::coordinator_unit("run", &id)?, verb).await?;
    // What is told of it goes to stderr: stdout is the plan's.
    match follow::follow_to_end(app, &id, false).await? {
        Some(exit_code::DONE) => Ok(None),
        Some(exit_code) => {
            if !json {
                report::show_brief(app, &id)?;
            }
            Ok(Some(exit_code))
        }
        None => Ok(Some(exit_code::DETACHED)),
    }
}
