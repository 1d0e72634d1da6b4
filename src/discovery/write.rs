//! Lines of a commented TOML file.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::config::keys::{Key, header};

/// Of a comment: it is read in a terminal.
const WIDTH: usize = 80;

/// The text so far. A key's meaning is written where the key comes first.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) text: String,
    explained: BTreeSet<String>,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    pub(super) fn gap(&mut self) {
        self.line("");
    }

    /// A comment, in as many lines as it needs.
    pub(super) fn comment(&mut self, comment: &str) {
        let mut line = String::from("#");
        for word in comment.split_whitespace() {
            if line.len() > 1 && line.chars().count() + word.chars().count() >= WIDTH {
                self.line(&line);
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    pub(super) fn table(&mut self, table: &str) {
        self.line(&header(table));
    }

    fn explain(&mut self, key: &Key, why: Option<&str>) {
        let first = self.explained.insert(key.path());
        let about = if first { key.about } else { "" };
        let comment = format!("{about} {}", why.unwrap_or_default());
        if !comment.trim().is_empty() {
            self.comment(&comment);
        }
    }

    /// A key with its value, and why it has this value.
    pub(super) fn set(&mut self, key: &Key, value: impl Display, why: Option<&str>) {
        self.explain(key, why);
        self.line(&format!("{} = {value}", key.name));
    }
}

/// Foreign text for a comment: one line, and not too long.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
