//! What became of the programs that the run called.

use super::{Mark, Page};
use crate::model::{HookPolicy, HookRun, Outcome, Step};
use crate::report::Report;
use crate::report::words::{between, duration, one_line};

pub(super) fn section(report: &Report, page: &Page<'_>) -> Vec<String> {
    let lines = |call: &HookRun| {
        let mark = match &call.end {
            None => Mark::Current,
            Some(end) if end.outcome == Outcome::Succeeded => Mark::Done,
            Some(_) if call.is_fatal() => Mark::Failed,
            Some(_) if call.problem().is_some() => Mark::Warning,
            Some(_) => Mark::Note,
        };
        let said = call.end.iter().flat_map(|end| &end.lines).flat_map(|line| page.style.wrap(&one_line(line), 6));
        let mut lines = page.marked(mark, &call_words(call));
        lines.extend(said);
        lines
    };
    report.hooks.iter().flat_map(lines).collect()
}

/// One call in words.
pub(in crate::report) fn call_words(call: &HookRun) -> String {
    let place = match &call.step {
        Step::Hook(hook) => hook.point.name().to_owned(),
        step => step.title(),
    };
    let Some(end) = &call.end else { return format!("{place}: {}: at work", call.program) };
    let took = between(call.began, end.at).map(|took| format!(" in {}", duration(took))).unwrap_or_default();
    let ended = match (end.outcome, &end.why) {
        (Outcome::Succeeded, _) => format!("succeeded{took}"),
        (_, Some(why)) => one_line(why),
        (_, None) => "did not succeed".to_owned(),
    };
    let policy = match call.policy {
        _ if end.outcome == Outcome::Succeeded => "",
        HookPolicy::MustSucceed => " (it must succeed)",
        HookPolicy::Warn => "",
        HookPolicy::Ignore => " (not minded)",
    };
    format!("{place}: {}: {ended}{policy}", call.program)
}
