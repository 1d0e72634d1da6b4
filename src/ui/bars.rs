//! The view for a terminal: finished steps as lines, the current one as a bar.
//!
//! The row of the current step is a pure function of the events and an instant (`row.rs`); indicatif only puts it on
//! the screen, again and again, so that the seconds run. The sign in front moves with news and not with time: a sign
//! that turns by itself would tell that this program lives, and not that the work does.

mod row;
mod terminal;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use jiff::Timestamp;

use self::row::Current;
use self::terminal::{Size, Terminal};
use super::{Mark, Paint, Style, View};
use crate::events::{Event, EventKind};
use crate::model::{Outcome, Severity, Step, Verdict};
use crate::report::harmless::shown;
use crate::report::telling::{Tone, tell};
use crate::report::words;

/// How often the row is drawn again without news.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Drawings in a second, at most.
const DRAWINGS: u8 = 20;

/// Where bars are drawn, and how wide that is at the moment.
pub struct Screen {
    target: ProgressDrawTarget,
    width: Arc<dyn Fn() -> usize + Send + Sync>,
    terminal: Option<Terminal>,
}

impl Screen {
    /// The terminal behind stderr.
    pub fn stderr() -> Self {
        let stderr = console::Term::stderr();
        // Asked at every drawing, since a window may be resized at any time.
        let size: Size = Arc::new(move || stderr.size_checked());
        let terminal = Terminal::new(std::io::stderr(), Arc::clone(&size));
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), DRAWINGS);
        let width = move || size().map_or(Style::COLUMNS, |(_, columns)| usize::from(columns));
        Self { terminal: Some(terminal), ..Self::new(target, width) }
    }

    /// Another place to draw, and its width.
    pub fn new(target: ProgressDrawTarget, width: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        Self { target, width: Arc::new(width), terminal: None }
    }
}

/// Finished steps as lines, and the current one as a bar.
pub struct Bars {
    screen: MultiProgress,
    terminal: Option<Terminal>,
    width: Arc<dyn Fn() -> usize + Send + Sync>,
    style: Style,
    clock: fn() -> Timestamp,
    /// The current step, shared with the thread that draws it.
    current: Arc<Mutex<Option<Current>>>,
    bar: Option<ProgressBar>,
    /// Below the bar: the last lines of the output.
    output: Option<ProgressBar>,
    /// Lines that belong below the row of the current step.
    details: Vec<String>,
    named: bool,
}

impl Bars {
    /// Draws on a screen; the clock makes the seconds run between two events.
    pub fn new(screen: Screen, style: Style, clock: fn() -> Timestamp) -> Self {
        Self {
            screen: MultiProgress::with_draw_target(screen.target),
            terminal: screen.terminal,
            width: screen.width,
            style,
            clock,
            current: Arc::default(),
            bar: None,
            output: None,
            details: Vec::new(),
            named: false,
        }
    }

    /// The style at the width that the screen has now.
    fn style(&self) -> Style {
        Style { width: (self.width)(), ..self.style }
    }

    fn with_current(&self, change: impl FnOnce(&mut Current)) {
        // A view that panicked in another thread must not take this one along.
        if let Some(current) = self.current.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            change(current);
        }
    }

    fn set_current(&self, current: Option<Current>) -> Option<Current> {
        let mut place = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, current)
    }

    /// Prints finished lines above the bar.
    fn print(&self, lines: &str) {
        // A terminal that is gone must not change a run.
        let _ = self.screen.println(shown(lines));
    }

    /// Names the run before anything else is said of it, also where the view comes in late.
    fn name(&mut self, event: &Event) {
        if self.named {
            return;
        }
        self.named = true;
        let host = match &event.kind {
            EventKind::RunStarted { host, .. } => format!(" on {}", self.style.paint(Paint::Strong, host)),
            _ => String::new(),
        };
        self.print(&format!("{} {}{host}", self.style.paint(Paint::Strong, "patchday"), event.run));
    }

    fn shows(&self, step: &Step, attempt: Option<u32>) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().is_some_and(|current| current.is_of(step, attempt))
    }

    fn begin(&mut self, step: &Step, attempt: u32, event: &Event) {
        // A row whose end was never told stays as it was last seen.
        self.leave(Mark::Warning);
        self.set_current(Some(Current::new(step.clone(), attempt, event.at)));
        let (current, width, style, clock) =
            (Arc::clone(&self.current), Arc::clone(&self.width), self.style, self.clock);
        let row = move |_: &ProgressState, out: &mut dyn fmt::Write| {
            if let Some(current) = current.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                let _ = out.write_str(&current.row(clock(), &Style { width: width(), ..style }));
            }
        };
        // The template is ours and valid; if it were not, a plain spinner would do.
        let template = ProgressStyle::with_template("{row}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner().with_style(template.with_key("row", row));
        let bar = match &self.output {
            Some(output) => self.screen.insert_before(output, bar),
            None => self.screen.add(bar),
        };
        bar.enable_steady_tick(HEARTBEAT);
        self.bar = Some(bar);
    }

    /// Takes the bar off the screen. What it stood for is printed by the caller.
    fn end_row(&mut self) -> Option<Current> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        self.set_current(None)
    }

    fn end(&mut self, step: &Step, outcome: Outcome, note: Option<&str>, took: &str) {
        self.end_row();
        let mark = match outcome {
            Outcome::Succeeded => Mark::Done,
            Outcome::Failed => Mark::Failed,
            Outcome::Skipped => Mark::Skipped,
            Outcome::Interrupted => Mark::Warning,
        };
        let took = if outcome == Outcome::Skipped { "left out" } else { took };
        let note = note.map(words::one_line).unwrap_or_default();
        // A good end is cut to its line; why something failed is told in full.
        let row = self.style().step_row(mark, &step.title(), took, &note, outcome != Outcome::Succeeded);
        self.print(&row);
        self.print_details();
    }

    /// Another boot ends whatever was going on: the reboot itself, if that was asked for, or a step that was cut off.
    fn end_by_boot(&mut self, planned: bool) {
        let Some(current) = self.end_row() else { return };
        let outcome = if planned { Outcome::Succeeded } else { Outcome::Interrupted };
        let note = (!planned).then_some("the host went down");
        self.end(current.step(), outcome, note, &words::duration(current.took()));
    }

    /// Leaves the current step as it was last seen.
    fn leave(&mut self, mark: Mark) {
        let style = self.style();
        if let Some(current) = self.end_row() {
            self.print(&current.left(mark, &style));
        }
        self.print_details();
    }

    fn print_details(&mut self) {
        for detail in std::mem::take(&mut self.details) {
            self.print(&detail);
        }
    }

    /// A line below the row of the current step, or at once where there is none.
    fn detail(&mut self, mark: Mark, text: &str) {
        let style = self.style();
        let margin = if self.bar.is_some() { 6 } else { 2 };
        let lines = style.wrap(text, margin + 2).join("\n");
        let line = format!("{}{} {}", " ".repeat(margin), style.mark(mark), lines.trim_start());
        if self.bar.is_some() {
            self.details.push(line);
            self.with_current(|current| current.say(text));
        } else {
            self.print(&line);
        }
    }

    fn redraw(&self) {
        if let Some(bar) = &self.bar {
            // Any change draws, as often as the screen's rate allows; a tick would not, beside the steady one.
            bar.set_message("");
        }
    }
}

