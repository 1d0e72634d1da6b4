//! Are all keys known, and is every value of the right type? Checked before values are read, so that every mistake of
//! this kind is told at once, by the names and the words of [`super::keys`].

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::keys::{self, Key, TABLES};
use super::kind::Kind;
use super::place::Place;
use super::sources::{Source, Sources};
use super::values::quoted;
use crate::model::{nearest, redacted};

type Keyed<'t, 'i> = (&'t toml::Spanned<std::borrow::Cow<'i, str>>, &'t toml::Spanned<DeValue<'i>>);

/// Every unknown key and every wrong type of one file.
pub(super) fn check(sources: &Sources, table: &DeTable<'_>) -> Vec<Problem> {
    let mut check = Check { sources, problems: Vec::new() };
    check.table("", table);
    check.problems
}

/// Every key that an entry of a list must have, and that no file gives it.
pub(super) fn required(sources: &Sources, whole: &DeTable<'_>) -> Vec<Problem> {
    let mut check = Check { sources, problems: Vec::new() };
    for key in keys::KEYS.iter().filter(|key| key.default == "required") {
        let entries = whole.get(key.table).and_then(|entries| entries.get_ref().as_array());
        let lacks = |entry: &&toml::Spanned<DeValue<'_>>| {
            entry.get_ref().as_table().is_some_and(|entry| !entry.contains_key(key.name))
        };
        for entry in entries.into_iter().flat_map(|entries| entries.iter()).filter(lacks) {
            check.wrong(&entry.span(), key.path(), "missing key".to_owned(), key.hint());
        }
    }
    check.problems
}

/// toml's own error. It has no key, but the line mostly tells which one is meant.
pub(super) fn syntax(source: &Source, error: &toml::de::Error) -> Problem {
    let text = source.text.as_str();
    let span = error.span().unwrap_or(text.len()..text.len());
    let written = text.get(span.clone()).unwrap_or_default();
    let problem = |key, message, hint: &str| {
        let place = Place::of(&source.path, text.as_bytes(), span.start);
        Problem { place, key, message, hint: hint.to_owned() }
    };
    if error.message().starts_with("duplicate key") {
        let message = format!("expected every key once, found {written} again");
        return problem(
            None,
            message,
            "keep one of the two; only what stands in double brackets, as [[service]], may be repeated",
        );
    }
    if let Some((key, value)) = key_of_line(text, span.start) {
        let found = match value {
            "" => "nothing".to_owned(),
            _ if key.is_near_a_secret() => "something else".to_owned(),
            _ => redacted(value),
        };
        let message = format!("expected {}, found {found}", expected(key.kind));
        return problem(Some(key.path()), message, &key.hint());
    }
    let message = format!("not TOML: {}", error.message().replace('\n', " "));
    problem(None, message, "write one key = value a line; text, durations and shares stand in quotes")
}

/// The key whose value the offset is in, and what is written there, for values that begin and end in one line.
fn key_of_line(text: &str, offset: usize) -> Option<(&'static Key, &str)> {
    let start = text.get(..offset)?.rfind('\n').map_or(0, |newline| newline + 1);
    let (name, value) = text.get(start..)?.lines().next()?.split_once('=')?;
    if offset <= start + name.len() {
        return None;
    }
    let header = text.get(..start)?.lines().rev().find(|line| line.starts_with('['))?;
    let table = header.split(']').next()?.trim_matches(['[', ' ']);
    let key = keys::KEYS.iter().find(|key| key.table == table && key.name == name.trim())?;
    Some((key, value.trim()))
}

/// What a key takes, as it is written.
fn expected(kind: Kind) -> String {
    match kind {
        Kind::Boolean | Kind::Integer(..) => kind.expected(),
        kind if kind.is_list() => kind.expected(),
        _ => format!("{} in quotes", kind.expected()),
    }
}

