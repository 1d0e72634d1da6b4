//! Long work in a transient unit: started once, found again by its name, its outcome kept until it is saved.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::deadline::{self, Deadline};
use super::limits::{self, Meter};
use super::package_locks;
use super::standstill::{self, Watch};
use super::task::{Task, attempt_number, log_path, said, unit, words, work_unit};
use super::{StepContext, StepError};
use crate::events::EventKind;
use crate::host::PackageWork;
use crate::model::{Course, Standstill, Step, UnitName, WorkLook, WorkOutcome, WorkSpec};

/// How often the work is looked at. A look costs one D-Bus call and one read.
pub(super) const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(500);

/// systemd's word for a unit whose time was over.
const TIMEOUT: &str = "timeout";

/// The part of a step that one unit does.
pub(super) struct Work<'a> {
    /// The step it belongs to.
    pub(super) step: Step,
    /// Names the unit and its files, as in `upgrade`.
    pub(super) name: &'a str,
    /// `Description=`.
    pub(super) description: String,
    pub(super) task: Task,
    /// How far it is.
    pub(super) course: Course,
}

/// Starts the work, or finds it running or ended, and waits for its end.
///
/// # Errors
///
/// When it could not be started or its outcome is lost. Work that ran and failed is no error: look at the outcome.
pub(super) async fn run_to_end(ctx: &mut StepContext<'_>, mut work: Work<'_>) -> Result<WorkOutcome, StepError> {
    let attempt = attempt_number(ctx);
    let unit = unit(ctx, work.name)?;
    let status = ctx.recorder.output_path(&format!("{}-{attempt}.status", work.name));
    let log = log_path(ctx, work.name);
    let limit_of_time = deadline::of(&work.task, ctx.settings);

    let mut began = ctx.run().attempt.as_ref().map_or_else(|| ctx.host.clock.now(), |attempt| attempt.began);
    match ctx.host.work.look(&unit).await {
        WorkLook::NotLoaded | WorkLook::NoWork => {
            let (argv, environment) = work.task.command(ctx.host)?;
            let newly_limited = limit(ctx, &work.step).await?;
            let wants_status = argv.iter().any(|arg| arg.contains(WorkSpec::STATUS_FD));
            let spec = WorkSpec {
                unit: unit.clone(),
                description: work.description.clone(),
                argv,
                environment,
                is_pinned: true,
                is_sandboxed: false,
                nice: ctx.settings.limits.nice,
                log,
                status: wants_status.then(|| status.clone()),
                timeout: limit_of_time.map(|(limit, _)| limit),
            };
            began = ctx.host.clock.now();
            ctx.host.work.start(&spec).await?;
            if newly_limited {
                limits::tell_unless_enforced(ctx).await;
            }
        }
        WorkLook::Running => {
            if let Some(stood) = standstill::recorded(ctx) {
                return Err(stood);
            }
            ctx.events.emit(EventKind::StepAttached { step: work.step.clone() });
        }
        WorkLook::Exited(_) => {}
        WorkLook::Unknown(why) => return Err(unknown(&unit, &why)),
    }
    let outcome = follow(ctx, &mut work, began, &unit, &status).await?;
    ctx.ended_work.push(unit);
    match limit_of_time {
        Some((limit, key)) if outcome.result == TIMEOUT => {
            let description = work.description.trim_start_matches("Patchday: ");
            let why = deadline::overtime(description, limit, key);
            Err(StepError::Failed(format!("{why}{}", words(ctx, work.name).await)))
        }
        _ => Ok(outcome),
    }
}

/// A repair must go on without limits rather than not at all; everything else waits until they can be set.
async fn limit(ctx: &mut StepContext<'_>, step: &Step) -> Result<bool, StepError> {
    match limits::ensure(ctx).await {
        Err(StepError::Failed(why)) if *step == Step::Repair => {
            ctx.note(format!("the repair runs without limits: {why}"));
            Ok(false)
        }
        limited => limited,
    }
}

/// Whether this attempt's work was begun, by a coordinator that is gone. Then only its end counts: what the host looks like
/// half way says nothing.
pub(super) async fn has_begun(ctx: &StepContext<'_>, name: &str) -> Result<bool, StepError> {
    let unit = unit(ctx, name)?;
    match ctx.host.work.look(&unit).await {
        WorkLook::NotLoaded | WorkLook::NoWork => Ok(false),
        WorkLook::Running | WorkLook::Exited(_) => Ok(true),
        WorkLook::Unknown(why) => Err(unknown(&unit, &why)),
    }
}

