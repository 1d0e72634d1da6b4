//! Call a program of the administrator: as root, without a shell, in a unit of its own, within a time.
//!
//! A call is recorded before it is made, and is never made twice: where its outcome is lost, it counts as interrupted.

use std::path::Path;

use jiff::SignedDuration;

use super::stay::reason_to_stay;
use super::work::LOOK_EVERY;
use super::{StepContext, StepEnd, StepError, StepResult, package_locks, task};
use crate::events::EventKind;
use crate::model::spoken::exactly;
use crate::model::{
    Fact, Hook, HookEnd, HookId, HookPoint, HookPolicy, HookRun, Outcome, Step, UnitName, WorkLook, WorkOutcome,
    WorkSpec,
};

/// How much of what a program wrote is kept in the run; all of it is in its log.
const LINES: usize = 10;
const LINE_LENGTH: usize = 200;

/// How much a program may write before it is ended: its log is where the state is, and must leave room for it.
const MOST_WRITTEN: u64 = 64 * 1024 * 1024;

pub(super) async fn perform(ctx: &mut StepContext<'_>, id: HookId) -> StepResult {
    let reason = (id.point == HookPoint::BeforeReboot).then(|| reason_to_stay(ctx)).flatten();
    if reason.is_some() {
        return Ok(StepEnd::Skipped("no reboot follows".into()));
    }
    // It may work on packages itself. What it leaves is looked at before the reboot is asked for.
    package_locks::give_up(ctx).await?;
    let hook = ctx.settings.hook(id).cloned();
    let hook = hook.ok_or_else(|| StepError::Failed(format!("hook {id} is not in the run's settings")))?;
    let name = format!("hook-{}-{}", id.point.name(), id.number);
    // A crash between the end of the call and the end of the step: its outcome is saved, and only that is left to tell.
    let ended = ctx.run().last_call(&Step::Hook(id)).and_then(|call| call.end.clone());
    let end = match ended {
        Some(end) => end,
        None => {
            let command = hook.command.clone();
            let Hook { timeout, policy, sandbox, .. } = hook;
            let point = id.point.name();
            call(ctx, &Call { name: &name, point, command: &command, timeout, policy, sandbox }).await?
        }
    };
    if end.outcome == Outcome::Succeeded {
        return Ok(StepEnd::Succeeded(end.lines.last().cloned()));
    }
    let why = format!("{}: {}", hook.command.first().map_or("", String::as_str), end.why.unwrap_or_default());
    match hook.policy {
        HookPolicy::MustSucceed => Err(StepError::Failed(why)),
        HookPolicy::Warn => Ok(StepEnd::Succeeded(Some(format!("{why}; the run goes on (policy \"warn\")")))),
        HookPolicy::Ignore => Ok(StepEnd::Succeeded(Some(why))),
    }
}

/// A call that is wanted.
pub(super) struct Call<'a> {
    /// Names its unit and its log.
    pub(super) name: &'a str,
    /// What the program is told of its place in the run.
    pub(super) point: &'a str,
    pub(super) command: &'a [String],
    /// How long it may run.
    pub(super) timeout: SignedDuration,
    /// What it means where it does not succeed.
    pub(super) policy: HookPolicy,
    /// Whether it is in the sandbox of hooks.
    pub(super) sandbox: bool,
}

impl Call<'_> {
    pub(super) fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }
}

/// Calls the program, or finds it running or ended, and waits for its end.
pub(super) async fn call(ctx: &mut StepContext<'_>, call: &Call<'_>) -> Result<HookEnd, StepError> {
    let unit = task::work_unit(&ctx.run().id, call.name, task::attempt_number(ctx))
        .ok_or_else(|| StepError::Failed(format!("{} names no unit", call.name)))?;
    let step = ctx.run().attempt.as_ref().map(|attempt| attempt.step.clone());
    let step = step.ok_or_else(|| StepError::Failed("no attempt is open".into()))?;
    let was_called = ctx.run().last_call(&step).is_some_and(|known| known.end.is_none());
    let end = match known_look(ctx, &unit).await {
        WorkLook::NotLoaded | WorkLook::NoWork if was_called => lost("its outcome is lost, and it is not run again"),
        WorkLook::NotLoaded | WorkLook::NoWork => {
            let distrust = ctx.host.system.distrust(call.command).await;
            let began = ctx.host.clock.now();
            let begun = HookRun { step, program: call.program().to_owned(), policy: call.policy, began, end: None };
            ctx.recorder.record(Fact::HookBegan(begun))?;
            match distrust {
                Ok(None) => match ctx.host.work.start(&spec(ctx, call, &unit)).await {
                    Ok(()) => follow(ctx, call, &unit).await,
                    Err(error) => failed(error.to_string()),
                },
                Ok(Some(why)) => failed(format!("not run: {why}")),
                Err(error) => failed(format!("not run: {error}")),
            }
        }
        _ => {
            ctx.events.emit(EventKind::StepAttached { step });
            follow(ctx, call, &unit).await
        }
    };
    let Ended { outcome, why, lines } = end;
    let end = HookEnd { at: ctx.host.clock.now(), outcome, why, lines };
    ctx.recorder.record(Fact::HookEnded(end.clone()))?;
    if let Some(made) = ctx.run().hooks.last() {
        ctx.events.emit(EventKind::HookEnded {
            step: made.step.clone(),
            program: made.program.clone(),
            outcome: end.outcome,
            why: end.why.clone(),
            lines: end.lines.clone(),
        });
    }
    ctx.ended_work.push(unit);
    Ok(end)
}

