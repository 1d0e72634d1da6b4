//! What runs now, for the comparison after the reboot.

use super::{StepContext, StepEnd, StepResult, latency, locks, rivals};
use crate::model::{Baseline, Fact, Readiness, ServiceBaseline, Step};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let configured: Vec<_> = ctx.settings.services.iter().collect();
    let latencies = latency::of_services(ctx.host, &configured).await;
    let mut services = Vec::new();
    for (service, latency) in configured.into_iter().zip(latencies) {
        services.push(ServiceBaseline {
            unit: service.unit.clone(),
            state: ctx.host.units.state(&service.unit).await?,
            readiness: ctx.host.prober.probe(&service.unit, &service.readiness, service.probe_timeout).await,
            latency,
        });
    }
    let system = &ctx.host.system;
    let baseline = Baseline {
        taken: ctx.host.clock.now(),
        uptime: system.uptime().await?,
        units: ctx.host.units.survey().await?,
        services,
        sockets: system.listening_sockets().await?,
        mounts: system.mounts().await?,
        kernel: ctx.host.kernels.facts().await?,
        packages: ctx.host.packages.installed().await?,
        dkms: Some(ctx.host.kernels.dkms().await?),
        inventory: Some(Box::new(ctx.host.inventories.inventory().await)),
    };
    let ready = baseline.services.iter().filter(|service| matches!(service.readiness, Readiness::Ready(_))).count();
    let note = format!(
        "{} units active, {} failed, {ready} of {} services ready",
        baseline.units.active.len(),
        baseline.units.failed.len(),
        baseline.services.len()
    );
    ctx.recorder.record(Fact::BaselineTaken(Box::new(baseline)))?;
    // Only now: the baseline has them running, as the host shall have them again.
    rivals::pause(ctx).await?;
    // And what one of them has begun ends while the services still run.
    locks::wait_until_free(ctx, Step::Baseline).await?;
    Ok(StepEnd::Succeeded(Some(note)))
}