fn unknown(unit: &UnitName, why: &str) -> StepError {
    StepError::Failed(format!("{unit}: systemd does not say whether it runs: {why}"))
}

/// Waits for work that was left to itself, as far as it goes on; none if it has ended and is forgotten.
pub(super) async fn follow_left(
    ctx: &mut StepContext<'_>,
    stood: &Standstill,
) -> Result<Option<WorkOutcome>, StepError> {
    let Some(unit) = work_unit(&ctx.run().id, &stood.work, stood.attempt) else { return Ok(None) };
    match ctx.host.work.look(&unit).await {
        WorkLook::Running | WorkLook::Exited(_) => {}
        WorkLook::NotLoaded | WorkLook::NoWork => return Ok(None),
        WorkLook::Unknown(why) => return Err(unknown(&unit, &why)),
    }
    let status = ctx.recorder.output_path(&format!("{}-{}.status", stood.work, stood.attempt));
    let mut work = Work {
        step: Step::Repair,
        name: &stood.work,
        description: String::new(),
        task: Task::Packages(PackageWork::Configure),
        course: Course::counted((0.0, 0.0)),
    };
    let now = ctx.host.clock.now();
    let outcome = follow(ctx, &mut work, now, &unit, &status).await?;
    ctx.ended_work.push(unit);
    Ok(Some(outcome))
}

async fn follow(
    ctx: &mut StepContext<'_>,
    work: &mut Work<'_>,
    began: Timestamp,
    unit: &UnitName,
    status: &Path,
) -> Result<WorkOutcome, StepError> {
    let mut offset = 0;
    let mut told_unknown = false;
    let mut meter = Meter::default();
    let mut watch = Watch::new(ctx.host.clock.now());
    let limit = deadline::of(&work.task, ctx.settings);
    let mut time =
        limit.map(|limit| Deadline::new(work.step.clone(), &work.description, began, ctx.host.clock.now(), limit));
    loop {
        let look = ctx.host.work.look(unit).await;
        if let Ok((text, next)) = ctx.host.work.read_since(status, offset).await {
            if next != offset {
                watch.heard(ctx.host.clock.now());
            }
            offset = next;
            for line in text.lines().filter_map(|line| work.task.progress(ctx.host, line)) {
                work.course.hear(&line);
            }
            if let Some(news) = work.course.news(ctx.host.clock.now().duration_since(began)) {
                if let Some(time) = &mut time {
                    time.hear(ctx.host.clock.now(), news.fraction);
                }
                ctx.events.emit(EventKind::StepProgressed {
                    step: work.step.clone(),
                    fraction: news.fraction,
                    remaining: news.remaining,
                    message: news.message,
                });
            }
        }
        match look {
            WorkLook::Running => {
                told_unknown = false;
                meter.look(ctx).await;
                if let Some(time) = &mut time {
                    time.look(ctx, unit).await?;
                }
                if let Some(waiting) = watch.look(ctx, &work.step, unit).await {
                    return Err(watch.leave(ctx, &work.step, work.name, &waiting));
                }
                if let Task::Packages(what) = &work.task {
                    package_locks::queue_behind(ctx, what, unit).await?;
                }
            }
            WorkLook::Exited(outcome) => return Ok(outcome),
            WorkLook::NotLoaded | WorkLook::NoWork => {
                return Err(StepError::Failed(format!("{unit} is gone, and with it the outcome of its work")));
            }
            // The bus is away (systemd or dbus is being upgraded): the work goes on without us, so we wait.
            WorkLook::Unknown(why) if !told_unknown => {
                told_unknown = true;
                ctx.note(format!("systemd does not answer ({why}); the work goes on, and so does the wait"));
            }
            WorkLook::Unknown(_) => {}
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}

/// The failure of work that ran, with the words of its own log.
pub(super) async fn failure(ctx: &StepContext<'_>, name: &str, outcome: &WorkOutcome) -> StepError {
    let ending = match (outcome.exit_status, outcome.result.as_str()) {
        (Some(status), _) => format!("exit status {status}"),
        (None, result) => format!("result {result}"),
    };
    let (said, log) = (said(ctx, name).await, log_path(ctx, name));
    let said = if said.is_empty() { String::new() } else { format!("{said}; ") };
    StepError::Failed(format!("{said}{name} ended with {ending} (whole output: {})", log.display()))
}
