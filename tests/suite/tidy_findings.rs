//! A finding that nobody finds is a promise of the documents that the program does not keep. The compiler cannot see it:
//! the keys are public.

use super::tidy::{assert_none, files_below};

const KEYS: &str = "src/model/finding_key.rs";

/// Where findings are made. Elsewhere they are shown and told apart.
const FOUND_IN: [&str; 4] = ["src/checks", "src/doctor", "src/steps", "src/verify"];

/// The variants that have a meaning of their own; the last one stands for labels of others.
fn keys(text: &str) -> Vec<String> {
    let file = syn::parse_file(text).unwrap();
    let keys = file.items.into_iter().find_map(|item| match item {
        syn::Item::Enum(item) if item.ident == "FindingKey" => Some(item.variants),
        _ => None,
    });
    keys.unwrap().into_iter().filter(|key| key.fields.is_empty()).map(|key| key.ident.to_string()).collect()
}

fn never_found<'a>(keys: &'a [String], code: &str) -> Vec<&'a String> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_found = |key: &str| {
        let found = format!("FindingKey::{key}");
        code.split(&found).skip(1).any(|rest| !rest.starts_with(is_word))
    };
    keys.iter().filter(|key| !is_found(key)).collect()
}

#[test]
fn every_finding_is_found_somewhere() {
    let (_, text) = files_below("src/model", &["rs"]).into_iter().find(|(file, _)| file == KEYS).unwrap();
    let keys = keys(&text);
    let files = FOUND_IN.iter().flat_map(|directory| files_below(directory, &["rs"]));
    let code: String = files
        .filter(|(file, _)| !file.ends_with("tests.rs"))
        .map(|(_, text)| text.split("#[cfg(test)]").next().unwrap_or_default().to_owned())
        .collect();
    let missing = never_found(&keys, &code).into_iter().map(|key| format!("{KEYS}: nothing ever finds {key}"));
    assert_none(&missing.collect::<Vec<_>>());
}

#[test]
fn the_rule_finds_what_it_is_for() {
    let keys = keys("pub enum FindingKey { Order, OrderLate, Labelled(String) }");
    assert_eq!(keys, ["Order", "OrderLate"]);
    assert_eq!(never_found(&keys, "key: FindingKey::OrderLate,"), ["Order"]);
    assert_eq!(never_found(&keys, "FindingKey::Order, FindingKey::OrderLate"), Vec::<&String>::new());
}
