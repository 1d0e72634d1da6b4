//! `patchday config check`: what was read, and what is wrong with it.

use serde::Serialize;

use crate::report::words::{count, one_line};
use crate::ui::{Answer, Style};

/// Version of the shape of `patchday config check --json`.
pub const FORMAT: u32 = 1;

/// Whether the configuration is valid.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// Version of this shape.
    pub format: u32,
    pub valid: bool,
    /// Files that count, in their order.
    pub files: Vec<String>,
    /// How many keys they set; 0 if that cannot be told.
    pub keys: usize,
    /// What lies among the drop-ins and is not read.
    pub ignored: Vec<String>,
    /// Everything that is wrong, in the order of the files.
    pub problems: Vec<ProblemRow>,
    /// The file itself, if there are only drop-ins.
    #[serde(skip)]
    pub missing: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct ProblemRow {
    pub file: String,
    /// None if the whole file is meant, and so the column.
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// Table and key, as in `[limits] cpu`.
    pub key: Option<String>,
    pub message: String,
    pub hint: String,
}

impl Check {
    /// What is no error, and may not be meant.
    pub fn notes(&self) -> String {
        let missing =
            self.missing.iter().map(|file| format!("{} is not there: only the drop-ins count", one_line(file)));
        let why = "the name of a drop-in ends in .toml and does not begin with a dot";
        let ignored = self.ignored.iter().map(|file| format!("{} is not read: {why}", one_line(file)));
        missing.chain(ignored).map(|note| format!("note: {note}\n")).collect()
    }
}

impl Answer for Check {
    fn render(&self, _style: &Style) -> String {
        format!("{}, {}: valid\n{}", count(self.files.len(), "file"), count(self.keys, "key"), self.notes())
    }
}
