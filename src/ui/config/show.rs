//! `patchday config show`: every key, and which file sets it.

use serde::Serialize;
use serde_json::Value;

use crate::report::words::one_line;
use crate::ui::{Answer, Paint, Style};

/// Version of the shape of `patchday config show --json`.
pub const FORMAT: u32 = 1;

/// What is longer stands out of the column of origins.
const WIDEST: usize = 52;

/// The keys of a configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Show {
    /// Version of this shape.
    pub format: u32,
    /// Files that count, in their order.
    pub files: Vec<String>,
    pub keys: Vec<KeyRow>,
}

/// One key, as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct KeyRow {
    /// As it is named, as in `service.readiness.probe`.
    pub key: String,
    /// The entry of its list, counted from 1; none for a table that is there once.
    pub entry: Option<usize>,
    /// None if it is not set and has no default here.
    pub value: Option<Value>,
    /// The file that sets it; none if none does.
    pub file: Option<String>,
    /// The line of that file.
    pub line: Option<usize>,
    /// Whether something of the value is left out, as it may be secret.
    pub redacted: bool,
    /// The header of its table, as in `[[service]]`.
    #[serde(skip)]
    pub header: String,
    #[serde(skip)]
    pub name: &'static str,
    /// The value as TOML writes it.
    #[serde(skip)]
    pub written: Option<String>,
}

impl KeyRow {
    /// Key and value as a line of TOML. What is no value, or not all of it, is a comment.
    fn line(&self) -> String {
        match &self.written {
            Some(written) => format!("{}{} = {written}", if self.redacted { "# " } else { "" }, self.name),
            None => format!("# {}", self.name),
        }
    }

    fn origin(&self) -> String {
        match (&self.file, self.line, self.redacted) {
            (Some(file), Some(line), false) => format!("{}:{line}", one_line(file)),
            (Some(file), Some(line), true) => format!("{}:{line}, without what may be secret", one_line(file)),
            _ if self.value.is_some() => "default".to_owned(),
            _ => "not set".to_owned(),
        }
    }
}

impl Answer for Show {
    /// TOML that means the same, with where it comes from in comments.
    fn render(&self, style: &Style) -> String {
        let widths = self.keys.iter().map(|row| row.line().chars().count()).filter(|width| *width <= WIDEST);
        let width = widths.max().unwrap_or_default();
        let mut lines = Vec::new();
        for table in self.keys.chunk_by(|one, other| (&one.header, one.entry) == (&other.header, other.entry)) {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            // A table that is there may mean something even where it is empty.
            let is_empty = table.iter().all(|row| row.written.is_none());
            let header = table.first().map_or("", |row| row.header.as_str());
            lines.push(style.paint(Paint::Strong, &format!("{}{header}", if is_empty { "# " } else { "" })));
            for row in table {
                let origin = style.paint(Paint::Dim, &format!("# {}", row.origin()));
                lines.push(format!("{:<width$}  {origin}", row.line()));
            }
        }
        if lines.is_empty() {
            lines.push("# nothing of it is set".to_owned());
        }
        lines.join("\n") + "\n"
    }
}
