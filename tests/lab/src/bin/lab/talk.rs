//! What the lab says: on standard error, since standard output belongs to what it shows.

use std::env;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// Prints headings with the time since the start.
pub(crate) struct Talk {
    start: Instant,
    colour: bool,
}

impl Talk {
    pub(crate) fn new() -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { start: Instant::now(), colour: wanted && stderr().is_terminal() }
    }

    /// A step begins.
    pub(crate) fn step(&self, text: &str) {
        let time = seconds(self.start.elapsed());
        if self.colour {
            eprintln!("\n\x1b[1;36m▶ {text}\x1b[0m \x1b[2m{time}\x1b[0m");
        } else {
            eprintln!("\n== {text} [{time}]");
        }
    }

    /// Something learned within a step.
    pub(crate) fn note(&self, text: &str) {
        if self.colour {
            eprintln!("\x1b[2m  {text}\x1b[0m");
        } else {
            eprintln!("   {text}");
        }
    }
}

/// A duration as `12.3 s` or `2 min 05 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}
