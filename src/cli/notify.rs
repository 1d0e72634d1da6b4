//! `patchday notify`.

use std::io::stderr;

use jiff::Timestamp;

use super::app::{App, hostname, require_root};
use super::args::NotifyArgs;
use super::{page, report};
use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::host::Host;
use crate::model::{BootId, Channel, NotifyWhen, Occasion, Run, RunId, RunOptions, Trigger};
use crate::notify;
use crate::report::{Mark, Report};
use crate::ui;

/// Lists who is told of a run, or tells them all that this is a test.
pub(super) async fn notify(app: &App, args: &NotifyArgs) -> Result<u8, Failure> {
    require_root("notify")?;
    let settings = app.load_config()?.settings;
    if settings.notify.is_empty() {
        let message = "the configuration has no [[notify]]: no one hears of a run";
        return Err(Failure::new(FailureKind::Usage, message).hint("see docs/configuration.md"));
    }
    if !args.test {
        let lines: String = settings.notify.iter().map(|channel| format!("{}\n", listed(channel))).collect();
        page::print(&lines)?;
        return Ok(exit_code::DONE);
    }
    let host = app.host(&settings)?;
    let report = report_to_try_with(app, &host).await?;
    let style = app.stdout_style();
    let mut failed = 0;
    for channel in &settings.notify {
        let label = notify::label(channel);
        let line = match notify::parcel(channel, Occasion::Test, &report) {
            None => format!("{} {label}: has something to say only after the first run", style.mark(Mark::Skipped)),
            Some(parcel) => match host.messenger.send(&parcel).await {
                Ok(()) => format!("{} {label}: sent", style.mark(Mark::Done)),
                Err(error) => {
                    failed += 1;
                    format!("{} {label}: {error}", style.mark(Mark::Failed))
                }
            },
        };
        page::print(&format!("{line}\n"))?;
    }
    if failed == 0 {
        return Ok(exit_code::DONE);
    }
    ui::print_error(
        &mut stderr(),
        &format!("{failed} of {} did not arrive", settings.notify.len()),
        &[],
        &[],
        &app.stderr_style(),
    );
    Ok(exit_code::UNEXPECTED)
}

fn listed(channel: &Channel) -> String {
    let when = match channel.when {
        NotifyWhen::Always => "always",
        NotifyWhen::Change => "when something changed or failed",
        NotifyWhen::Failure => "on failure",
    };
    format!("{}, {when}", notify::label(channel))
}

/// The last report, or that of a run that never was: a test says only which host it is.
async fn report_to_try_with(app: &App, host: &Host) -> Result<Report, Failure> {
    if let Some(id) = app.pick_run(None)? {
        return report::build(app, &id);
    }
    let unknown = || Failure::new(FailureKind::Unexpected, "the boot ID cannot be read");
    let boot: BootId = host.system.boot().await.ok_or_else(unknown)?;
    let now = Timestamp::now();
    let options = RunOptions::new(Trigger::Operator);
    let run = Run::plan(RunId::mint(now, 0), hostname(), now, boot, options, Vec::new(), Vec::new());
    Ok(crate::report::build(&run, &[], now))
}
