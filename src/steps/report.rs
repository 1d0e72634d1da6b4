//! Write down what happened.

use super::{
    StepContext, StepEnd, StepError, StepResult, announce, batch, limits, owed, package_locks, restart, rivals, trial,
};
use crate::model::in_utc;
use crate::report;

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    // The last step of every run: what the run changed for its work goes now, and the report says so where it stays.
    limits::lift(ctx).await?;
    package_locks::give_up(ctx).await?;
    for problem in rivals::go_on(ctx).await? {
        ctx.note(problem);
    }
    announce::withdraw(ctx).await?;
    trial::take_back(ctx).await?;
    restart::unload(ctx).await?;
    // However the run ended, with the services as they are.
    owed::look(ctx, false).await?;
    if let Ok(Some((kind, at))) = ctx.host.power.scheduled_shutdown().await {
        ctx.note(format!(
            "a {kind} of the host is scheduled for {}, and not by this run; to take it back: shutdown -c",
            in_utc(at)
        ));
    }
    batch::forget(ctx).await;
    write_faces(ctx)?;
    Ok(StepEnd::Succeeded(None))
}

/// Writes every face of the report as it is now.
pub(super) fn write_faces(ctx: &StepContext<'_>) -> Result<(), StepError> {
    let timeline = ctx.recorder.timeline();
    let report = report::build(ctx.run(), &timeline, ctx.host.clock.now()).in_zone(ctx.host.clock.zone());
    let json = report::json::render(&report).map_err(|error| StepError::Failed(format!("the report: {error}")))?;
    for (name, content) in [
        ("report.json", json),
        ("report.txt", report::text::render(&report, &report::Style::plain())),
        ("report.md", report::markdown::render(&report)),
        ("report.html", report::html::render(&report)),
    ] {
        ctx.recorder.write_file(name, content.as_bytes())?;
    }
    Ok(())
}
