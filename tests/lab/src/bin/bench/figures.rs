//! Tables for people, which documents take over with the commit that they were measured on.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The end of a part that is made; the beginning names it.
const END: &str = "<!-- until here -->\n";

/// A table, and what is said above it.
pub(crate) struct Table {
    said: String,
    rows: Vec<String>,
}

impl Table {
    pub(crate) fn new(said: String, columns: &[&str]) -> Self {
        let rule = "|---".repeat(columns.len()) + "|";
        Self { said, rows: vec![format!("| {} |", columns.join(" | ")), rule] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(format!("| {} |", cells.join(" | ")));
    }

    /// As it is shown where it is measured.
    pub(crate) fn text(&self) -> String {
        format!("{}\n\n{}", self.said, self.rows.join("\n"))
    }

    /// Writes it into its part of a document.
    pub(crate) fn write(&self, document: &Path, part: &str, commit: &str) -> Result<()> {
        let text = fs::read_to_string(document).with_context(|| format!("cannot read {}", document.display()))?;
        let made = format!("\nAt {commit}, {}:\n\n{}\n\n", self.said, self.rows.join("\n"));
        let text = replaced(&text, part, &made)
            .with_context(|| format!("{} has no part made by tests/lab/figures: {part}", document.display()))?;
        fs::write(document, text).with_context(|| format!("cannot write {}", document.display()))
    }
}

/// What a part of the bench has to show.
pub(crate) struct Shown {
    /// Each with the name of its place in a document.
    pub(crate) tables: Vec<(&'static str, Table)>,
    /// Whether all was measured that was to be.
    pub(crate) is_whole: bool,
}

/// A text of others for a cell: its first line, without what would end the cell.
pub(crate) fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().replace('|', "/")
}

fn replaced(text: &str, part: &str, made: &str) -> Option<String> {
    let begin = format!("<!-- from here on made by tests/lab/figures: {part} -->\n");
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{begin}{made}{END}{after}"))
}

/// The commit that is measured. What is not committed has no name, and its figures would be nobody's.
pub(crate) fn commit() -> Result<String> {
    let git = |args: &[&str]| -> Result<String> {
        let output = Command::new("git").args(args).output().context("cannot run git")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {}: {}", args.join(" "), said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    ensure!(changed.is_empty(), "commit first, so that the figures have a commit to name:\n{changed}");
    git(&["rev-parse", "--short=7", "HEAD"])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_and_nothing_else() {
        let page = "one\n<!-- from here on made by tests/lab/figures: cost -->\nold\n<!-- until here -->\ntwo\n";
        let new = replaced(page, "cost", "new\n").unwrap();
        assert_eq!(new, page.replace("old", "new"));
        assert_eq!(replaced(page, "downtime", "new"), None);
    }
}
