//! Everything that packages need and that can be done while the services run.

use jiff::SignedDuration;

use super::task::{self, Task};
use super::work::{self, Work};
use super::{StepContext, StepEnd, StepError, StepResult, batch, build_kernel, kernel_source, locks, owed};
use crate::checks::refused_removals;
use crate::events::EventKind;
use crate::host::PackageWork;
use crate::model::{Course, Fact, FetchedPlan, PackageAction, Step, UpgradePlan, is_lock_conflict};

const LOCK_RETRY: SignedDuration = SignedDuration::from_secs(5);

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let fetch_only = ctx.run().options.fetch_only;
    if fetch_only {
        ctx.host.packages.begin_fetch().await?;
    }
    if fetch_only || !ctx.settings.upgrade.only_planned {
        packaging(ctx, Step::Fetch, PackageWork::Refresh, "refresh", (0.0, 0.2)).await?;
    }
    let plan = ctx.host.packages.simulate().await?;
    let security = plan.changes.iter().filter(|change| change.is_security()).count();
    let removals = plan.removals().count();
    ctx.events.emit(EventKind::UpgradePlanned { changes: plan.changes.len() - removals, security, removals });
    ctx.recorder.record(Fact::UpgradePlanned(plan.clone()))?;
    refuse_removals(&plan, &ctx.settings.upgrade.allow_removals)?;
    refuse_unwanted(ctx, &plan).await?;
    if ctx.settings.upgrade.only_planned && !fetch_only {
        refuse_unfetched(ctx, &plan).await?;
    }

    if plan.is_empty() && !fetch_only && !wants_work_anyway(ctx).await? {
        return Ok(StepEnd::NothingToDo);
    }
    if plan.is_empty() {
        keep_if_wanted(ctx, plan).await?;
        return Ok(StepEnd::Succeeded(Some("no package to upgrade".into())));
    }
    // apt itself would wait for dpkg's locks, and tell nobody whom it waits for.
    locks::wait_until_free(ctx, Step::Fetch).await?;
    packaging(ctx, Step::Fetch, PackageWork::Download, "download", (0.2, 1.0)).await?;
    batch::prepare(ctx, &plan).await?;
    let told = [Some(summary(&plan, security)), ctx.settings.upgrade.selection.words()];
    keep_if_wanted(ctx, plan).await?;
    Ok(StepEnd::Succeeded(Some(told.into_iter().flatten().collect::<Vec<_>>().join(", "))))
}

/// Whether what was fetched is still here: a hook of dpkg's, a timer or a person may have emptied the cache. What is gone
/// is fetched once more, and the run ends where that does not help: an upgrade reaches no other host.
pub(super) async fn again(ctx: &mut StepContext<'_>) -> Result<Option<String>, StepError> {
    if ctx.run().upgrade.as_ref().is_none_or(UpgradePlan::is_empty) {
        return Ok(None);
    }
    let gone = ctx.host.packages.unfetched().await?;
    let (was, again) = match gone.as_slice() {
        [one] => (format!("{one} was fetched and is gone"), format!("{one} fetched again")),
        [first, ..] => (
            format!("{} packages were fetched and are gone, {first} among them", gone.len()),
            format!("{} packages fetched again", gone.len()),
        ),
        [] => return Ok(None),
    };
    ctx.note(format!("{was}; fetching again"));
    packaging(ctx, Step::LookAgain, PackageWork::Download, "download-again", (0.0, 1.0)).await?;
    match ctx.host.packages.unfetched().await?.as_slice() {
        [] => Ok(Some(again)),
        [first, ..] => {
            let why = format!("{first} was fetched twice, and is not in apt's cache: something empties it");
            Err(StepError::Failed(format!("{why}; see DPkg::Post-Invoke in: apt-config dump | grep -i invoke")))
        }
    }
}

/// For the run that will install it.
async fn keep_if_wanted(ctx: &StepContext<'_>, plan: UpgradePlan) -> Result<(), StepError> {
    if ctx.run().options.fetch_only {
        let fetched = FetchedPlan { run: ctx.run().id.clone(), at: ctx.host.clock.wall(), plan };
        ctx.host.packages.keep_fetched(&fetched).await?;
    }
    Ok(())
}

fn summary(plan: &UpgradePlan, security: usize) -> String {
    let count = |action| plan.changes.iter().filter(|change| change.action == action).count();
    let parts = [
        (count(PackageAction::Upgrade), "to upgrade"),
        (count(PackageAction::Install), "to install"),
        (count(PackageAction::Remove), "to remove"),
        (security, "from security"),
        (plan.left_out.len(), "left out"),
        (plan.left_out.iter().filter(|change| change.is_security()).count(), "of these for security"),
        (plan.kept_back.len(), "kept back"),
        (plan.phased.len(), "deferred by phasing"),
    ];
    let told: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    told.join(", ")
}

