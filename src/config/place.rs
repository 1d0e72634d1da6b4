//! Where something is: in which file, and where in its text.

use std::fmt;
use std::path::{Path, PathBuf};

/// Line and column, counted from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Position {
    /// The position of a byte of the text. The text's end for an offset behind it.
    pub(super) fn of(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Self { line, column: String::from_utf8_lossy(&before[start..]).chars().count() + 1 }
    }
}

/// A file, and where in it; nowhere if all of it is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub file: PathBuf,
    pub position: Option<Position>,
}

impl Place {
    pub(super) fn whole(file: &Path) -> Self {
        Self { file: file.to_owned(), position: None }
    }

    /// The place of a byte of the file's text.
    pub(super) fn of(file: &Path, text: &[u8], offset: usize) -> Self {
        Self { position: Some(Position::of(text, offset)), ..Self::whole(file) }
    }

    /// The line; none if the whole file is meant.
    pub fn line(&self) -> Option<usize> {
        self.position.map(|position| position.line)
    }

    /// For somebody who is at another place.
    pub(super) fn seen_from(&self, other: &Self) -> String {
        match self.line().filter(|_| self.file == other.file) {
            Some(line) => format!("line {line}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.position.map_or(Ok(()), |position| write!(f, ":{position}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_characters_are_counted_from_one() {
        let text = "a\nb\u{e9}c\n".as_bytes();
        let at = |offset| Position::of(text, offset).to_string();
        assert_eq!([at(0), at(1), at(2), at(5), at(7), at(99)], ["1:1", "1:2", "2:1", "2:3", "3:1", "3:1"]);
    }
}
