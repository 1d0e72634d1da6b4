//! The views of lines, fed with whole runs.

use std::io::{Error, ErrorKind, Result, Write};
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;

use super::{JsonLines, Lines, StatusLine, Style, Systemd, View};
use crate::events::{Event, EventKind};
use crate::model::{Outcome, Step};
use crate::report::sample::{self, Story};

/// A stream that somebody reads later.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A pipe whose reader has gone.
struct ClosedPipe;

impl Write for ClosedPipe {
    fn write(&mut self, _: &[u8]) -> Result<usize> {
        Err(Error::from(ErrorKind::BrokenPipe))
    }

    fn flush(&mut self) -> Result<()> {
        Err(Error::from(ErrorKind::BrokenPipe))
    }
}

#[derive(Clone, Default)]
struct FakeStatus(Arc<Mutex<Vec<String>>>);

impl StatusLine for FakeStatus {
    fn set(&mut self, status: &str) {
        self.0.lock().unwrap().push(status.to_owned());
    }
}

fn feed(mut view: impl View, events: &[Event]) {
    for event in events {
        view.event(event);
    }
    view.finish();
}

fn lines(events: &[Event]) -> String {
    let sink = Sink::default();
    feed(Lines::new(sink.clone(), Style::plain()), events);
    sink.text()
}

#[test]
fn a_pipe_gets_one_line_for_each_event() {
    sample::snapshots(|| assert_snapshot!("lines_healthy", lines(&Story::healthy().events)));
}

#[test]
fn a_view_that_comes_in_late_goes_on_with_the_clock_of_the_run() {
    let events = Story::healthy().events;
    let resumed = events.iter().position(|event| matches!(event.kind, EventKind::RunResumed { .. })).unwrap();
    let late = lines(&events[resumed..]);
    assert!(late.starts_with("00:00:42  the run goes on"), "{late}");
    assert!(lines(&events).ends_with(&late));
}

#[test]
fn progress_gets_a_line_at_each_tenth_and_seldom_for_a_message() {
    let mut story = Story::new();
    story.begin(Step::Upgrade);
    for percent in 0..=100 {
        // Ten a second: only the tenths are news.
        story.progress(0.1, Some(f64::from(percent) / 100.0), &format!("package {percent}"));
    }
    // Backwards is no news, and messages alone are news every few seconds.
    for second in 0..12 {
        story.progress(1.0, Some(0.5), &format!("trigger {second}"));
    }
    story.end(0.0, Outcome::Succeeded, "");
    sample::snapshots(|| assert_snapshot!("lines_progress", lines(&story.events)));
}

#[test]
fn a_service_gets_lines_with_priorities_and_a_status() {
    let (sink, status) = (Sink::default(), FakeStatus::default());
    let mut story = Story::patched();
    story.reboot();
    story.fail(Step::Verify, 3.0, "systemd does not answer");
    story.close(23);
    feed(Systemd::new(sink.clone(), status.clone()), &story.events);
    sample::snapshots(|| {
        assert_snapshot!("systemd_lines", sink.text());
        assert_snapshot!("systemd_status", status.0.lock().unwrap().join("\n"));
    });
}

#[test]
fn the_view_for_programs_gives_the_events_themselves() {
    let (sink, events) = (Sink::default(), Story::healthy().events);
    feed(JsonLines::new(sink.clone()), &events);
    let read: Vec<Event> = sink.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, events);
}

#[test]
fn a_closed_pipe_does_not_disturb_a_view() {
    let events = Story::healthy().events;
    feed(Lines::new(ClosedPipe, Style::plain()), &events);
    feed(JsonLines::new(ClosedPipe), &events);
    let status = FakeStatus::default();
    feed(Systemd::new(ClosedPipe, status.clone()), &events);
    assert!(!status.0.lock().unwrap().is_empty(), "the status is told although nobody reads the lines");
}
