//! What became of the programs that the run called.

use super::{Mark, Page};
use crate::model::{HookRun, Outcome};
use crate::report::words::one_line;
use crate::report::{Report, phrases};

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
        let mut lines = page.marked(mark, &phrases::call_words(call));
        lines.extend(said);
        lines
    };
    report.hooks.iter().flat_map(lines).collect()
}
