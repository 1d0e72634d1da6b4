//! Are all keys known, and is every value of the right type? Checked before the shapes are filled, so that every
//! mistake of this kind is told at once, by the names and the words of [`super::keys`].

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::keys::{self, Kind, TABLES};
use super::place::Position;
use super::values::{nearest, quoted, redacted};

type Keyed<'t, 'i> = (&'t toml::Spanned<std::borrow::Cow<'i, str>>, &'t toml::Spanned<DeValue<'i>>);

/// Every unknown key and every wrong type.
pub(super) fn check(text: &str, table: &DeTable<'_>) -> Vec<Problem> {
    let mut check = Check { text, problems: Vec::new() };
    check.table("", table);
    check.problems
}

/// toml's own error, which has no key.
pub(super) fn syntax(text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(text.len()..text.len());
    let duplicate = error.message().starts_with("duplicate key");
    let written = text.get(span.clone()).unwrap_or_default();
    let (message, hint) = if duplicate {
        (format!("duplicate key: {written} is given twice"), "give it once; only [[service]] may be repeated")
    } else {
        (error.message().replace('\n', " "), "write one key = value a line; text, durations and shares stand in quotes")
    };
    Problem { at: Some(Position::start(text, &span)), key: None, message, hint: hint.to_owned() }
}

struct Check<'a> {
    text: &'a str,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn wrong(&mut self, span: &Range<usize>, key: String, message: String, hint: String) {
        let at = Some(Position::start(self.text, span));
        self.problems.push(Problem { at, key: Some(key), message, hint });
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
        match value.get_ref() {
            DeValue::Table(table) if name != "service" => self.table(name, table),
            DeValue::Array(services) if name == "service" => {
                for service in services {
                    match service.get_ref() {
                        DeValue::Table(table) => self.service(table, &service.span()),
                        other => self.wrong(
                            &service.span(),
                            header.clone(),
                            format!("expected a table, found {}", found(other)),
                            "begin every service with a line [[service]]".to_owned(),
                        ),
                    }
                }
            }
            DeValue::Table(_) => self.wrong(
                &key.span(),
                format!("[{name}]"),
                format!("expected {header}, found [{name}]"),
                format!("services are a list: begin every one with a line {header}"),
            ),
            other => self.wrong(
                &value.span(),
                header.clone(),
                format!("expected a table, found {}", found(other)),
                format!("write its keys below a line {header}"),
            ),
        }
    }

    fn service(&mut self, table: &DeTable<'_>, span: &Range<usize>) {
        self.table("service", table);
        if !table.contains_key(keys::UNIT.name) {
            let hint = format!("for example: unit = {}", keys::UNIT.example);
            self.wrong(span, keys::UNIT.path(), "missing key".to_owned(), hint);
        }
    }

    fn key(&mut self, table: &str, (name, value): Keyed<'_, '_>) {
        let Some(key) = keys::KEYS.iter().find(|key| key.table == table && key.name == name.get_ref().as_ref()) else {
            return self.unknown(table, name.get_ref(), &name.span());
        };
        let (of_type, expected) = match (key.kind, value.get_ref()) {
            (Kind::Units | Kind::Packages | Kind::Labels, DeValue::Array(items)) => {
                for item in items.iter().filter(|item| !item.get_ref().is_str()) {
                    let message = format!("expected text in quotes, found {}", found(item.get_ref()));
                    self.wrong(
                        &item.span(),
                        key.path(),
                        message,
                        format!("for example: {} = {}", key.name, key.example),
                    );
                }
                return;
            }
            (Kind::Units | Kind::Packages | Kind::Labels, _) => (false, key.kind.expected()),
            (Kind::Boolean, value) => (value.is_bool(), key.kind.expected()),
            (Kind::Integer(..), value) => (value.is_integer(), key.kind.expected()),
            (_, value) => (value.is_str(), format!("{} in quotes", key.kind.expected())),
        };
        if !of_type {
            let message = format!("expected {expected}, found {}", found(value.get_ref()));
            self.wrong(&value.span(), key.path(), message, format!("for example: {} = {}", key.name, key.example));
        }
    }

    fn unknown(&mut self, table: &str, name: &str, span: &Range<usize>) {
        let parent = |path: &str| path.rsplit_once('.').map_or(String::new(), |(parent, _)| parent.to_owned());
        let names: Vec<&str> = keys::KEYS
            .iter()
            .filter(|key| key.table == table)
            .map(|key| key.name)
            .chain(
                TABLES
                    .into_iter()
                    .filter(|path| parent(path) == table)
                    .map(|path| path.rsplit_once('.').map_or(path, |(_, name)| name)),
            )
            .collect();
        let elsewhere: Vec<String> = keys::KEYS
            .iter()
            .filter(|key| key.name == name)
            .map(|key| keys::header(key.table))
            .chain(TABLES.into_iter().filter(|path| path.rsplit('.').next() == Some(name)).map(|path| parent(path)))
            .filter(|place| !place.is_empty())
            .collect();
        let hint = match (nearest(name, names.iter().copied()), elsewhere.first()) {
            (Some(near), _) => format!("did you mean \"{near}\"?"),
            (None, Some(place)) => format!("{} belongs below {place}", quoted(name)),
            (None, None) => "every key is explained in docs/configuration.md".to_owned(),
        };
        let message = format!("unknown key, expected one of {}", names.join(", "));
        self.wrong(span, keys::path(table, name), message, hint);
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
