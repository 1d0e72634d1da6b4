use std::io::{ErrorKind, Result};

use indicatif::{InMemoryTerm, ProgressDrawTarget, TermLike};
use insta::assert_snapshot;
use jiff::Timestamp;

use super::{Bars, Screen};
use crate::events::{Event, EventKind};
use crate::model::{Finding, FindingKey, Severity, Step, Verdict};
use crate::report::Style;
use crate::report::sample::{self, Story, back, unit};
use crate::ui::View;

/// A terminal whose window was closed.
#[derive(Debug)]
struct DeadTerminal;

impl TermLike for DeadTerminal {
    fn width(&self) -> u16 {
        80
    }

    fn move_cursor_up(&self, _: usize) -> Result<()> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn move_cursor_down(&self, _: usize) -> Result<()> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn move_cursor_right(&self, _: usize) -> Result<()> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn move_cursor_left(&self, _: usize) -> Result<()> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn write_line(&self, _: &str) -> Result<()> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn write_str(&self, _: &str) -> Result<()> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn clear_line(&self) -> Result<()> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&self) -> Result<()> {
        Err(ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_dead_terminal_does_not_disturb_the_view() {
    let screen = Screen::new(ProgressDrawTarget::term_like(Box::new(DeadTerminal)), || 80);
    let mut view = Bars::new(screen, Style::plain(), clock);
    for event in &Story::healthy().events {
        view.event(event);
    }
    view.finish();
}

/// A clock that stands still, a second after the upgrade's first progress.
fn clock() -> Timestamp {
    sample::at(17.0)
}

fn show(events: &[Event], finish: bool) -> String {
    let terminal = InMemoryTerm::new(60, 80);
    let screen = Screen::new(ProgressDrawTarget::term_like(Box::new(terminal.clone())), || 80);
    let mut view = Bars::new(screen, Style::plain(), clock);
    for event in events {
        view.event(event);
    }
    if finish {
        view.finish();
    }
    let contents = terminal.contents();
    view.finish();
    contents
}

#[test]
fn finished_steps_are_lines_and_the_current_one_is_a_bar() {
    let events = Story::healthy().events;
    let progress = |event: &Event| matches!(event.kind, EventKind::StepProgressed { .. });
    let until = events.iter().position(progress).unwrap();
    sample::snapshots(|| {
        assert_snapshot!("bars_in_the_middle", show(&events[..=until], false));
        let stopping = events.iter().position(|event| matches!(event.kind, EventKind::ServiceStopped { .. })).unwrap();
        assert_snapshot!("bars_spinner", show(&events[..=stopping], false));
        assert_snapshot!("bars_left", show(&events[..=until], true));
        assert_snapshot!("bars_at_the_end", show(&events, true));
    });
}

#[test]
fn the_bar_follows_the_width_of_the_terminal() {
    let events = Story::healthy().events;
    let until = events.iter().position(|event| matches!(event.kind, EventKind::StepProgressed { .. })).unwrap();
    let rows = [60, 80, 120].map(|columns: u16| {
        let terminal = InMemoryTerm::new(60, columns);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let mut view = Bars::new(Screen::new(target, move || columns.into()), Style::plain(), clock);
        for event in &events[..=until] {
            view.event(event);
        }
        let last = terminal.contents().lines().last().unwrap_or_default().to_owned();
        view.finish();
        last
    });
    sample::snapshots(|| assert_snapshot!("bars_widths", rows.join("\n")));
}

#[test]
fn a_failure_is_told_in_full_and_findings_stand_below_the_verdict() {
    let mut failed = Story::new();
    failed.prepare();
    let reason = "sample-api.service did not stop within 10 s: 1 process is left in its control group";
    failed.fail(Step::stop(unit("sample-api.service")), 10.0, reason);
    failed.restore(&["sample-api.service"]);
    failed.close(21);
    let mut degraded = Story::patched();
    degraded.reboot();
    let finding = Finding::new(
        FindingKey::labelled("new-failed-unit"),
        Severity::Warning,
        "logrotate.service failed, and had not before",
    );
    degraded.verify(Verdict::Degraded, vec![finding], vec![back("mongod.service", 4.1, 4.9)]);
    sample::snapshots(|| {
        assert_snapshot!("bars_failed", show(&failed.events, true));
        assert_snapshot!("bars_degraded", show(&degraded.events, true));
    });
}

#[test]
fn a_view_that_comes_in_late_shows_what_it_sees() {
    let events = Story::healthy().events;
    let resumed = events.iter().position(|event| matches!(event.kind, EventKind::RunResumed { .. })).unwrap();
    sample::snapshots(|| assert_snapshot!("bars_after_the_reboot", show(&events[resumed..], true)));
}

#[test]
fn a_coordinator_that_goes_on_keeps_the_row_and_another_attempt_gets_its_own() {
    let mut story = Story::new();
    story.begin(Step::Upgrade);
    story.progress(4.0, Some(0.62), "libssl3");
    story.tell(EventKind::RunResumed {
        boot: sample::boot(1),
        phase: "services stopped".into(),
        decision: "attach".into(),
    });
    story.tell(EventKind::StepStarted { step: Step::Upgrade, attempt: 1 });
    story.tell(EventKind::StepAttached { step: Step::Upgrade });
    story.progress(1.0, Some(0.3), "libssl3");
    let kept = show(&story.events, false);
    story.tell(EventKind::StepStarted { step: Step::Upgrade, attempt: 2 });
    story.progress(1.0, Some(0.1), "libssl3");
    let other = show(&story.events, false);
    sample::snapshots(|| {
        assert_snapshot!("bars_attached", kept);
        assert_snapshot!("bars_again", other);
    });
}

#[test]
fn the_output_stands_below_the_bar_until_it_is_hidden() {
    let events = Story::healthy().events;
    let until = events.iter().position(|event| matches!(event.kind, EventKind::StepProgressed { .. })).unwrap();
    let terminal = InMemoryTerm::new(60, 80);
    let screen = Screen::new(ProgressDrawTarget::term_like(Box::new(terminal.clone())), || 80);
    let mut view = Bars::new(screen, Style::plain(), clock);
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
    for event in &events[..until] {
        view.event(event);
    }
    view.output(Some(&lines(&["Preparing to unpack \u{1b}[31mred", &"long ".repeat(40)])));
    assert!(terminal.contents().contains("Preparing to unpack"), "{}", terminal.contents());
    view.output(Some(&lines(&["Setting up perl"])));
    for event in &events[until..] {
        view.event(event);
        let contents = terminal.contents();
        assert!(contents.trim_end().ends_with("│ Setting up perl"), "{contents}");
        assert!(!contents.contains("Preparing to unpack"), "{contents}");
    }
    view.output(None);
    assert!(!terminal.contents().contains("Setting up perl"), "{}", terminal.contents());
    view.output(Some(&[]));
    assert!(terminal.contents().contains("no output yet"));
    view.finish();
    assert!(!terminal.contents().contains("no output yet"));
}
