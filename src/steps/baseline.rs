//! What runs now, for the comparison after the reboot.

use jiff::SignedDuration;

use super::{StepContext, StepEnd, StepError, StepResult, locks, rivals};
use crate::checks::is_allowed;
use crate::config::ServiceSettings;
use crate::model::{Baseline, Fact, Readiness, ReadinessProbe, ServiceBaseline, Step, lasting_mounts};
use crate::verify::latency;

/// A service that is busy for a moment is asked again so often.
const ONCE_MORE: usize = 2;

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let configured: Vec<_> = ctx.settings.services.iter().collect();
    let latencies = latency::of_services(ctx.host, &configured).await;
    let mut services = Vec::new();
    for (service, latency) in configured.into_iter().zip(latencies) {
        services.push(ServiceBaseline {
            unit: service.unit.clone(),
            state: ctx.host.units.state(&service.unit).await?,
            readiness: readiness(ctx, service).await?,
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
        mounts: lasting_mounts(system.mounts().await?),
        kernel: ctx.host.kernels.facts().await?,
        packages: ctx.host.packages.installed().await?,
        dkms: Some(ctx.host.kernels.dkms().await?),
        inventory: Some(Box::new(ctx.host.system.inventory().await)),
    };
    let ready = baseline.services.iter().filter(|service| matches!(service.readiness, Readiness::Ready(_))).count();
    let note = format!(
        "{ready} of {} services ready, {} units active, {} failed",
        baseline.services.len(),
        baseline.units.active.len(),
        baseline.units.failed.len()
    );
    ctx.recorder.record(Fact::BaselineTaken(Box::new(baseline)))?;
    // Only now: the baseline has them running, as the host shall have them again.
    rivals::pause(ctx).await?;
    // And what one of them has begun ends while the services still run.
    locks::wait_until_free(ctx, Step::Baseline).await?;
    Ok(StepEnd::Succeeded(Some(note)))
}

/// What the probe of a service says. What the verification takes for "as before" must not be the accident of one moment:
/// a service that runs and is not ready ends the run here, where nobody has allowed that.
async fn readiness(ctx: &StepContext<'_>, service: &ServiceSettings) -> Result<Readiness, StepError> {
    let probe = || ctx.host.prober.probe(&service.unit, &service.readiness, service.probe_timeout);
    let mut said = probe().await;
    for _ in 0..ONCE_MORE {
        if matches!(said, Readiness::Ready(_)) || !ctx.host.units.state(&service.unit).await?.is_up() {
            return Ok(said);
        }
        ctx.host.clock.sleep(said.ask_again_after().unwrap_or(SignedDuration::from_secs(1))).await;
        said = probe().await;
    }
    let labels: &[&str] = match service.readiness {
        // systemd's own word, of which the state tells already.
        ReadinessProbe::Unit => return Ok(said),
        ReadinessProbe::Mongodb(_) => &["database-set", "database-reachable"],
        ReadinessProbe::Tcp { .. } | ReadinessProbe::Http { .. } | ReadinessProbe::Command { .. } => &["readiness"],
    };
    let options = &ctx.run().options;
    match said.problem() {
        Some(why) if !labels.iter().any(|label| is_allowed(ctx.settings, options, label)) => Err(StepError::Failed(
            format!("{} is not ready any more: {why}; fix it, or say --allow {}", service.unit, labels[0]),
        )),
        _ => Ok(said),
    }
}
