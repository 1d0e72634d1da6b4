//! `patchday plan`.

use std::io::stdout;

use jiff::tz::TimeZone;

use super::app::{App, hostname, require_labels, require_root};
use super::args::{PlanArgs, RunArgs};
use super::{follow, gate, hand_over, report, run};
use crate::checks::{self, CheckInputs};
use crate::config::RebootWhen;
use crate::coordinator::session;
use crate::error::Failure;
use crate::estimate;
use crate::exit_code;
use crate::host::Host;
use crate::model::{CheckResult, Estimate, Owed, RunOptions, Severity, Trigger, UpgradePlan, next_kernel_after};
use crate::steps;
use crate::ui;
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
        ..RunOptions::new(Trigger::Operator)
    };
    let builds_kernel = steps::kernel_build_is_due(&host, &located.settings).await;
    let may_reboot = located.settings.may_reboot(&options);
    let nothing = UpgradePlan::default();
    let expected = app.estimate(&located.settings, &options, &nothing, may_reboot, builds_kernel);
    let inputs = CheckInputs::new(&host, &located.settings, &options).expecting(expected, nothing);
    let (checks, upgrade, kernels) = tokio::join!(checks::run_all(&inputs), inputs.upgrade(), inputs.kernels());
    let (upgrade, kernels) = (upgrade?, kernels?);
    let owed = owed(app, &host).await?;
    let owed = steps::owed_now(&host, &located.settings, &owed).await;
    let tried = located.settings.tries_kernels();
    let next_kernel = next_kernel_after(kernels, upgrade, tried);
    let mut reasons = steps::expected_reboot_reasons(kernels, &owed, upgrade, tried);
    reasons.extend(builds_kernel.then(|| "a kernel is built from its source".to_owned()));
    let blockers = |check: &CheckResult| check.finding.as_ref().is_some_and(|f| f.severity == Severity::Blocker);
    let blocked = checks.iter().any(blockers);

    let services = located.settings.planned_services();
    let settings = &located.settings;
    let steps = steps::planned_steps(settings, &options);
    let fetched = match settings.upgrade.only_planned {
        true => host.packages.fetched().await?.map(|fetched| fetched.at),
        false => None,
    };
    let asked_for = !reasons.is_empty() || (settings.reboot.when == RebootWhen::Always && !upgrade.is_empty());
    let reboots = may_reboot && asked_for;
    let estimate = app.estimate(settings, &options, upgrade, reboots, builds_kernel);
    let savings = estimate::savings(&estimate, upgrade, &settings.limits);
    let last = app
        .recent_runs()
        .into_iter()
        .rev()
        .find_map(|run| Some((run.measured_downtime()?, run.estimate.as_ref().map(Estimate::downtime))));
    let window = gate::outlook(app, settings, estimate.until_back())?;
    let plan = Plan {
        format: FORMAT,
        host: &hostname(),
        blocked,
        refused: refused.as_ref().map(|refused| refused.message.as_str()),
        refused_hint: refused.as_ref().and_then(|refused| refused.hint.as_deref()),
        checks: &checks,
        upgrade,
        selection: &settings.upgrade.selection,
        fetched,
        services: &services,
        steps: &steps,
        reboot_reasons: &reasons,
        next_kernel: &next_kernel,
        owed: &owed,
        estimate: &estimate,
        total: estimate.total(),
        downtime: estimate.downtime(),
        savings: &savings,
        window: &window,
        last,
        command: if settings.upgrade.only_planned == only_planned { "patchday run" } else { ONLY_PLANNED },
        zone: &TimeZone::system(),
    };
    app.answer(&plan, args.json)?;
    Ok(match (refused, blocked, window.fits) {
        (Some(refused), ..) => refused.exit_code(),
        (None, true, _) => exit_code::UNTOUCHED,
        (None, false, false) => exit_code::BLOCKED,
        (None, false, true) => exit_code::DONE,
    })
}

/// What earlier runs have left to a boot.
async fn owed(app: &App, host: &Host) -> Result<Vec<Owed>, Failure> {
    match host.system.boot().await {
        Some(boot) => Ok(app.state.owed(&boot, session::soft_reboots(host).await)?),
        None => Ok(Vec::new()),
    }
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
