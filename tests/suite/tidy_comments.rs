//! A comment says more than the name of what it stands over: "The step." over a field `step` says nothing.

use super::tidy::{assert_none, files_below};

/// What is shown to users as it stands: help of the command line.
const SHOWN: &str = "src/cli/args";

/// With three words or fewer there is nothing to say but the name; a shape (in backticks), a link or a number is more.
fn says_nothing(comment: &str) -> bool {
    comment.split_whitespace().count() <= 3 && !comment.contains(['`', '[']) && !comment.contains(char::is_numeric)
}

fn empty_comments(file: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let is_doc = |at: Option<usize>| at.and_then(|at| lines.get(at)).is_some_and(|line| line.starts_with("///"));
    let alone = |at: usize| !is_doc(at.checked_sub(1)) && !is_doc(Some(at + 1));
    let docs = lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_prefix("/// ")?)));
    let empty = docs.filter(|(at, comment)| alone(*at) && says_nothing(comment));
    empty.map(|(at, comment)| format!("{file}:{}: \"{comment}\" says no more than the name below it", at + 1)).collect()
}

#[test]
fn a_comment_says_more_than_a_name() {
    let files = files_below("src", &["rs"]);
    let read = files.iter().filter(|(file, _)| !file.starts_with(SHOWN));
    assert_none(&read.flat_map(|(file, text)| empty_comments(file, text)).collect::<Vec<_>>());
}

#[test]
fn the_rule_finds_what_it_is_for() {
    for (text, is_found) in [
        ("    /// The step.\n    step: Step,\n", true),
        ("/// Who.\n#[serde(default)]\nby: String,\n", true),
        ("/// `HOST:PORT`.\naddress: String,\n", false),
        ("/// From 1 on.\nnumber: u32,\n", false),
        ("/// See [`Step::nature`].\nnature: Nature,\n", false),
        ("/// Seconds since the epoch.\nat: u64,\n", false),
        ("/// The step.\n///\n/// # Errors\nfn step() {}\n", false),
        ("// The step.\nstep: Step,\n", false),
    ] {
        assert_eq!(!empty_comments("src/x.rs", text).is_empty(), is_found, "{text}");
    }
}
