//! What documents name exists: commands with their options, keys, variables, metrics, findings, files of the state.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

use clap::error::ErrorKind;
use patchday::checks::labels;
use patchday::config::keys::KEYS;
use patchday::config::parse;

use crate::fake_host::Scenario;
use crate::tidy::files_below;

use super::{document, documents};

/// All documents but the changelog, which says what was.
fn texts() -> Vec<(String, String)> {
    let paths = documents().into_iter().filter(|path| !path.ends_with("docs/changelog.md"));
    paths.map(|path| (path.display().to_string(), read_to_string(&path).unwrap())).collect()
}

/// Blocks of code in that language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// What stands in backticks, outside of blocks.
pub(super) fn spans(text: &str) -> Vec<String> {
    let prose: Vec<&str> = super::prose(text).collect();
    prose.join("\n").split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect()
}

/// Words of a command line, without its comment.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '#' if !is_quoted => break,
            ' ' if !is_quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_is_one_of_the_program() {
    let mut commands = BTreeSet::new();
    for (file, text) in texts() {
        let lines = blocks(&text, "sh").into_iter().flat_map(str::lines).map(str::to_owned).chain(spans(&text));
        for line in lines.filter(|line| line.starts_with("patchday ")) {
            let line =
                line.replace("VERB", "status").replace("RUN", "20261123t231000z-0f3a").replace("UNIT", "a.service");
            let told = patchday::cli::command().try_get_matches_from(words(&line)).map_err(|error| error.kind());
            let wrong = [ErrorKind::UnknownArgument, ErrorKind::InvalidSubcommand, ErrorKind::ArgumentConflict];
            assert!(told.is_ok() || told.is_err_and(|kind| !wrong.contains(&kind)), "{file}: {line}");
            commands.insert(line);
        }
    }
    assert!(commands.len() > 40, "{commands:?}");
}

#[test]
fn every_key_of_the_configuration_that_is_named_exists() {
    let checks: Vec<&str> = labels().collect();
    let mut named = 0;
    for (file, text) in texts() {
        for block in blocks(&text, "toml") {
            let parsed = parse(block, Path::new("documented"), 4, &checks);
            assert!(parsed.is_ok(), "{file}: {block}\n{parsed:?}");
        }
        for span in spans(&text) {
            let Some((table, rest)) = span.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { continue };
            let table = table.trim_matches(['[', ']']);
            let key = rest.trim_start_matches(']').trim().split([' ', '=']).next().unwrap();
            let exists = KEYS.iter().any(|known| known.table == table && known.name == key);
            assert!(exists, "{file}: there is no key {span}");
            named += 1;
        }
    }
    assert!(named > 20, "only {named} keys were found");
}

/// Names of the form `start` and small letters, digits and hyphens or underscores.
pub(super) fn names(text: &str, start: &str, more: char) -> BTreeSet<String> {
    let rests = text.match_indices(start).filter(|(at, _)| {
        !text[..*at].ends_with(|letter: char| letter.is_ascii_alphanumeric() || "-_/.".contains(letter))
    });
    rests
        .map(|(at, _)| {
            text[at..].chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == more).collect()
        })
        .map(|name: String| name.trim_end_matches(more).to_owned())
        .collect()
}

#[test]
fn every_variable_and_every_metric_that_is_named_exists() {
    let programs = [files_below("src", &["rs"]), files_below("tests/lab/src", &["rs"])].concat();
    // The role has variables of its own.
    let sources = [programs, files_below("docs/examples/ansible", &["yml"])].concat();
    let code: String = sources.into_iter().map(|(_, text)| text).collect();
    let mut found = 0;
    for (file, text) in texts() {
        let text = spans(&text).join(" ") + " " + &blocks(&text, "sh").concat();
        // A metric is put together of the program's name and its own.
        let variables = names(&text, "PATCHDAY_", '_').into_iter();
        let metrics = names(&text, "patchday_", '_').into_iter().map(|name| name.replacen("patchday_", "", 1));
        for name in variables.chain(metrics) {
            assert!(code.contains(&name), "{file}: there is no {name}");
            found += 1;
        }
    }
    assert!(found > 8, "only {found} names were found");
}

#[test]
fn every_cause_of_a_mongod_that_does_not_start_is_documented() {
    let sources = files_below("src/doctor", &["rs"]);
    let sources = sources.iter().filter(|(file, _)| !file.ends_with("tests.rs"));
    let code: String = sources.filter_map(|(_, text)| text.split("#[cfg(test)]").next()).collect();
    let quoted = code.split("\"mongod-").skip(1).filter_map(|rest| rest.split('"').next());
    let variants = code.split("FindingKey::Mongod").skip(1);
    let named = variants.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next()).map(str::to_lowercase);
    let known: BTreeSet<String> = quoted.map(str::to_owned).chain(named).map(|rest| format!("mongod-{rest}")).collect();
    assert!(known.len() > 15, "{known:?}");
    let page = document("docs/mongodb.md").unwrap();
    let rows = page.split_once("| finding | recognised by |").unwrap().1;
    let documented: BTreeSet<String> = rows
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| names(line.split('|').nth(1).unwrap(), "mongod-", '-'))
        .collect();
    assert_eq!(documented, known);
}

/// A whole run leaves no file that the description of the state does not have.
#[test]
fn every_file_of_the_state_is_documented() {
    let scenario = Scenario::new();
    scenario.run_to_end();
    let page = document("docs/state-format.md").unwrap();
    let mut waiting = vec![scenario.state_path().to_owned()];
    let mut files = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_output = [".log", ".status"].iter().any(|ending| name.ends_with(ending));
        assert!(is_output || page.contains(&name), "state-format.md does not have {name}");
        files.insert(name);
    }
    assert!(files.contains("run.json") && files.contains("report.html"), "{files:?}");
}
