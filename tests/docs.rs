//! The documentation says what the code does.

use std::fs::read_to_string;
use std::io::Result;
use std::path::Path;

use patchday::exit_code;

fn document(name: &str) -> Result<String> {
    read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
}

/// Cells of the rows of a document's only table, without its head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .skip(2)
        .map(|line| line.split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn the_exit_codes_are_those_of_the_code() {
    let text = document("docs/exit-codes.md").unwrap();
    let documented: Vec<(String, String)> =
        rows(&text).iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
    let known: Vec<(String, String)> =
        exit_code::ALL.iter().map(|(code, meaning)| (code.to_string(), (*meaning).to_owned())).collect();
    assert_eq!(documented, known);
    assert!(rows(&text).iter().all(|row| row.len() == 3 && !row[2].is_empty()), "each code says what to do");
}
