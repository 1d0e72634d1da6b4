//! `patchday limits`.

use std::time::Duration;

use super::app::{App, online_cpus, require_root};
use super::args::LimitsArgs;
use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::host::clock::SystemClock;
use crate::host::{Clock as _, Host};
use crate::model::{Change, GroupUse, Run, quota_of};
use crate::ui::limits::{FORMAT, LimitsNow};

/// Between two readings of the CPU time used: long enough for a share that means something.
const BETWEEN: Duration = Duration::from_secs(1);

pub(super) async fn limits(app: &App, args: &LimitsArgs) -> Result<u8, Failure> {
    require_root("limits")?;
    let open = app.state.unfinished_run()?;
    let settings = match &open {
        Some(id) => app.state.settings(id)?,
        None => app.load_config()?.settings,
    };
    let host = app.host(&settings)?;
    if args.changes_something() {
        let run = open.as_ref().map(|id| app.state.load(id)).transpose()?;
        change(&host, run.as_ref(), args).await?;
    }
    let set = host.budget.limits().await?;
    let (in_force, cpu_usec_per_sec) = measure(&host).await?;
    let now = LimitsNow {
        format: FORMAT,
        run: open.as_ref(),
        cpus: online_cpus(),
        configured: &settings.limits,
        set: &set,
        in_force,
        cpu_usec_per_sec,
    };
    app.answer(&now, args.json)?;
    Ok(exit_code::DONE)
}

/// Only what the run has limited is changed, so that the run's end gives back what was there before.
async fn change(host: &Host, run: Option<&Run>, args: &LimitsArgs) -> Result<(), Failure> {
    let is_limited = |run: &Run| run.changes.iter().any(|change| matches!(change, Change::Limited { .. }));
    match run {
        None => {
            let message = "no run is open; the limits of the next one are those of the configuration";
            return Err(Failure::new(FailureKind::Refused, message).hint("set [limits] cpu, then patchday run"));
        }
        Some(run) if !is_limited(run) => {
            let message = format!("run {} has limited nothing (yet): it has no work of its own on this boot", run.id);
            return Err(Failure::new(FailureKind::Refused, message).hint("patchday status"));
        }
        Some(_) => {}
    }
    let mut limits = host.budget.limits().await?;
    limits.cpu_quota_per_sec_usec =
        args.cpu.map(|percent| quota_of(percent, online_cpus())).or(limits.cpu_quota_per_sec_usec);
    limits.cpu_weight = args.cpu_weight.or(limits.cpu_weight);
    limits.io_weight = args.io_weight.or(limits.io_weight);
    limits.memory_high = args.memory_high.or(limits.memory_high);
    Ok(host.budget.set_limits(&limits).await?)
}

/// What is in force, and the CPU time used a second.
async fn measure(host: &Host) -> Result<(Option<GroupUse>, Option<u64>), Failure> {
    let Some(first) = host.budget.usage().await? else { return Ok((None, None)) };
    let began = SystemClock.since_boot();
    tokio::time::sleep(BETWEEN).await;
    let last = host.budget.usage().await?;
    let usec = u64::try_from((SystemClock.since_boot() - began).as_micros()).unwrap_or_default().max(1);
    let used = last.and_then(|last| last.cpu_usec?.checked_sub(first.cpu_usec?));
    Ok((last, used.and_then(|used| Some(used.checked_mul(1_000_000)? / usec))))
}
