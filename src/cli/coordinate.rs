//! Be the coordinator: in a unit, or in the foreground.

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use super::app::{App, hostname};
use crate::config::Settings;
use crate::coordinator::session::{self, Wish};
use crate::coordinator::{AbortFlag, Beginning, Coordinator, Journal, Narrator, NewRun, RunEnd};
use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::host::Host;
use crate::model::{Abort, AbortWish, BootId, Run, RunId, RunOptions, RunWindow, UpgradePlan};
use crate::store::{RunStore, WishBox};

/// What became of the pointer to the open run.
const LOST: &str = "the file open-run was removed";

/// Records a new run, and carries it to its end.
pub(super) async fn new_run(
    app: &App,
    host: &Host,
    settings: &Settings,
    id: RunId,
    options: RunOptions,
    window: Option<RunWindow>,
    json: bool,
) -> Result<u8, Failure> {
    let locked = app.state.lock(&format!("run {id}"))?;
    let boot = host.system.boot().await.ok_or_else(no_boot_id)?;
    // Corrected when the package lists are fresh.
    let reboots = settings.may_reboot(&options);
    let outlook = app.outlook(host, settings).await;
    let estimate = app.estimate(settings, &options, &UpgradePlan::default(), reboots, &outlook);
    let new = NewRun { id, host: hostname(), options, window, estimate: Some(estimate) };
    let (store, run) = new.record(locked, &app.state, boot, host, settings).await?;
    store.prune(settings.keep_runs);
    carry(app, host, settings, store, run, Beginning::New, &AbortFlag::default(), json).await
}

/// What a resume is asked to do.
pub(super) struct Resume {
    pub(super) automatic: bool,
    pub(super) abort: bool,
    pub(super) json: bool,
}

/// Goes on with the open run.
pub(super) async fn open_run(app: &App, what: &Resume) -> Result<u8, Failure> {
    // Without the lock: it is asked on every boot, and must stand in nobody's way.
    if what.automatic && app.state.unfinished_run()?.is_none() {
        say_ready();
        return Ok(exit_code::DONE);
    }
    let pointer_is_lost = app.state.has_lost_its_pointer();
    let locked = app.state.lock("resume")?;
    let Some((store, run, settings)) = locked.reopen_run()? else {
        app.view(what.json).finish();
        tracing::warn!("no run is open; there is nothing to resume");
        return Ok(exit_code::DONE);
    };
    if pointer_is_lost {
        tracing::warn!("run {} is not finished, though nothing named it as the open one: {LOST}", run.id);
    }
    let host = app.host(&settings)?;
    let boot = host.system.boot().await.ok_or_else(no_boot_id)?;
    if what.automatic
        && let Some(why) = session::refusal(&run, &boot, session::soft_reboots(&host).await)
    {
        return Err(Failure::new(FailureKind::Refused, why).hint("patchday status, then patchday resume by hand"));
    }
    let abort = AbortFlag::default();
    let wish = session::wish(app.state.abort_wish(&run.id), &boot);
    if what.abort || wish != Wish::None {
        let by = if let Wish::Abort(by) = wish { by } else { None };
        match by.or_else(|| app.state.abort_signed_by(&run.id)) {
            Some(by) => abort.request_for(&by),
            None => abort.request(),
        }
    }
    let beginning = Beginning::Resumed { automatic: what.automatic };
    carry(app, &host, &settings, store, run, beginning, &abort, what.json).await
}

/// Undoes what the newest run left on the host when it ended.
pub(super) async fn leftover(app: &App, json: bool) -> Result<u8, Failure> {
    let Some((store, run, settings)) = app.state.lock("resume")?.reopen_leftover()? else {
        return Err(nothing_to_resume());
    };
    let host = app.host(&settings)?;
    carry(app, &host, &settings, store, run, Beginning::Reopened, &AbortFlag::default(), json).await
}

pub(super) fn nothing_to_resume() -> Failure {
    Failure::new(FailureKind::Usage, "no run is open; there is nothing to resume").hint("patchday report")
}

/// Tells systemd that the service is up.
pub(super) fn say_ready() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
}

/// To systemd, a `Type=notify` service that ends before it is up has failed (`protocol` in systemd.service(5)), whatever
/// `SuccessExitStatus=` says. Not to begin now is an answer, and no failure.
pub(super) fn say_ready_where_nothing_began(end: &Result<u8, Failure>) {
    if end.as_ref().is_err_and(|failure| matches!(failure.kind, FailureKind::Refused | FailureKind::Locked)) {
        say_ready();
    }
}

#[allow(clippy::too_many_arguments)] // each is a different thing, and there is one caller of each kind
async fn carry(
    app: &App,
    host: &Host,
    settings: &Settings,
    store: RunStore,
    run: Run,
    beginning: Beginning,
    abort: &AbortFlag,
    json: bool,
) -> Result<u8, Failure> {
    // At once: a boot must not wait for the run that it starts.
    say_ready();
    let mut view = app.view(json);
    let log = store.event_log()?;
    let tell = Box::new(move |event: &_| view.event(event));
    let narrator = Narrator::new(run.id.clone(), log, host.clock.clone(), tell);

    let wishes = store.wish_box();
    let boot = host.system.boot().await.ok_or_else(no_boot_id)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    // A terminal that goes away must not end the run, not even one in the foreground.
    let mut hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
    let mut coordinator = Coordinator::new(host, settings, Journal::new(run, store), &narrator, abort);
    let drive = coordinator.carry(beginning);
    tokio::pin!(drive);
    let end = loop {
        tokio::select! {
            end = &mut drive => break end,
            _ = terminate.recv() => wish_for_abort(abort, &wishes, &boot, "SIGTERM"),
            _ = interrupt.recv() => wish_for_abort(abort, &wishes, &boot, "SIGINT"),
            _ = hangup.recv() => {}
        }
    };
    match end {
        RunEnd::Closed { exit_code } => Ok(exit_code),
        RunEnd::Parked => Ok(exit_code::DONE),
        RunEnd::Stayed { reason } => {
            Err(Failure::new(FailureKind::Unexpected, format!("the run is left open: {reason}"))
                .hint("patchday resume"))
        }
    }
}

/// Saved at once: the step at work may take long, and the coordinator may be killed before it ends.
fn wish_for_abort(abort: &AbortFlag, wishes: &WishBox, boot: &BootId, signal: &str) {
    let by = wishes.signed_by().unwrap_or_else(|| format!("{signal} to the coordinator"));
    abort.request_for(&by);
    let wish = AbortWish { abort: Abort { by, at: Timestamp::now() }, boot: boot.clone() };
    if let Err(error) = wishes.put(&wish) {
        tracing::warn!("the wish to end the run is not saved: {error}");
    }
}

pub(super) fn no_boot_id() -> Failure {
    Failure::new(
        FailureKind::Unexpected,
        "/proc/sys/kernel/random/boot_id holds no boot ID; a reboot could not be noticed",
    )
}

#[allow(clippy::needless_pass_by_value)] // the shape that map_err wants
fn no_signals(error: std::io::Error) -> Failure {
    Failure::new(FailureKind::Unexpected, format!("listen for signals: {error}"))
}
