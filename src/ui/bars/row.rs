//! The row of the current step, as a pure function.

use jiff::{SignedDuration, Timestamp};

use crate::events::{Event, EventKind};
use crate::model::Step;
use crate::report::telling::{percent, progress};
use crate::report::words;
use crate::report::{Mark, Paint, Style};

/// Columns from which a bar has room beside a title of full width.
const WIDE: usize = 100;

/// Columns below which a title makes room for what is said of it.
const NARROW: usize = 80;

/// Cells below which a bar says nothing.
const FEWEST: usize = 3;

/// Without news for so long, the row says so.
const SILENCE: SignedDuration = SignedDuration::from_secs(30);

/// Signs that follow each other with each piece of news.
const TURNING: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇", "⠏", "⠛"];
const TURNING_ASCII: [&str; 4] = ["|", "/", "-", "\\"];

/// What is known of the current step.
#[derive(Debug, Clone)]
pub(super) struct Current {
    step: Step,
    attempt: u32,
    began: Timestamp,
    heard: Timestamp,
    news: usize,
    fraction: Option<f64>,
    /// How long it will have taken in the end, from its beginning.
    will_take: Option<SignedDuration>,
    message: String,
}

impl Current {
    pub(super) fn new(step: Step, attempt: u32, began: Timestamp) -> Self {
        Self { step, attempt, began, heard: began, news: 0, fraction: None, will_take: None, message: String::new() }
    }

    /// Takes note of an event. The bar never goes backwards, whatever the events say.
    pub(super) fn hear(&mut self, event: &Event) {
        self.heard = self.heard.max(event.at);
        self.news += 1;
        if let EventKind::StepProgressed { step, fraction, remaining, message } = &event.kind
            && *step == self.step
        {
            // `max` drops a NaN.
            self.fraction = fraction.map(|new| new.max(self.fraction.unwrap_or(0.0))).or(self.fraction);
            // Between two pieces of news it runs down by itself.
            self.will_take = remaining.map(|remaining| event.at.duration_since(self.began) + remaining);
            self.say(message);
        }
    }

    /// Whether the row is the step's, and the attempt's where one is named.
    pub(super) fn is_of(&self, step: &Step, attempt: Option<u32>) -> bool {
        self.step == *step && attempt.is_none_or(|attempt| attempt == self.attempt)
    }

    pub(super) fn step(&self) -> &Step {
        &self.step
    }

    /// From its beginning until the last event.
    pub(super) fn took(&self) -> SignedDuration {
        self.heard.duration_since(self.began)
    }

    /// Shows a message beside the bar.
    pub(super) fn say(&mut self, message: &str) {
        self.message = words::one_line(message);
    }

    /// The row at an instant. Never wider than the style.
    pub(super) fn row(&self, now: Timestamp, style: &Style) -> String {
        // Where a bar needs the room, the title takes no more than it has.
        let most = if style.width < NARROW { 20 } else { 30 };
        let columns =
            if self.fraction.is_some() && style.width < WIDE { self.step.title().len().min(most) } else { most };
        let title = style.fit(&self.step.title(), columns);
        let took = format!("{:>10}", words::running(now.duration_since(self.began)));
        let head =
            format!("  {} {} {}", self.sign(style), style.paint(Paint::Strong, &title), style.paint(Paint::Dim, &took));
        // Columns: 4 for the sign, those of the title, 1, the time, and 3 between.
        let room = style.width.saturating_sub(columns + 8 + took.len());
        let row = format!("{head}   {}", self.news_within(room, now, style));
        // A terminal that is full to its last column may break the line.
        style.cut(row.trim_end(), style.width.saturating_sub(1))
    }

    /// The last row of a step whose end the view has not seen.
    pub(super) fn left(&self, mark: Mark, style: &Style) -> String {
        let took = words::duration(self.took());
        let seen = progress(self.fraction, None, &self.message);
        let seen = if seen.is_empty() { "not ended yet".to_owned() } else { format!("last seen: {seen}") };
        style.step_row(mark, &self.step.title(), &took, &seen, false)
    }

    fn sign(&self, style: &Style) -> String {
        if self.fraction.is_some() {
            return style.mark(Mark::Current);
        }
        let sign = if style.unicode {
            TURNING[self.news % TURNING.len()]
        } else {
            TURNING_ASCII[self.news % TURNING_ASCII.len()]
        };
        style.paint(Paint::Accent, sign)
    }

    /// How long it will still take; none once that is over: how much longer it takes nobody knows.
    fn left_at(&self, now: Timestamp) -> Option<SignedDuration> {
        let left = self.will_take? - now.duration_since(self.began);
        (left >= SignedDuration::from_secs(1)).then_some(left)
    }

    fn news_within(&self, room: usize, now: Timestamp, style: &Style) -> String {
        let silence = now.duration_since(self.heard);
        let silence =
            if silence >= SILENCE { format!("no news for {}", words::running(silence)) } else { String::new() };
        let is_wide = style.width >= WIDE;
        let suffix = if is_wide { " left  " } else { "  " };
        let left = self.left_at(now).map(|left| format!("~{}{suffix}", words::roughly(left)));
        let Some(fraction) = self.fraction else {
            // A countdown is news by itself: for as long as it runs, no other is to be expected.
            let silence = if left.is_some() { String::new() } else { silence };
            let left = left.unwrap_or_default();
            let words = beside(&self.message, &silence, room.saturating_sub(left.len()), style);
            return format!("{left}{words}");
        };
        let left = left.unwrap_or_default();
        // The bar gets a third of the room where there is much, and the words the rest; where there is little, the time that
        // is left comes first. Columns: 6 for the percent, 2 between, and the last one of the row.
        let most = if is_wide { (room / 3).clamp(8, 24) } else { 8 };
        let cells = room.saturating_sub(9 + left.trim_end().len()).min(most);
        let bar = if cells < FEWEST { String::new() } else { bar(fraction, cells, style) };
        let cells = if cells < FEWEST { 0 } else { cells };
        let words = beside(&self.message, &silence, room.saturating_sub(cells + 6 + 2 + left.len()), style);
        format!("{:>3} % {bar}  {left}{words}", percent(fraction))
    }
}

