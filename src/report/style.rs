//! Colour, marks and width, decided once by the caller and then only obeyed.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

/// What a reader's terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to colour. Nothing is ever told by colour alone.
    pub color: bool,
    /// Whether marks and bars may be other than ASCII.
    pub unicode: bool,
    pub width: usize,
}

/// What a piece of text is, and thereby its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Good,
    Bad,
    Warn,
    /// Of less weight than what stands beside it.
    Dim,
    Strong,
    /// What is going on now.
    Accent,
}

/// A sign of one column at the beginning of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It did what it was for.
    Done,
    Failed,
    /// There was nothing to do, or it was not reached.
    Skipped,
    /// It is going on.
    Current,
    Warning,
    Note,
}

impl Mark {
    /// How it looks: as a sign, in ASCII, and in colour.
    pub(super) const fn look(self) -> (&'static str, &'static str, Paint) {
        match self {
            Self::Done => ("✓", "+", Paint::Good),
            Self::Failed => ("✗", "x", Paint::Bad),
            Self::Skipped => ("–", "-", Paint::Dim),
            Self::Current => ("▸", ">", Paint::Accent),
            Self::Warning => ("!", "!", Paint::Warn),
            Self::Note => ("·", ".", Paint::Dim),
        }
    }
}

impl Style {
    /// Columns of a report where nothing else is known.
    pub const COLUMNS: usize = 80;

    /// Without colour, for files, mails and tests.
    pub const fn plain() -> Self {
        Self { color: false, unicode: true, width: Self::COLUMNS }
    }

    /// Colours a text, or leaves it alone.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let style = console::Style::new();
        let style = match paint {
            Paint::Good => style.green(),
            Paint::Bad => style.red().bold(),
            Paint::Warn => style.yellow(),
            Paint::Dim => style.dim(),
            Paint::Strong => style.bold(),
            Paint::Accent => style.cyan(),
        };
        // Forced, because the choice was made by the caller and not by console's look at the terminal.
        style.force_styling(true).apply_to(text).to_string()
    }

    pub fn mark(&self, mark: Mark) -> String {
        let (fancy, plain, paint) = mark.look();
        self.paint(paint, if self.unicode { fancy } else { plain })
    }

    /// An arrow between what was and what is.
    pub fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// Pads to a width, or cuts what is longer; counts columns, not bytes, and not colours.
    pub fn fit(&self, text: &str, width: usize) -> String {
        pad_str(&self.cut(text, width), width, Alignment::Left, None).into_owned()
    }

    /// Cuts what is longer than a width, and says that it did.
    pub fn cut(&self, text: &str, width: usize) -> String {
        let tail = if self.unicode { "…" } else { "..." };
        if width < measure_text_width(tail) {
            return String::new();
        }
        truncate_str(text, width, tail).into_owned()
    }

    /// Breaks a text between words into lines of at most the style's width, each behind `indent` columns.
    /// A word longer than a line stays whole: it is a path or a command, and somebody will copy it.
    pub fn wrap(&self, text: &str, indent: usize) -> Vec<String> {
        let room = self.width.saturating_sub(indent).max(20);
        let mut lines: Vec<String> = Vec::new();
        for word in words(text) {
            match lines.last_mut() {
                Some(line) if measure_text_width(line) + 1 + measure_text_width(&word) <= room => {
                    line.push(' ');
                    line.push_str(&word);
                }
                _ => lines.push(word),
            }
        }
        let margin = " ".repeat(indent);
        lines.into_iter().map(|line| format!("{margin}{line}")).collect()
    }

    /// One line of a list of steps: mark, title, time, and a few words behind it.
    ///
    /// With `whole`, words that do not fit go below in full, since nobody should miss why something failed; otherwise
    /// they are cut.
    pub fn step_row(&self, mark: Mark, title: &str, took: &str, words: &str, whole: bool) -> String {
        let title = self.fit(title, 30);
        let took = pad_str(took, 10, Alignment::Right, None).into_owned();
        let head = format!("  {} {title} {}", self.mark(mark), self.paint(Paint::Dim, &took));
        let room = self.width.saturating_sub(measure_text_width(&head) + 3);
        if words.is_empty() {
            return head.trim_end().to_owned();
        }
        if measure_text_width(words) <= room || !whole {
            return format!("{head}   {}", self.cut(words, room)).trim_end().to_owned();
        }
        let mut row = head.trim_end().to_owned();
        for line in self.wrap(words, 6) {
            row.push('\n');
            row.push_str(&line);
        }
        row
    }
}

/// Words, with a unit kept at its figure: nobody wants to read `10` at the end of a line and `s` below it.
fn words(text: &str) -> Vec<String> {
    const UNITS: [&str; 10] = ["ms", "s", "min", "h", "%", "KiB", "MiB", "GiB", "days", "more"];
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(figure)
                if figure.ends_with(|c: char| c.is_ascii_digit())
                    && UNITS.contains(&word.trim_end_matches([',', ';', ':', '.'])) =>
            {
                figure.push(' ');
                figure.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASCII: Style = Style { color: false, unicode: false, width: 80 };

    #[test]
    fn colour_is_forced_on_and_off_by_the_caller_alone() {
        let coloured = Style { color: true, ..Style::plain() };
        assert_eq!(coloured.paint(Paint::Good, "yes"), "\u{1b}[32myes\u{1b}[0m");
        assert_eq!(Style::plain().paint(Paint::Good, "yes"), "yes");
        assert_eq!(coloured.paint(Paint::Good, ""), "");
    }

    #[test]
    fn every_mark_is_one_column_in_both_alphabets() {
        for mark in [Mark::Done, Mark::Failed, Mark::Skipped, Mark::Current, Mark::Warning, Mark::Note] {
            assert_eq!(measure_text_width(&Style::plain().mark(mark)), 1, "{mark:?}");
            let plain = ASCII.mark(mark);
            assert!(plain.is_ascii() && plain.len() == 1, "{mark:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        assert_eq!(Style::plain().fit("mongod.service", 8), "mongod.…");
        assert_eq!(ASCII.fit("mongod.service", 8), "mongo...");
        assert_eq!(ASCII.fit("ab", 4), "ab  ");
        assert_eq!(ASCII.cut("mongod.service", 2), "");
    }

    #[test]
    fn a_failure_is_told_in_full_below_its_row() {
        let why = "sample-api.service did not stop within 10 s; 1 process is left in its control group";
        let row = ASCII.step_row(Mark::Failed, "stop sample-api.service", "10 s", why, true);
        assert_eq!(row.lines().count(), 3);
        assert!(row.lines().all(|line| line.len() <= 80), "{row}");
        let row = ASCII.step_row(Mark::Done, "stop sample-api.service", "10 s", why, false);
        assert_eq!((row.lines().count(), row.len()), (1, 80));
    }
}
