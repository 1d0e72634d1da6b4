//! The order of the steps, as data.

use crate::config::{Ahead, Durability, Settings, StopOrder};
use crate::model::{Channel, HookPoint, Occasion, RunOptions, Step};

/// The steps of a run under these settings, in order: services stop in reverse dependency order, side by side
/// where they do not depend on each other.
pub fn planned_steps(settings: &Settings, options: &RunOptions) -> Vec<Step> {
    if options.fetch_only {
        return vec![Step::Fetch];
    }
    let hooks = |point| settings.hooks_at(point).map(|(hook, _)| Step::Hook(hook));
    let late_stop = settings.upgrade.order == StopOrder::LateStop;
    // Under late-stop packages are what goes first, and all that can refuse must refuse before they are touched.
    let again = (!late_stop).then_some(Step::LookAgain);
    let stops = settings.stop_waves().into_iter().map(Step::Stop);
    let start = (!settings.notify.is_empty()).then_some(Step::Notify(Occasion::Start));
    let silence = settings.silence.iter().map(|_| Step::Silence);
    let stop = start.into_iter().chain([Step::Announce]).chain(silence).chain(hooks(HookPoint::BeforeStop));
    let stop: Vec<Step> = stop.chain(again).chain(stops).chain(hooks(HookPoint::AfterStop)).collect();

    let mut own_kernel = match settings.kernel.source {
        Some(_) => vec![Step::KernelSource, Step::InstallKernel],
        None => Vec::new(),
    };
    let mut steps = vec![Step::Preflight, Step::Fetch, Step::Baseline];
    steps.extend(settings.kernel.remove_old.then_some(Step::RemoveKernels));
    // Where all of it comes before the stop anyway, nothing is ahead of anything.
    if settings.upgrade.ahead != Ahead::Nothing && !late_stop {
        steps.push(Step::Ahead);
        steps.append(&mut own_kernel);
    }
    let again = late_stop.then_some(Step::LookAgain);
    let work = again
        .into_iter()
        .chain((settings.upgrade.durability == Durability::Batch).then_some(Step::UpgradeBase))
        .chain([Step::Upgrade])
        .chain(own_kernel)
        .chain([Step::BuildKernel, Step::StageCheck])
        .collect();
    steps.extend(if late_stop { [work, stop] } else { [stop, work] }.into_iter().flatten());

    steps.extend(settings.notify.iter().any(Channel::awaits_the_host).then_some(Step::Notify(Occasion::Reboot)));
    steps.extend(
        hooks(HookPoint::BeforeReboot).chain([Step::Reboot, Step::Verify]).chain(hooks(HookPoint::AfterVerify)),
    );
    steps
}