fn spec(ctx: &StepContext<'_>, call: &Call<'_>, unit: &UnitName) -> WorkSpec {
    let run = ctx.run();
    let verdict = run.verification.as_ref().map_or("", |verification| verification.verdict.name());
    let environment = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("PATCHDAY_RUN_ID", run.id.as_str()),
        ("PATCHDAY_POINT", call.point),
        ("PATCHDAY_HOST", run.host.as_str()),
        ("PATCHDAY_VERDICT", verdict),
    ];
    WorkSpec {
        unit: unit.clone(),
        description: format!("Patchday: {}", call.name),
        argv: call.command.to_vec(),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        is_pinned: false,
        is_sandboxed: call.sandbox,
        nice: 0,
        log: task::log_path(ctx, call.name),
        status: None,
        timeout: Some(call.timeout),
    }
}

/// Looks until it has ended: systemd ends it when its time is over.
async fn follow(ctx: &StepContext<'_>, call: &Call<'_>, unit: &UnitName) -> Ended {
    let log = task::log_path(ctx, call.name);
    loop {
        match ctx.host.work.look(unit).await {
            WorkLook::Running if writes_without_end(ctx, &log).await => {
                if let Err(error) = ctx.host.work.end(unit).await {
                    ctx.note(error.to_string());
                } else {
                    let lines = last_lines(&task::log_tail(ctx, call.name).await);
                    let mib = MOST_WRITTEN / 1024 / 1024;
                    return Ended { lines, ..failed(format!("it was ended, since it wrote more than {mib} MiB")) };
                }
            }
            WorkLook::Exited(outcome) => {
                let lines = last_lines(&task::log_tail(ctx, call.name).await);
                return Ended { lines, ..judged(&outcome, call.timeout) };
            }
            WorkLook::NotLoaded | WorkLook::NoWork => return lost("its unit is gone, and with it the outcome"),
            WorkLook::Running | WorkLook::Unknown(_) => {}
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}

/// A file that is shorter is read from its beginning.
async fn writes_without_end(ctx: &StepContext<'_>, log: &Path) -> bool {
    let read = ctx.host.work.read_since(log, MOST_WRITTEN).await;
    read.is_ok_and(|(_, read_to)| read_to > MOST_WRITTEN)
}

/// While the bus is away nothing is known, and nothing is done.
async fn known_look(ctx: &StepContext<'_>, unit: &UnitName) -> WorkLook {
    loop {
        match ctx.host.work.look(unit).await {
            WorkLook::Unknown(_) => ctx.host.clock.sleep(LOOK_EVERY).await,
            known => return known,
        }
    }
}

/// How a call ended, before the end is recorded.
struct Ended {
    outcome: Outcome,
    why: Option<String>,
    lines: Vec<String>,
}

fn failed(why: String) -> Ended {
    Ended { outcome: Outcome::Failed, why: Some(why), lines: Vec::new() }
}

fn lost(why: &str) -> Ended {
    Ended { outcome: Outcome::Interrupted, ..failed(why.to_owned()) }
}

fn judged(outcome: &WorkOutcome, timeout: SignedDuration) -> Ended {
    match (outcome.result.as_str(), outcome.exit_status) {
        _ if outcome.succeeded() => Ended { outcome: Outcome::Succeeded, why: None, lines: Vec::new() },
        ("timeout", _) => {
            failed(format!("it was ended, since it took longer than {timeout}", timeout = exactly(timeout)))
        }
        (_, Some(status)) => failed(format!("exit status {status}")),
        (result, None) => failed(format!("it ended with result {result}")),
    }
}

/// The end of what it wrote: whole lines, without what would command a terminal.
fn last_lines(text: &str) -> Vec<String> {
    let plain = |line: &str| line.chars().filter(|c| !c.is_control()).take(LINE_LENGTH).collect::<String>();
    let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_program_is_said_in_its_own_words() {
        for (result, status, outcome, why) in [
            ("success", Some(0), Outcome::Succeeded, ""),
            ("exit-code", Some(3), Outcome::Failed, "exit status 3"),
            ("timeout", None, Outcome::Failed, "took longer than 1 min 30 s"),
            ("timeout", Some(0), Outcome::Failed, "took longer than 1 min 30 s"),
            ("signal", None, Outcome::Failed, "result signal"),
            ("a-word-of-tomorrow", None, Outcome::Failed, "a-word-of-tomorrow"),
        ] {
            let seen = WorkOutcome { result: result.into(), exit_status: status, cpu_usec: None };
            let ended = judged(&seen, SignedDuration::from_secs(90));
            assert_eq!(ended.outcome, outcome, "{result}");
            assert!(ended.why.unwrap_or_default().contains(why), "{result}");
        }
    }

    #[test]
    fn of_what_it_wrote_the_last_lines_are_kept_and_none_commands_a_terminal() {
        let text = (1..=30).map(|number| format!("line {number}\n\n")).collect::<String>() + "\u{1b}[31mred\tend\n";
        let lines = last_lines(&text);
        assert_eq!(lines.len(), LINES);
        assert_eq!((lines[0].as_str(), lines[9].as_str()), ("line 22", "[31mredend"));
        assert_eq!(last_lines(&"x".repeat(1000))[0].len(), LINE_LENGTH);
        assert!(last_lines("").is_empty());
    }
}
