//! What a run that begins now would find: for `plan`, and for the question of `run`.

use super::app::{App, Outlook};
use crate::checks::{self, CheckInputs};
use crate::config::{RebootWhen, Settings};
use crate::coordinator::session;
use crate::error::Failure;
use crate::host::Host;
use crate::model::{
    AheadChoice, CheckResult, Estimate, KernelPlan, Owed, RestartChoice, RunOptions, Severity, UpgradePlan,
    next_kernel_after, reasons_in_words,
};
use crate::steps;
use crate::ui::plan::Headline;

pub(super) struct Look {
    pub(super) checks: Vec<CheckResult>,
    pub(super) upgrade: UpgradePlan,
    pub(super) next_kernel: KernelPlan,
    /// What earlier runs have left to a boot.
    pub(super) owed: Vec<Owed>,
    /// Why the host would reboot, in whole sentences.
    pub(super) reasons: Vec<String>,
    pub(super) estimate: Estimate,
    /// What comes ahead where the configuration wants that of all that no service uses; else what would, by the rules alone.
    /// None if there is nothing to upgrade, or nobody asked.
    pub(super) ahead: Option<AheadChoice>,
    pub(super) outlook: Outlook,
    pub(super) reboots: bool,
    /// Which restart that would be.
    pub(super) restart: RestartChoice,
    reboot_for: Vec<String>,
    may_reboot: bool,
}

impl Look {
    pub(super) fn is_blocked(&self) -> bool {
        let mut found = self.checks.iter().filter_map(|check| check.finding.as_ref());
        found.any(|finding| finding.severity == Severity::Blocker)
    }

    pub(super) fn headline(&self) -> Headline<'_> {
        Headline {
            upgrade: &self.upgrade,
            may_reboot: self.may_reboot,
            reboots: self.reboots,
            restart: self.restart.restart,
            reboot_for: &self.reboot_for,
            downtime: self.estimate.downtime(),
            checks: &self.checks,
        }
    }
}

/// `compares` also looks what other ways of upgrading would need to know.
pub(super) async fn look(
    app: &App,
    host: &Host,
    settings: &Settings,
    options: &RunOptions,
    compares: bool,
) -> Result<Look, Failure> {
    let mut outlook = app.outlook(host, settings).await;
    let may_reboot = settings.may_reboot(options);
    let nothing = UpgradePlan::default();
    let expected = app.estimate(settings, options, &nothing, may_reboot, &outlook);
    let inputs = CheckInputs::new(host, settings, options).expecting(expected, nothing);
    // Beside apt's simulation, which takes longer.
    let used = async {
        let is_wanted = settings.upgrade.chooses_ahead() || (compares && !settings.services.is_empty());
        if is_wanted { Some(steps::used_now(host, settings).await) } else { None }
    };
    let (checks, upgrade, kernels, used) =
        tokio::join!(checks::run_all(&inputs), inputs.upgrade(), inputs.kernels(), used);
    let (upgrade, kernels) = (upgrade?, kernels?);
    let owed = steps::owed_now(host, settings, &owed(app, host).await?).await;
    let tried = settings.tries_kernels();
    let due = steps::expected_boot_reasons(kernels, &owed, upgrade, tried);
    let mut reasons = reasons_in_words(&due);
    let mut reboot_for: Vec<String> = due.iter().map(|reason| reason.name().into_owned()).collect();
    if outlook.builds_kernel {
        reasons.push("a kernel is built from its source".to_owned());
        reboot_for.push("a kernel from source".to_owned());
    }
    let asked_for = !reasons.is_empty() || (settings.reboot.when == RebootWhen::Always && !upgrade.is_empty());
    let reboots = may_reboot && asked_for;
    let builds = outlook.builds_kernel;
    let restart = steps::expected_restart(host, settings, kernels, &due, upgrade, builds).await;
    outlook.restart = restart.restart;
    let (kernel, chooses) = (&kernels.running, settings.upgrade.chooses_ahead());
    let ahead = match used.filter(|_| !upgrade.is_empty()) {
        Some(used) if chooses => Some(steps::ahead_of(host, settings, upgrade, kernel, &used).await),
        used => used.map(|used| steps::ahead_by_rules(settings, upgrade, kernel, &used)),
    };
    let planned = UpgradePlan { ahead: ahead.clone().filter(|_| chooses), ..upgrade.clone() };
    Ok(Look {
        checks,
        upgrade: upgrade.clone(),
        next_kernel: next_kernel_after(kernels, upgrade, tried),
        owed,
        reasons,
        estimate: app.estimate(settings, options, &planned, reboots, &outlook),
        ahead,
        outlook,
        restart,
        reboot_for,
        may_reboot,
        reboots,
    })
}

async fn owed(app: &App, host: &Host) -> Result<Vec<Owed>, Failure> {
    match host.system.boot().await {
        Some(boot) => Ok(app.state.owed(&boot, session::soft_reboots(host).await)?),
        None => Ok(Vec::new()),
    }
}
