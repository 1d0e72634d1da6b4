//! What reports and views are made of on a terminal: a heading, a name with its value, a marked sentence.

use super::words::one_line;
use super::{Item, Mark, Paint, Style};
use crate::model::Finding;

impl Style {
    /// A heading with an empty line before it, and what stands below it; nothing if that is empty.
    pub fn section(&self, heading: &str, lines: Vec<String>) -> Vec<String> {
        if lines.is_empty() {
            return lines;
        }
        [String::new(), self.paint(Paint::Strong, heading)].into_iter().chain(lines).collect()
    }

    /// A name and what belongs to it, broken below itself.
    pub fn field(&self, name: &str, value: &str) -> Vec<String> {
        self.hanging(14, &self.paint(Paint::Dim, &format!("  {name:<12}")), value)
    }

    /// A sentence behind its mark, broken below itself.
    pub fn marked(&self, mark: Mark, text: &str) -> Vec<String> {
        self.hanging(4, &format!("  {} ", self.mark(mark)), text)
    }

    /// A text behind a head of so many columns, broken below itself.
    pub(super) fn hanging(&self, columns: usize, head: &str, text: &str) -> Vec<String> {
        let mut lines = self.wrap(text, columns);
        if let Some(first) = lines.first_mut() {
            *first = format!("{head}{}", first.trim_start());
        }
        lines
    }

    /// A marked sentence, and below it what proves it and the way out.
    pub fn item(&self, item: &Item) -> Vec<String> {
        let label = item.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        let mut lines = self.marked(item.mark, &one_line(&format!("{}{label}", item.text)));
        let evidence = item.evidence.iter().flat_map(|line| self.wrap(&one_line(line), 6));
        lines.extend(evidence.map(|line| self.paint(Paint::Dim, &line)));
        for line in &item.journal {
            let line = self.cut(&one_line(line), self.width.saturating_sub(8));
            lines.push(format!("      {}", self.paint(Paint::Dim, &format!("| {line}"))));
        }
        if let Some(remedy) = &item.remedy {
            lines.extend(self.wrap(&format!("hint: {}", one_line(&remedy.hint)), 6));
            lines.extend(remedy.command.as_ref().map(|command| self.command(command)));
        }
        lines
    }

    /// Findings, in the order in which they are given.
    pub fn findings<'a>(&self, findings: impl IntoIterator<Item = &'a Finding>) -> Vec<String> {
        findings.into_iter().flat_map(|finding| self.item(&finding.into())).collect()
    }

    /// A command to type, below a hint.
    pub(super) fn command(&self, command: &str) -> String {
        format!("            {}", self.paint(Paint::Accent, &one_line(command)))
    }
}
