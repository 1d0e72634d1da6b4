//! `patchday status`: what runs, since when, what is held, what happens next.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Mark, Paint, Style};
use crate::events::Event;
use crate::model::{Change, Outcome, Owed, Phase, Restart, Run, Step};
use crate::report::ahead::{Told, ahead};
use crate::report::words::{count, instant, list, one_line, running};
use crate::report::{self, owed, telling};

const RESUME: &str = "patchday resume";
const NOBODY_AT_WORK: &str = "no coordinator is at work: patchday resume goes on with the run";
const BETWEEN: &str = "between two steps";

/// The status of a run: while it is open, where it stands; afterwards, how it ended.
#[derive(Debug, Clone, Copy)]
pub struct Status<'a> {
    pub run: &'a Run,
    /// What it has told so far; only of an open one.
    pub timeline: &'a [Event],
    /// What it had left changed, and a later boot has undone.
    pub undone: &'a [Change],
    /// What the boot that runs owes.
    pub owed: &'a [Owed],
    /// Open, and nothing goes on unless somebody resumes it.
    pub abandoned: bool,
    pub now: Timestamp,
    /// Whose clock it shows.
    pub zone: &'a TimeZone,
}

pub fn render(status: &Status<'_>, style: &Style) -> String {
    let Status { run, timeline, undone, owed, abandoned, now, zone } = *status;
    let mut lines = vec![format!(
        "{} {} on {}",
        style.paint(Paint::Strong, "patchday"),
        run.id,
        style.paint(Paint::Strong, &run.host)
    )];
    lines.push(String::new());
    if run.is_open() {
        if abandoned {
            lines.extend(style.marked(Mark::Failed, NOBODY_AT_WORK));
            lines.push(String::new());
            lines.extend(style.field("left at", &left_words(run, now)));
        } else {
            lines.extend(at_work(run, timeline, now, style));
        }
        lines.extend(style.field(
            "began",
            &format!("{}, {} ago", instant(run.planned, zone), running(now.duration_since(run.planned))),
        ));
        lines.extend(style.field("so far", run.phase.name()));
        lines.extend(style.field("steps", &steps_words(run)));
    } else {
        lines.extend(summary(run, now, zone, style));
    }
    lines.extend(changed(run, undone, style));
    if let Some(words) = owed::told(owed, zone) {
        let lines_of_it = style.field("boot owed", &words);
        lines.extend(lines_of_it.iter().map(|line| style.paint(Paint::Warn, line)));
    }
    if let Some(abort) = run.abort.as_ref().filter(|_| run.is_open()) {
        lines.extend(
            style.field("abort", &format!("asked for by {} at {}", one_line(&abort.by), instant(abort.at, zone))),
        );
    }
    let next = if abandoned { RESUME.to_owned() } else { next(run) };
    lines.extend(style.field("next", &next));
    lines.join("\n") + "\n"
}

/// What is said where no run was ever made.
pub fn render_none() -> String {
    "no run yet\n".to_owned()
}

fn summary(run: &Run, now: Timestamp, zone: &TimeZone, style: &Style) -> Vec<String> {
    // The summary of a closed run does not depend on its events, except for one duration.
    let report = report::build(run, &[], now);
    let (mark, _) = report::grade(report.ending, report.verdict);
    let mut lines = style.marked(mark, &report.summary.to_string());
    lines.push(String::new());
    if let Some(closing) = run.closed {
        let ago = running(now.duration_since(closing.at));
        lines.extend(style.field("ended", &format!("{}, {ago} ago", instant(closing.at, zone))));
        lines.extend(style.field("exit code", &closing.exit_code.to_string()));
    }
    lines
}

/// What is under way, and how far it is.
fn at_work(run: &Run, timeline: &[Event], now: Timestamp, style: &Style) -> Vec<String> {
    let ahead = ahead(run, timeline, now);
    let mut lines = style.field("now", &now_words(run, ahead.step.as_ref(), now));
    if let Some((fraction, left)) = ahead.whole {
        lines.extend(style.field("in all", &telling::progress(Some(fraction), Some(left), "")));
    }
    lines
}

/// Where the coordinator was when it ended. What it had told of its progress no longer moves.
fn left_words(run: &Run, now: Timestamp) -> String {
    match &run.attempt {
        Some(attempt) => {
            let ago = running(now.duration_since(attempt.began));
            format!("{}, begun {ago} ago and not finished", attempt.step.title())
        }
        None => BETWEEN.to_owned(),
    }
}

fn now_words(run: &Run, told: Option<&Told>, now: Timestamp) -> String {
    match &run.attempt {
        Some(attempt) => {
            let since = running(now.duration_since(attempt.began));
            let again = if attempt.number > 1 { format!(", attempt {}", attempt.number) } else { String::new() };
            let told = told.map(|told| telling::progress(told.fraction, told.remaining, &told.message));
            let told = told.filter(|told| !told.is_empty()).map(|told| format!(": {told}")).unwrap_or_default();
            format!("{}{again}, for {since}{told}", attempt.step.title())
        }
        None => BETWEEN.to_owned(),
    }
}

