//! The terminal below the bars, which may be resized at any time.
//!
//! indicatif fills each line to its last column, and counts on it being one row for ever. A terminal that is made narrower
//! breaks such lines anew: each leaves an empty row, and of the bar a piece that is never wiped away. So a line ends here
//! where its text does, and before it is wiped, the rows are counted that it takes by now.

use std::io::{Result, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

/// Rows and columns, where the terminal tells them.
pub(super) type Size = Arc<dyn Fn() -> Option<(u16, u16)> + Send + Sync>;

/// What is taken for the size of a terminal that does not tell it.
const UNTOLD: (u16, u16) = (24, 80);

#[derive(Clone)]
pub(super) struct Terminal {
    size: Size,
    state: Arc<Mutex<State>>,
}

struct State {
    out: Box<dyn Write + Send>,
    /// What is drawn and not yet written.
    drawing: String,
    /// Columns of each line since the last drawing, and of those of the last one.
    lines: Vec<usize>,
    drawn: Vec<usize>,
    /// Rows that the cursor has gone up since the last drawing; none once the old lines are wiped.
    above: Option<usize>,
    /// A line is written, and its blanks are to come.
    awaits_filling: bool,
    /// The cursor stands behind a line that is complete.
    is_complete: bool,
}

impl Terminal {
    pub(super) fn new(out: impl Write + Send + 'static, size: Size) -> Self {
        let state = State {
            out: Box::new(out),
            drawing: String::new(),
            lines: Vec::new(),
            drawn: Vec::new(),
            above: Some(0),
            awaits_filling: false,
            is_complete: false,
        };
        Self { size, state: Arc::new(Mutex::new(state)) }
    }

    /// Leaves the cursor at the beginning of a line of its own.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.is_complete) {
            state.drawing.push_str("\r\n");
            // A terminal that is gone must not change a run.
            let _ = state.write();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self) -> (u16, u16) {
        (self.size)().unwrap_or(UNTOLD)
    }
}

impl State {
    fn write(&mut self) -> Result<()> {
        let drawing = std::mem::take(&mut self.drawing);
        self.out.write_all(drawing.as_bytes())?;
        self.out.flush()
    }

    fn go(&mut self, count: usize, to: char) {
        if count > 0 {
            self.drawing.push_str(&format!("\u{1b}[{count}{to}"));
        }
    }

    /// Wipes the old lines, which take more rows than there are lines where the terminal is narrower by now.
    fn wipe(&mut self, above: usize, width: usize) {
        let old = self.drawn.iter().rev().take(above + 1);
        let more: usize = old.map(|columns| columns.saturating_sub(1) / width.max(1)).sum();
        self.go(more, 'A');
        self.drawing.push_str("\r\u{1b}[J");
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Terminal")
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.size().1
    }

    fn height(&self) -> u16 {
        self.size().0
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        let mut state = self.state();
        state.above = state.above.map(|above| above + n);
        state.go(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        self.state().go(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        self.state().go(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        self.state().go(n, 'D');
        Ok(())
    }

    fn write_line(&self, s: &str) -> Result<()> {
        let mut state = self.state();
        state.drawing.push_str(s);
        state.drawing.push_str("\r\n");
        Ok(())
    }

    fn write_str(&self, s: &str) -> Result<()> {
        let mut state = self.state();
        // Behind each line comes what indicatif fills it with.
        if std::mem::take(&mut state.awaits_filling) {
            state.is_complete = true;
            return Ok(());
        }
        state.awaits_filling = true;
        if std::mem::take(&mut state.is_complete) {
            state.drawing.push_str("\r\n");
        }
        state.lines.push(console::measure_text_width(s));
        state.drawing.push_str(s);
        Ok(())
    }

    fn clear_line(&self) -> Result<()> {
        let width = usize::from(self.size().1);
        let mut state = self.state();
        state.is_complete = false;
        match state.above.take() {
            Some(above) => state.wipe(above, width),
            None => state.drawing.push_str("\r\u{1b}[2K"),
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let mut state = self.state();
        state.drawn = std::mem::take(&mut state.lines);
        state.above = Some(0);
        state.awaits_filling = false;
        state.write()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, Ordering};

    use super::*;

    /// What a terminal shows that breaks its lines anew when it is resized, as tmux and GNOME's do.
    #[derive(Clone, Default)]
    struct Reflowing(Arc<Mutex<Vec<u8>>>);

    impl Write for Reflowing {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_broken_by_a_narrower_terminal_is_wiped_as_a_whole() {
        let (seen, columns) = (Reflowing::default(), Arc::new(AtomicU16::new(120)));
        let size = Arc::clone(&columns);
        let terminal = Terminal::new(seen.clone(), Arc::new(move || Some((24, size.load(Ordering::Relaxed)))));
        let taken = || String::from_utf8(std::mem::take(&mut *seen.0.lock().unwrap())).unwrap();
        let draw = |lines: &[&str], before: usize| {
            terminal.move_cursor_up(before.saturating_sub(1)).unwrap();
            for line in 0..before {
                terminal.clear_line().unwrap();
                if line + 1 < before {
                    terminal.move_cursor_down(1).unwrap();
                }
            }
            terminal.move_cursor_up(before.saturating_sub(1)).unwrap();
            for line in lines {
                terminal.write_str(line).unwrap();
                terminal.write_str("   ").unwrap();
            }
            terminal.flush().unwrap();
        };
        let (wide, narrow) = ("x".repeat(119), "x".repeat(59));
        draw(&["done", &wide], 0);
        assert_eq!(taken(), format!("done\r\n{wide}"), "no blanks behind the text");
        // The bar alone is drawn anew; at 60 columns its old line takes two rows, at 40 three.
        for (width, up) in [(120, ""), (60, "\u{1b}[1A"), (40, "\u{1b}[2A")] {
            columns.store(width, Ordering::Relaxed);
            draw(&[&narrow], 1);
            assert_eq!(taken(), format!("{up}\r\u{1b}[J{narrow}"), "{width}");
            columns.store(120, Ordering::Relaxed);
            draw(&[&wide], 1);
            taken();
        }
        terminal.leave();
        terminal.leave();
        assert_eq!(taken(), "\r\n", "once");
    }
}
