//! `patchday plan`.

use std::io::stdout;

use serde::Serialize;

use super::app::{App, hostname, json_text, require_labels, require_root};
use super::args::PlanArgs;
use crate::checks::{self, CheckInputs};
use crate::error::Failure;
use crate::exit_code;
use crate::model::{CheckResult, PlannedService, RunOptions, Severity, Step, Trigger, UpgradePlan};
use crate::steps;
use crate::ui;
use crate::ui::plan::PlanInputs;

/// Version of the shape of `patchday plan --json`.
const PLAN_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Plan<'a> {
    format: u32,
    host: &'a str,
    blocked: bool,
    checks: &'a [CheckResult],
    upgrade: &'a UpgradePlan,
    services: &'a [PlannedService],
    steps: &'a [Step],
    reboot_reasons: &'a [String],
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
    let reasons = steps::expected_reboot_reasons(kernels?, upgrade);
    let blockers = |check: &CheckResult| check.finding.as_ref().is_some_and(|f| f.severity == Severity::Blocker);
    let blocked = checks.iter().any(blockers);

    let name = hostname();
    let services = located.settings.planned_services();
    let steps = steps::planned_steps(&located.settings);
    let text = if args.json {
        let plan = Plan {
            format: PLAN_FORMAT,
            host: &name,
            blocked,
            checks: &checks,
            upgrade,
            services: &services,
            steps: &steps,
            reboot_reasons: &reasons,
        };
        json_text(&plan)?
    } else {
        let inputs = PlanInputs {
            host: &name,
            checks: &checks,
            upgrade: Some(upgrade),
            services: &services,
            steps: &steps,
            reboot_reasons: &reasons,
        };
        ui::plan::render(&inputs, &app.stdout_style())
    };
    ui::print_data(&mut stdout(), &text);
    Ok(if blocked { exit_code::UNTOUCHED } else { exit_code::DONE })
}