/// Runs the work, again and again while somebody else holds one of apt's locks: `DPkg::Lock::Timeout` makes apt wait for
/// dpkg's locks, and for no others.
async fn packaging(
    ctx: &mut StepContext<'_>,
    step: Step,
    what: PackageWork,
    name: &str,
    span: (f64, f64),
) -> Result<(), StepError> {
    let title = if what == PackageWork::Refresh { "refresh the package lists" } else { "download the packages" };
    let mut wait = locks::Wait::new(ctx, step.clone());
    for tries in 1.. {
        let name = if tries == 1 { name.to_owned() } else { format!("{name}-{tries}") };
        let work = Work {
            step: step.clone(),
            name: &name,
            description: format!("Patchday: {title}"),
            task: Task::Packages(what.clone()),
            course: Course::counted(span),
        };
        let outcome = work::run_to_end(ctx, work).await?;
        if outcome.succeeded() {
            break;
        }
        if !is_lock_conflict(&task::log_tail(ctx, &name).await) {
            return Err(work::failure(ctx, &name, &outcome).await);
        }
        wait.go_on(ctx, &ctx.host.packages.lock_holders().await.unwrap_or_default())?;
        ctx.host.clock.sleep(LOCK_RETRY).await;
    }
    Ok(())
}

/// A dist-upgrade may remove what the server lives on; only what is named may go.
fn refuse_removals(plan: &UpgradePlan, allowed: &[String]) -> Result<(), StepError> {
    let refused = refused_removals(plan, allowed);
    if refused.is_empty() {
        return Ok(());
    }
    Err(StepError::Failed(format!(
        "the upgrade would remove {}, which [upgrade] allow-removals does not name or may not name",
        refused.join(", ")
    )))
}

/// apt was told what to leave out. It counts what it does.
async fn refuse_unwanted(ctx: &StepContext<'_>, plan: &UpgradePlan) -> Result<(), StepError> {
    let (selection, packages) = (&ctx.settings.upgrade.selection, &ctx.host.packages);
    if selection.is_all() {
        return Ok(());
    }
    let (own, archives) = (packages.architecture().await?, packages.archives().await?);
    let unwanted = selection.unwanted(plan, &own, &archives);
    if unwanted.is_empty() {
        return Ok(());
    }
    Err(StepError::Failed(format!(
        "apt would change {}, which exclude, exclude-origins or only-security of [upgrade] leaves out; look at the pins in \
         /etc/apt/preferences.d",
        unwanted.join(", ")
    )))
}

/// The preflight has asked the same, but may have been overruled.
async fn refuse_unfetched(ctx: &StepContext<'_>, plan: &UpgradePlan) -> Result<(), StepError> {
    let Some(fetched) = ctx.host.packages.fetched().await? else {
        return Err(StepError::Failed("nothing was fetched: patchday plan --fetch".into()));
    };
    let differences = fetched.differences(plan, &ctx.host.packages.installed().await?);
    if differences.is_empty() {
        return Ok(());
    }
    Err(StepError::Failed(format!(
        "apt would not do what run {} fetched: {}; fetch anew: patchday plan --fetch",
        fetched.run,
        differences.join(", ")
    )))
}

/// Without a package to upgrade, a reboot that is due, or a module or a kernel that is missing, is still work.
async fn wants_work_anyway(ctx: &StepContext<'_>) -> Result<bool, StepError> {
    if kernel_source::is_due(ctx.host, ctx.settings).await {
        return Ok(true);
    }
    let facts = ctx.host.kernels.facts().await?;
    let reboot_is_due = ctx.may_reboot() && {
        let owed = owed::seen(ctx.host, ctx.settings, ctx.run(), false).await;
        !owed::reboot_reasons(&facts, &owed, ctx.settings.tries_kernels()).is_empty()
    };
    Ok(reboot_is_due || !build_kernel::missing_modules(ctx, &facts).await?.required.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PackageChange;

    #[test]
    fn only_named_packages_may_be_removed() {
        let remove = |name: &str| PackageChange {
            name: name.into(),
            action: PackageAction::Remove,
            from: Some("1".into()),
            to: None,
            origin: None,
        };
        let plan = UpgradePlan { changes: vec![remove("old-lib"), remove("mariadb-server")], ..UpgradePlan::default() };
        let error = refuse_removals(&plan, &["old-lib".into()]).unwrap_err().to_string();
        assert!(error.contains("mariadb-server") && !error.contains("old-lib"), "{error}");
        assert!(refuse_removals(&plan, &["old-lib".into(), "mariadb-server".into()]).is_ok());
    }
}