impl View for Bars {
    fn event(&mut self, event: &Event) {
        self.name(event);
        self.with_current(|current| current.hear(event));
        match &event.kind {
            EventKind::RunStarted { .. } => {}
            // A coordinator that goes on with an open attempt says again that it began: the row runs on.
            EventKind::StepStarted { step, attempt } if !self.shows(step, Some(*attempt)) => {
                self.begin(step, *attempt, event);
            }
            EventKind::StepStarted { .. } => {}
            // The row runs already where the view saw the step's beginning.
            EventKind::StepAttached { step } | EventKind::StepProgressed { step, .. } if !self.shows(step, None) => {
                self.begin(step, 1, event);
                self.with_current(|current| current.hear(event));
            }
            EventKind::StepAttached { .. } | EventKind::StepProgressed { .. } => {}
            EventKind::StepEnded { step, outcome, note, took } => {
                self.end(step, *outcome, note.as_deref(), &words::duration(*took));
            }
            // Said by the step's own row when it ends; until then beside it.
            EventKind::UpgradePlanned { .. } | EventKind::ServiceStopped { .. } => {
                if let Some(told) = tell(event) {
                    self.with_current(|current| current.say(&told.text));
                }
            }
            EventKind::BootChanged { .. } | EventKind::SoftRebooted { .. } => {
                self.end_by_boot(!matches!(event.kind, EventKind::BootChanged { planned: false, .. }));
                if let Some(told) = tell(event) {
                    self.detail(mark_of(told.tone), &told.text);
                }
            }
            EventKind::VerdictReached { verdict, findings } => {
                let mark = match verdict {
                    Verdict::Healthy => Mark::Note,
                    Verdict::Degraded => Mark::Warning,
                    Verdict::Failed => Mark::Failed,
                };
                for finding in findings {
                    self.detail(mark, &words::one_line(finding));
                }
            }
            EventKind::CheckFound { check } => {
                if let Some(finding) = &check.finding {
                    // The mark says the severity.
                    let mark = match finding.severity {
                        Severity::Info => Mark::Note,
                        Severity::Warning => Mark::Warning,
                        Severity::Blocker => Mark::Failed,
                    };
                    self.detail(mark, &words::one_line(&format!("{} ({})", finding.title, check.label)));
                }
            }
            _ => {
                if let Some(told) = tell(event) {
                    self.detail(mark_of(told.tone), &told.text);
                }
            }
        }
        self.redraw();
    }

    fn output(&mut self, lines: Option<&[String]>) {
        let Some(lines) = lines else {
            if let Some(output) = self.output.take() {
                output.finish_and_clear();
                self.screen.remove(&output);
            }
            return;
        };
        let style = self.style();
        let edge = if style.unicode { "│" } else { "|" };
        let row = |line: &String| {
            let line = format!("      {edge} {}", words::one_line(line));
            style.paint(Paint::Dim, &style.cut(&line, style.width.saturating_sub(1)))
        };
        let rows =
            if lines.is_empty() { vec![row(&"no output yet".to_owned())] } else { lines.iter().map(row).collect() };
        let plain = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let output = self.output.get_or_insert_with(|| self.screen.add(ProgressBar::new_spinner().with_style(plain)));
        output.set_message(rows.join("\n"));
    }

    fn finish(&mut self) {
        self.output(None);
        self.leave(Mark::Current);
        if let Some(terminal) = &self.terminal {
            terminal.leave();
        }
    }
}

fn mark_of(tone: Tone) -> Mark {
    match tone {
        Tone::Plain => Mark::Note,
        Tone::Good => Mark::Done,
        Tone::Warning => Mark::Warning,
        Tone::Bad => Mark::Failed,
    }
}

#[cfg(test)]
mod tests;
