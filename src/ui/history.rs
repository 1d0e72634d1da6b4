//! `patchday history`: one line for each run, the newest first.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::{Answer, Paint, Style};
use crate::report::words::{between, duration, minute};
use crate::report::{self, ReportSummary};

/// Version of the shape of `patchday history --json`.
pub const FORMAT: u32 = 1;

/// Columns that the table takes at least.
const TABLE: usize = 73;

#[derive(Debug, Clone, Serialize)]
pub struct History {
    /// Version of this shape.
    pub format: u32,
    /// One row for each run, in the order in which they are shown.
    pub runs: Vec<ReportSummary>,
    /// Whose clock the text shows.
    #[serde(skip)]
    pub zone: TimeZone,
}

impl Answer for History {
    fn render(&self, style: &Style) -> String {
        if self.runs.is_empty() {
            return "no run yet\n".to_owned();
        }
        if style.width < TABLE {
            let blocks = self.runs.iter().flat_map(|run| block(run, &self.zone, style));
            return blocks.collect::<Vec<_>>().join("\n") + "\n";
        }
        let head = format!("    {:<20}  {:<21}  {:>10}  {:>4}  {}", "began", "run", "took", "exit", "result");
        let mut lines = vec![style.paint(Paint::Dim, &head)];
        lines.extend(self.runs.iter().map(|run| row(run, &self.zone, style)));
        lines.join("\n") + "\n"
    }
}

fn row(run: &ReportSummary, zone: &TimeZone, style: &Style) -> String {
    let took = took(run).unwrap_or("-".to_owned());
    let code = run.exit_code.map_or("-".to_owned(), |code| code.to_string());
    let began = minute(run.began, zone);
    let head = format!(
        "  {} {began:<20}  {:<21}  {took:>10}  {code:>4}  ",
        style.mark(report::grade(run.ending, run.verdict).0),
        run.run.as_str()
    );
    let room = style.width.saturating_sub(console::measure_text_width(&head));
    let summary = run.summary.to_string();
    // On a narrow screen the sentence goes below; what came of a run is what the reader looks for.
    if room < 40 {
        let below = style.cut(&summary, style.width.saturating_sub(6));
        return format!("{}\n      {below}", head.trim_end());
    }
    format!("{head}{}", style.cut(&summary, room))
}

/// The same where no row has room.
fn block(run: &ReportSummary, zone: &TimeZone, style: &Style) -> Vec<String> {
    let code = run.exit_code.map(|code| format!(", exit {code}")).unwrap_or_default();
    let mut lines = style.marked(report::grade(run.ending, run.verdict).0, &format!("{}{code}", run.run));
    let took = took(run).map(|took| format!(", {took}")).unwrap_or_default();
    lines.extend(style.wrap(&format!("{}{took}", minute(run.began, zone)), 6));
    lines.extend(style.wrap(&style.cut(&run.summary.to_string(), 2 * style.width.saturating_sub(8)), 6));
    lines
}

fn took(run: &ReportSummary) -> Option<String> {
    run.ended.and_then(|ended| between(run.began, ended)).map(duration)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::model::Step;
    use crate::report::sample::{Story, snapshots};

    #[test]
    fn the_history_is_a_table() {
        let mut failed = Story::new();
        failed.fail(Step::Preflight, 0.4, "1 blocker: dpkg was interrupted");
        failed.close(20);
        let mut open = Story::new();
        open.begin(Step::Fetch);
        let runs = [open, failed, Story::healthy()].map(|story| story.report().summarised()).into();
        let mut history = History { format: FORMAT, runs, zone: TimeZone::UTC };
        snapshots(|| {
            assert_snapshot!("history", history.render(&Style::plain()));
            let narrow = history.render(&Style { width: 40, ..Style::plain() });
            assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
            assert_snapshot!("history_narrow", narrow);
            assert_snapshot!("history_wide", history.render(&Style { width: 120, ..Style::plain() }));
        });
        history.runs.clear();
        assert_eq!(history.render(&Style::plain()), "no run yet\n");
    }
}
