//! Foreign text, spoiled: recorded answers of other programs and of the kernel, cut, doubled, shuffled and filled with what
//! nobody should ever say. Every reader of such text is given it.
//!
//! A short while of it is part of the tests. `PROPTEST_CASES=200000 cargo test --release --lib spoiled` takes minutes.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

/// Where nobody asks for more.
const CASES: u32 = 64;

/// A text of 256 KiB may take no longer, on a host that is busy and not optimised: what is quadratic takes hours.
const PATIENCE: Duration = Duration::from_secs(20);
const LONG: usize = 256 << 10;

const ODD: [&str; 40] = [
    "\0",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{85}",
    "\u{feff}",
    "é",
    "𝕏",
    "\t",
    " ",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    ":",
    "::",
    "=",
    "\"",
    "'",
    "\\",
    "/",
    "/../",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    "|",
    "%",
    "#",
    "-1",
    "0",
    "NaN",
    "1e999",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
    "0x",
    "FFFFFFFFFFFFFFFFF:FFFFFFFF",
    "null",
];

/// One way to spoil a text; places are parts of its length.
#[derive(Debug, Clone)]
enum Spoil {
    Cut(f64),
    CutBefore(f64),
    Insert(f64, usize),
    Replace(f64, usize),
    Insane(f64, String),
    DropLine(f64),
    DoubleLine(f64),
    MoveLine(f64, f64),
    Long,
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let place = || 0.0..1.0_f64;
    prop_oneof![
        2 => place().prop_map(Spoil::Cut),
        1 => place().prop_map(Spoil::CutBefore),
        6 => (place(), 0..ODD.len()).prop_map(|(at, odd)| Spoil::Insert(at, odd)),
        6 => (place(), 0..ODD.len()).prop_map(|(at, odd)| Spoil::Replace(at, odd)),
        1 => (place(), any::<String>()).prop_map(|(at, text)| Spoil::Insane(at, text)),
        3 => place().prop_map(Spoil::DropLine),
        2 => place().prop_map(Spoil::DoubleLine),
        2 => (place(), place()).prop_map(|(from, to)| Spoil::MoveLine(from, to)),
        1 => Just(Spoil::Long),
    ]
}

impl Spoil {
    fn apply(&self, text: &str) -> String {
        match self {
            Self::Cut(at) => text[..place(text, *at)].to_owned(),
            Self::CutBefore(at) => text[place(text, *at)..].to_owned(),
            Self::Insert(at, odd) => inserted(text, *at, ODD[*odd], false),
            Self::Replace(at, odd) => inserted(text, *at, ODD[*odd], true),
            Self::Insane(at, more) => inserted(text, *at, more, false),
            Self::DropLine(at) => lines(text, |lines| {
                lines.remove(index(lines.len(), *at));
            }),
            Self::DoubleLine(at) => lines(text, |lines| {
                let at = index(lines.len(), *at);
                lines.insert(at, lines[at]);
            }),
            Self::MoveLine(from, to) => lines(text, |lines| {
                let line = lines.remove(index(lines.len(), *from));
                lines.insert(index(lines.len() + 1, *to), line);
            }),
            Self::Long => text.repeat((LONG / text.len().max(1)).min(LONG)),
        }
    }
}

fn index(length: usize, at: f64) -> usize {
    ((length as f64 * at) as usize).min(length.saturating_sub(1))
}

/// A place in a text, between two characters.
fn place(text: &str, at: f64) -> usize {
    let wanted = index(text.len() + 1, at);
    (0..=wanted).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

fn inserted(text: &str, at: f64, more: &str, instead: bool) -> String {
    let (before, after) = text.split_at(place(text, at));
    let skipped = if instead { after.chars().next().map_or(0, char::len_utf8) } else { 0 };
    [before, more, &after[skipped..]].concat()
}

fn lines(text: &str, change: impl FnOnce(&mut Vec<&str>)) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    change(&mut lines);
    lines.join("\n")
}

/// Gives a reader what recorded text may become: it neither panics nor takes long. What it makes of it is for the reader's
/// own assertions.
pub(crate) fn survives(samples: &[&str], read: impl Fn(&str)) {
    let asked = env::var_os("PROPTEST_CASES").is_some();
    let config = Config { failure_persistence: None, ..Config::default() };
    let config = if asked { config } else { Config { cases: CASES, ..config } };
    let texts = (0..=samples.len(), proptest::collection::vec(spoil(), 0..6), any::<String>());
    let outcome = TestRunner::new(config).run(&texts, |(sample, spoils, noise)| {
        let first = samples.get(sample).map_or(noise, |sample| (*sample).to_owned());
        let text = spoils.iter().fold(first, |text, spoil| if text.len() > LONG { text } else { spoil.apply(&text) });
        let began = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| read(&text))).is_err() {
            let shown: String = text.chars().take(2_000).collect();
            return Err(proptest::test_runner::TestCaseError::fail(format!("the reader panicked at {shown:?}")));
        }
        let took = began.elapsed();
        assert!(took < PATIENCE, "{took:?} for {} bytes", text.len());
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
