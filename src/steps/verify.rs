//! Prove that the host came back as it was.

use super::{StepContext, StepEnd, StepError, StepResult, owed, recover, restart_outdated, trial};
use crate::config::OnFailure;
use crate::events::EventKind;
use crate::model::{Change, Fact, Verdict};
use crate::verify::{Look, Verifying};

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    // A boot reaches everything, and a soft one all but what outlives it.
    if ctx.run().boot == ctx.run().first_boot {
        if !ctx.run().is_softly_restarted() {
            restart_outdated::restart(ctx).await?;
        }
        owed::look(ctx, false).await?;
    }
    let run = ctx.run().clone();
    let Some(with) = Verifying::of_run(&run, run.boot.clone(), ctx.host, ctx.settings, ctx.events) else {
        return Err(StepError::Failed("the run has no baseline to compare with".into()));
    };
    let with = with.from_its_beginning().await;
    let mut look = Look::until_settled(&with).await;
    let mut recovered = Vec::new();
    if ctx.settings.verify.on_failure == OnFailure::Restart {
        recovered = recover::restart(&mut look, ctx.host, ctx.recorder).await?;
    }
    let mut verification = look.conclude(recovered).await;
    let trial = trial::judge(ctx, &verification.kernel, verification.verdict).await;
    if let Some(Err(finding)) = &trial {
        verification.findings.push(finding.clone());
        verification.verdict = verification.verdict.max(Verdict::Degraded);
    }

    let verdict = verification.verdict;
    let told: Vec<String> = verification.findings.iter().map(|finding| finding.title.clone()).collect();
    ctx.recorder.record(Fact::Judged(Box::new(verification)))?;
    if let (Some(Ok(())), Some(change)) = (trial, run.one_shot_boot().cloned().map(Change::OneShotBoot)) {
        ctx.recorder.record(Fact::ChangeUndone(change))?;
    }
    ctx.events.emit(EventKind::VerdictReached { verdict, findings: told.clone() });
    match verdict {
        Verdict::Failed => Err(StepError::Failed(told.into_iter().next().unwrap_or_default())),
        verdict => Ok(StepEnd::Succeeded(Some(verdict.name().into()))),
    }
}