/// The message, and behind it the silence, for which the message makes room.
fn beside(message: &str, silence: &str, room: usize, style: &Style) -> String {
    if silence.is_empty() {
        return style.cut(message, room);
    }
    let silence = style.cut(silence, room);
    let left = room.saturating_sub(silence.len() + 2);
    let message = if left < 8 { String::new() } else { style.cut(message, left) };
    let gap = if message.is_empty() { "" } else { ", " };
    format!("{message}{gap}{}", style.paint(Paint::Warn, &silence))
}

/// A bar of so many cells, drawn in half cells. Full only when everything is done.
fn bar(fraction: f64, cells: usize, style: &Style) -> String {
    let halves = (fraction.clamp(0.0, 1.0) * (cells * 2) as f64).floor() as usize;
    let (full, half) = (halves / 2, halves % 2);
    let (line, end, rest) = if style.unicode { ("━", "╸", "─") } else { ("=", ">", ".") };
    let done = format!("{}{}", line.repeat(full), if half == 1 { end } else { "" });
    let rest = rest.repeat(cells - full - half);
    format!("{}{}", style.paint(Paint::Accent, &done), style.paint(Paint::Dim, &rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{at, event};

    fn progressed(seconds: f64, fraction: Option<f64>, message: &str) -> Event {
        let remaining = fraction.map(|fraction| SignedDuration::from_secs((100.0 * (1.0 - fraction)) as i64));
        event(seconds, EventKind::StepProgressed { step: Step::Upgrade, fraction, remaining, message: message.into() })
    }

    #[test]
    fn what_is_left_runs_down_and_is_not_told_when_it_is_over() {
        let mut current = Current::new(Step::Upgrade, 1, at(0.0));
        current.hear(&progressed(50.0, Some(0.5), "libc6"));
        let style = Style { width: 120, ..Style::plain() };
        assert!(current.row(at(50.0), &style).contains("~50 s left  libc6"));
        assert!(current.row(at(89.0), &style).contains("~11 s left"));
        assert!(!current.row(at(101.0), &style).contains("left"));
        let smallest = current.row(at(50.0), &Style { width: 60, ..style });
        assert!(smallest.contains(" 50 % ") && smallest.ends_with("~50 s"), "{smallest}");
        let narrow = current.row(at(50.0), &Style { width: 80, ..style });
        assert!(narrow.contains("~50 s  libc6"), "{narrow}");
    }

    #[test]
    fn the_row_fits_every_width() {
        let mut current = Current::new(Step::Upgrade, 1, at(0.0));
        for unicode in [true, false] {
            for fraction in [None, Some(0.62)] {
                current.hear(&progressed(1.0, fraction, "Unpacking linux-image-6.1.0-40-cloud-amd64 (6.1.153-1)"));
                for width in 1..200 {
                    for now in [at(2.0), at(5_000.0)] {
                        let row = current.row(now, &Style { color: true, unicode, width });
                        assert!(console::measure_text_width(&row) < width.max(2), "{width}: {row}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_bar_never_goes_backwards() {
        let mut current = Current::new(Step::Upgrade, 1, at(0.0));
        for (fraction, shown) in [(0.5, " 50 %"), (0.4, " 50 %"), (f64::NAN, " 50 %"), (0.75, " 75 %"), (7.0, "100 %")]
        {
            current.hear(&progressed(1.0, Some(fraction), "x"));
            assert!(current.row(at(1.0), &Style::plain()).contains(shown), "{fraction}");
        }
        current.hear(&progressed(2.0, None, "configuring"));
        let row = current.row(at(2.0), &Style::plain());
        assert!(row.contains("100 %") && row.contains("configuring"), "{row}");
    }

    #[test]
    fn the_sign_turns_with_news_and_not_with_time() {
        let mut current = Current::new(Step::Fetch, 1, at(0.0));
        let sign = |current: &Current, seconds| current.row(at(seconds), &Style::plain()).chars().nth(2);
        assert_eq!(sign(&current, 1.0), sign(&current, 20.0));
        let before = sign(&current, 20.0);
        current.hear(&event(21.0, EventKind::Noted { message: "still here".into() }));
        assert_ne!(sign(&current, 21.0), before);
    }

    #[test]
    fn a_wait_of_known_length_counts_down() {
        let mut current = Current::new(Step::Verify, 1, at(0.0));
        let remaining = Some(SignedDuration::from_secs(60));
        let message = "watching that the services stay up".into();
        current.hear(&event(2.0, EventKind::StepProgressed { step: Step::Verify, fraction: None, remaining, message }));
        for (seconds, shown) in [(2.0, "~1 min  watching"), (45.0, "~17 s  watching"), (61.5, "   watching")] {
            let row = current.row(at(seconds), &Style::plain());
            assert!(row.contains(shown), "{seconds}: {row}");
            assert_eq!(row.contains("no news"), seconds > 60.0, "{seconds}: {row}");
        }
    }

    #[test]
    fn silence_is_said() {
        let mut current = Current::new(Step::Upgrade, 1, at(0.0));
        current.hear(&progressed(10.0, Some(0.5), "libc6"));
        let style = Style { width: 120, ..Style::plain() };
        assert!(!current.row(at(39.0), &style).contains("no news"));
        assert!(current.row(at(134.0), &style).contains("libc6, no news for 2 min 4 s"));
    }
}