fn steps_words(run: &Run) -> String {
    let finished = run.steps.iter().filter(|step| run.has_finished(step)).count();
    let mut words = format!("{finished} of {} finished", run.steps.len());
    let troubled = run.history.iter().filter(|record| !matches!(record.outcome, Outcome::Succeeded | Outcome::Skipped));
    let troubled: Vec<String> = troubled.map(|record| record.attempt.step.title()).collect();
    if !troubled.is_empty() {
        words.push_str(&format!("; not to their end: {}", list(troubled)));
    }
    words
}

fn changed(run: &Run, undone: &[Change], style: &Style) -> Vec<String> {
    let mut words = match run.changes.as_slice() {
        [] => "nothing that is left to undo".to_owned(),
        left => telling::changes(left),
    };
    if !undone.is_empty() {
        words.push_str(&format!("; a boot since then has undone {}", telling::changes(undone)));
    }
    let mut lines = style.field("changed", &words);
    if run.changes.is_empty() {
        return lines;
    }
    if !run.is_open() {
        lines.push(format!("  {} {}", style.mark(Mark::Failed), "a run that has ended must leave nothing changed"));
    }
    lines
}

/// What happens next, as far as the record tells; what is decided in the end depends on the host.
fn next(run: &Run) -> String {
    if !run.is_open() {
        return if run.changes.is_empty() { "patchday report" } else { RESUME }.to_owned();
    }
    if run.abort.is_some() && !run.phase.is_final() {
        return "the services are brought back, unless the reboot has been asked for".to_owned();
    }
    if matches!(run.phase, Phase::Failed { .. } | Phase::Aborted { .. }) {
        return "the host is brought to safety, then the run ends".to_owned();
    }
    match run.awaits() {
        Some(Restart::Soft) => {
            return "all but the kernel is started anew (soft reboot), and the run goes on by itself behind it"
                .to_owned();
        }
        Some(Restart::Kexec) => {
            return "the host reboots by kexec, and the run goes on by itself on the next boot".to_owned();
        }
        Some(Restart::Full) => return "the host reboots, and the run goes on by itself on the next boot".to_owned(),
        None => {}
    }
    let current = run.attempt.as_ref().map(|attempt| &attempt.step);
    let to_come: Vec<&Step> =
        run.steps.iter().filter(|step| !run.has_finished(step) && Some(*step) != current).collect();
    match to_come.as_slice() {
        [] => "the run ends".to_owned(),
        [only] => only.title(),
        [first, rest @ ..] => format!("{}, then {}", first.title(), count(rest.len(), "more step")),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::model::{Abort, BootReason};
    use crate::report::sample::{Story, at, boot, snapshots, unit};

    #[test]
    fn the_status_says_what_runs_what_is_held_and_what_comes() {
        let mut open = Story::new();
        open.prepare();
        open.stop("sample-api.service", 0.3);
        open.run.changes = vec![Change::Held(unit("sample-api.service")), Change::Stopped(unit("sample-api.service"))];
        open.begin(Step::stop(unit("mongod.service")));
        let mut aborting = Story::new();
        aborting.prepare();
        aborting.begin(Step::Upgrade);
        aborting.progress(4.0, Some(0.62), "libssl3");
        aborting.run.abort = Some(Abort { by: "root on pts/0".into(), at: at(20.0) });
        let mut waiting = Story::patched();
        waiting.reboot();
        waiting.run.phase = Phase::RebootRequested;
        let mut leftover = Story::new();
        leftover.prepare();
        leftover.fail(Step::stop(unit("mongod.service")), 10.0, "mongod.service did not stop within 10 s");
        leftover.close(21);
        leftover.run.changes = vec![Change::Held(unit("mongod.service"))];
        let mut booted = leftover.clone();
        let mut owing = Story::healthy();
        let reason = BootReason::OldCode { by: "dbus.service".into(), passing: false };
        owing.run.owed = vec![Owed { since: at(40.0), reason }];
        let undone = booted.run.strike_out_undone_by(&boot(9));
        let mut abandoned = aborting.clone();
        abandoned.run.changes = open.run.changes.clone();
        snapshots(|| {
            for (name, story, undone) in [
                ("open", open, vec![]),
                ("aborting", aborting, vec![]),
                ("waiting", waiting, vec![]),
                ("abandoned", abandoned, vec![]),
                ("closed", Story::healthy(), vec![]),
                ("leftover", leftover, vec![]),
                ("boot_owed", owing, vec![]),
                ("undone_by_boot", booted, undone),
            ] {
                assert_snapshot!(
                    format!("status_{name}"),
                    render(
                        &Status {
                            run: &story.run,
                            timeline: &story.events,
                            undone: &undone,
                            owed: &story.run.owed,
                            abandoned: name == "abandoned",
                            now: at(100.0),
                            zone: &TimeZone::UTC,
                        },
                        &Style::plain()
                    )
                );
            }
        });
    }
}
