//! `patchday logs`: what the work of a run has said.

use super::app::{App, no_run};
use super::args::{LogsArgs, RunName};
use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::model::RunId;
use crate::report::words::list;

pub(super) fn logs(app: &App, args: &LogsArgs) -> Result<u8, Failure> {
    let (run, step) = args.run_and_step()?;
    let id = app.pick_run(run.as_ref())?.ok_or_else(no_run)?;
    let all = app.state.outputs(&id)?;
    let wanted: Vec<&String> = all.iter().filter(|name| step.is_none_or(|step| name.starts_with(step))).collect();
    if wanted.is_empty() {
        return Err(nothing(&id, step, &all));
    }
    let mut lines = Vec::new();
    for name in &wanted {
        if wanted.len() > 1 {
            lines.push(format!("==> {name} <=="));
        }
        lines.extend(app.state.output(&id, name)?);
    }
    app.show(&(lines.join("\n") + "\n"))?;
    Ok(exit_code::DONE)
}

fn nothing(id: &RunId, step: Option<&str>, all: &[String]) -> Failure {
    let of = step.map(|step| format!(" of {step}")).unwrap_or_default();
    let failure = Failure::new(FailureKind::Usage, format!("run {id} has no output{of}"));
    match all {
        [] => failure.hint("patchday history"),
        all => failure.hint(format!("it has output of {}", list(all))),
    }
}

impl LogsArgs {
    /// A single word names a run if it can, and a step otherwise.
    fn run_and_step(&self) -> Result<(Option<RunName>, Option<&str>), Failure> {
        let (first, second) = (self.run.as_deref(), self.step.as_deref());
        match (first.map(str::parse::<RunName>), second) {
            (None, _) => Ok((None, None)),
            (Some(Ok(run)), step) => Ok((Some(run), step)),
            (Some(Err(_)), None) => Ok((None, first)),
            (Some(Err(wrong)), Some(_)) => Err(Failure::new(FailureKind::Usage, wrong).hint("patchday history")),
        }
    }
}
