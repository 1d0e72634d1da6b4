//! `patchday plan`.

use std::io::stdout;

use jiff::SignedDuration;
use serde::Serialize;

use super::app::{App, hostname, json_text, require_labels, require_root};
use super::args::PlanArgs;
use super::gate;
use crate::checks::{self, CheckInputs};
use crate::config::RebootWhen;
use crate::error::Failure;
use crate::estimate;
use crate::exit_code;
use crate::model::{
    CheckResult, Estimate, PackageSelection, PlannedService, RunOptions, Severity, Step, Trigger, UpgradePlan,
};
use crate::steps;
use crate::ui;
use crate::ui::plan::{PlanInputs, PlanTime};

/// Version of the shape of `patchday plan --json`.
const PLAN_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Plan<'a> {
    format: u32,
    host: &'a str,
    blocked: bool,
    checks: &'a [CheckResult],
    upgrade: &'a UpgradePlan,
    selection: &'a PackageSelection,
    services: &'a [PlannedService],
    steps: &'a [Step],
    reboot_reasons: &'a [String],
    estimate: &'a Estimate,
    total: SignedDuration,
    downtime: SignedDuration,
    savings: Vec<Saving<'a>>,
    window: PlanWindow<'a>,
}

#[derive(Serialize)]
struct Saving<'a> {
    what: &'a str,
    saves: SignedDuration,
}

#[derive(Serialize)]
struct PlanWindow<'a> {
    /// A run may begin now, for all that windows, blackouts and a hold say.
    open: bool,
    /// It would end in time, now or when the next one opens.
    fits: bool,
    told: &'a str,
}

pub(super) async fn plan(app: &App, args: &PlanArgs) -> Result<u8, Failure> {
    require_labels(&args.allow)?;
    require_root("plan")?;
    let located = app.load_config()?;
    let host = app.host(&located.settings)?;
    app.require_units(&located, host.units.as_ref()).await?;
    let options = RunOptions {
        trigger: Trigger::Operator,
        no_reboot: args.no_reboot,
        allowed_checks: args.allow.clone(),
        outside_window: false,
    };
    let inputs = CheckInputs::new(&host, &located.settings, &options);
    let (checks, upgrade, kernels) = tokio::join!(checks::run_all(&inputs), inputs.upgrade(), inputs.kernels());
    let upgrade = upgrade?;
    let builds_kernel = steps::kernel_build_is_due(&host, &located.settings).await;
    let mut reasons = steps::expected_reboot_reasons(kernels?, upgrade);
    reasons.extend(builds_kernel.then(|| "a kernel is built from its source".to_owned()));
    let blockers = |check: &CheckResult| check.finding.as_ref().is_some_and(|f| f.severity == Severity::Blocker);
    let blocked = checks.iter().any(blockers);

    let name = hostname();
    let services = located.settings.planned_services();
    let steps = steps::planned_steps(&located.settings);
    let settings = &located.settings;
    let asked_for = !reasons.is_empty() || (settings.reboot.when == RebootWhen::Always && !upgrade.is_empty());
    let reboots = gate::reboots(settings, &options) && asked_for;
    let estimate = app.estimate(settings, upgrade, reboots, builds_kernel);
    let savings = estimate::savings(&estimate, upgrade, &settings.limits);
    let last = app
        .recent_runs()
        .into_iter()
        .rev()
        .find_map(|run| Some((run.measured_downtime()?, run.estimate.as_ref().map(Estimate::downtime))));
    let (open, fits, window) = gate::outlook(app, settings, estimate.until_back())?;
    let selection = settings.upgrade.selection.words();
    let text = if args.json {
        let plan = Plan {
            format: PLAN_FORMAT,
            host: &name,
            blocked,
            checks: &checks,
            upgrade,
            selection: &settings.upgrade.selection,
            services: &services,
            steps: &steps,
            reboot_reasons: &reasons,
            total: estimate.total(),
            downtime: estimate.downtime(),
            savings: savings.iter().map(|(what, saves)| Saving { what, saves: *saves }).collect(),
            window: PlanWindow { open, fits, told: &window },
            estimate: &estimate,
        };
        json_text(&plan)?
    } else {
        let inputs = PlanInputs {
            host: &name,
            checks: &checks,
            upgrade: Some(upgrade),
            selection: selection.as_deref(),
            services: &services,
            steps: &steps,
            reboot_reasons: &reasons,
            time: Some(PlanTime { estimate: &estimate, savings: &savings, last, window: &window, fits }),
        };
        ui::plan::render(&inputs, &app.stdout_style())
    };
    ui::print_data(&mut stdout(), &text);
    Ok(match (blocked, fits) {
        (true, _) => exit_code::UNTOUCHED,
        (false, false) => exit_code::BLOCKED,
        (false, true) => exit_code::DONE,
    })
}