struct Check<'a> {
    sources: &'a Sources,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn wrong(&mut self, span: &Range<usize>, key: String, message: String, hint: String) {
        let place = self.sources.place(span);
        self.problems.push(Problem { place, key: Some(key), message, hint });
    }

    fn table(&mut self, name: &str, table: &DeTable<'_>) {
        for (key, value) in table.iter() {
            let path = if name.is_empty() { key.get_ref().to_string() } else { format!("{name}.{}", key.get_ref()) };
            if TABLES.contains(&path.as_str()) {
                self.subtable(&path, (key, value));
            } else {
                self.key(name, (key, value));
            }
        }
    }

    fn subtable(&mut self, name: &str, (key, value): Keyed<'_, '_>) {
        let header = keys::header(name);
        let is_list = keys::identity(name).is_some();
        match value.get_ref() {
            DeValue::Table(table) if !is_list => self.table(name, table),
            DeValue::Array(entries) if is_list => {
                for entry in entries {
                    match entry.get_ref() {
                        DeValue::Table(table) => self.table(name, table),
                        other => self.wrong(
                            &entry.span(),
                            header.clone(),
                            format!("expected a table, found {}", found(other)),
                            format!("begin every one with a line {header}"),
                        ),
                    }
                }
            }
            DeValue::Table(_) => self.wrong(
                &key.span(),
                format!("[{name}]"),
                format!("expected {header}, found [{name}]"),
                format!("this is a list: begin every one with a line {header}"),
            ),
            other => self.wrong(
                &value.span(),
                header.clone(),
                format!("expected a table, found {}", found(other)),
                format!("write its keys below a line {header}"),
            ),
        }
    }

    fn key(&mut self, table: &str, (name, value): Keyed<'_, '_>) {
        let Some(key) = keys::KEYS.iter().find(|key| key.table == table && key.name == name.get_ref().as_ref()) else {
            return self.unknown(table, (name, value));
        };
        let of_type = match (key.kind, value.get_ref()) {
            (kind, DeValue::Array(items)) if kind.is_list() => {
                for item in items.iter().filter(|item| !item.get_ref().is_str()) {
                    let message = format!("expected text in quotes, found {}", found(item.get_ref()));
                    self.wrong(&item.span(), key.path(), message, key.hint());
                }
                true
            }
            (kind, _) if kind.is_list() => false,
            (Kind::Boolean, value) => value.is_bool(),
            (Kind::Switch(_), value) => value.is_bool() || value.is_str(),
            (Kind::Integer(..), DeValue::Integer(number)) => {
                i64::from_str_radix(number.as_str(), number.radix()).is_ok()
            }
            (Kind::Integer(..), _) => false,
            (_, value) => value.is_str(),
        };
        if !of_type {
            let message = format!("expected {}, found {}", expected(key.kind), found(value.get_ref()));
            self.wrong(&value.span(), key.path(), message, key.hint());
        }
    }

    fn unknown(&mut self, table: &str, (key, value): Keyed<'_, '_>) {
        let name = key.get_ref().as_ref();
        let keys_here = keys::KEYS.iter().filter(|key| key.table == table).map(|key| key.name);
        let tables_here = TABLES.iter().map(|path| path.rsplit_once('.').unwrap_or(("", path)));
        let names: Vec<&str> =
            keys_here.chain(tables_here.filter(|(parent, _)| *parent == table).map(|(_, name)| name)).collect();
        let key_elsewhere = keys::KEYS.iter().find(|key| key.name == name);
        let table_elsewhere = TABLES.iter().find(|path| path.rsplit('.').next() == Some(name));
        let hint = match (nearest(name, names.iter().copied()), key_elsewhere, table_elsewhere) {
            (Some(near), ..) => format!("did you mean \"{near}\"?"),
            (None, Some(key), _) => format!("{name} belongs below {}", keys::header(key.table)),
            (None, None, Some(path)) => format!("did you mean {}?", keys::header(path)),
            (None, None, None) => "every key is explained in docs/configuration.md".to_owned(),
        };
        let is_table = matches!(value.get_ref(), DeValue::Table(_));
        let (what, path) = match table {
            "" if is_table => ("table", format!("[{name}]")),
            _ => ("key", keys::path(table, name)),
        };
        self.wrong(&key.span(), path, format!("unknown {what}, expected one of {}", names.join(", ")), hint);
    }
}

/// A value in words.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(&redacted(text)),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date or a time".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
