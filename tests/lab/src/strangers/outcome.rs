//! What came of a situation, and the table of all.

use super::TOPICS;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

const BEGIN: &str = "<!-- strangers: written by tests/lab/strangers --write-docs -->";
const END: &str = "<!-- end of strangers -->";

/// What came of a situation.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The situation.
    pub name: String,
    /// What Patchday said last: the exit code, and the headline.
    pub said: String,
    /// All that it said last.
    pub text: String,
    /// How the host was afterwards.
    pub host: String,
    /// The report of its last run, as JSON; none where it began none.
    pub report: Option<String>,
    /// What is not as it should be, with all that is known of it.
    pub wrong: Option<String>,
    /// How long it took, with its part of the machine's boot.
    pub took: Duration,
}

impl Outcome {
    fn row(&self) -> String {
        let wrong = if self.wrong.is_some() { "**wrong**: " } else { "" };
        format!("| {} | {wrong}{} | {} |", cell(&self.name), cell(&self.said), cell(&self.host))
    }
}

/// As much of a sentence as a table has room for.
const CELL: usize = 300;

/// One cell of a table: one line, and no bars.
fn cell(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = text.char_indices().nth(CELL) {
        text.truncate(end);
        text.push('…');
    }
    text.replace('|', "\\|").replace('<', "&lt;")
}

/// The tables, one below the heading of each topic. What was not made this time stands as in `old`, the text of before.
pub fn markdown(outcomes: &[Outcome], old: &str) -> String {
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for line in old.lines() {
        if let Some((name, _)) = line.strip_prefix("| ").and_then(|rest| rest.split_once(" | ")) {
            rows.insert(name.to_owned(), line.to_owned());
        }
    }
    rows.extend(outcomes.iter().map(|outcome| (cell(&outcome.name), outcome.row())));
    let mut text = String::new();
    for topic in TOPICS {
        let situations = (topic.situations)();
        let own: Vec<&String> = situations.iter().filter_map(|one| rows.get(&cell(one.name()))).collect();
        if own.is_empty() {
            continue;
        }
        let _ =
            write!(text, "\n### {}\n\n| host | what is said | the host afterwards |\n|---|---|---|\n", topic.heading);
        for row in own {
            text.push_str(row);
            text.push('\n');
        }
    }
    text
}

/// A document with the tables between its marks.
pub fn into_docs(document: &str, outcomes: &[Outcome]) -> Result<String> {
    let missing = || format!("the document has no `{BEGIN}`, with `{END}` after it");
    let (before, rest) = document.split_once(BEGIN).with_context(missing)?;
    let (old, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", markdown(outcomes, old)))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, Outcome, TOPICS, into_docs};
    use std::time::Duration;

    fn outcome(name: &str, said: &str) -> Outcome {
        let [name, said, host] = [name, said, "in service"].map(str::to_owned);
        Outcome { name, said, text: String::new(), host, report: None, wrong: None, took: Duration::ZERO }
    }

    #[test]
    fn rows_of_before_stay_unless_they_are_made_anew_or_gone() {
        let services = (TOPICS[0].situations)();
        let probes = (TOPICS[2].situations)();
        let (first, other) = (services[0].name(), probes[0].name());
        let empty = format!("above\n{BEGIN}\n{END}\nbelow\n");
        let old =
            into_docs(&empty, &[outcome(first, "0: old"), outcome(other, "0: other"), outcome("gone", "0")]).unwrap();
        let new = into_docs(&old, &[outcome(first, "20: new | bar")]).unwrap();
        assert!(new.starts_with("above\n") && new.ends_with("\nbelow\n"), "{new}");
        assert!(new.contains("20: new \\| bar") && new.contains("0: other"), "{new}");
        assert!(!new.contains("0: old") && !new.contains("gone"), "{new}");
        assert!(into_docs("no marks", &[]).is_err());
    }

    #[test]
    fn every_situation_has_a_name_of_its_own() {
        let mut names: Vec<String> =
            TOPICS.iter().flat_map(|topic| (topic.situations)()).map(|situation| situation.name().to_owned()).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "{names:#?}");
    }
}
