//! Reads values out of the files by the rows of [`super::keys`], and keeps what is wrong with them.

use std::cell::RefCell;
use std::ops::Range;

use jiff::SignedDuration;
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::keys::{self, Key};
use super::kind::Kind;
use super::located::Positions;
use super::place::Place;
use super::sources::Sources;
use super::values::{self, Wrong, quoted};
use crate::model::with_redacted_urls;

/// What was found in the files besides their values.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) problems: Vec<Problem>,
    pub(super) positions: Positions,
}

/// The whole of the files, or one entry of a list in it. Its types are right: the schema was checked before.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    table: &'a DeTable<'a>,
    /// The list whose entry it is; empty for the whole.
    list: &'static str,
    notes: &'a RefCell<Notes>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &'a Sources, table: &'a DeTable<'a>, notes: &'a RefCell<Notes>) -> Self {
        Self { sources, table, list: "", notes }
    }

    /// The entries of a list, each with its place.
    pub(super) fn entries(self, list: &'static str) -> impl Iterator<Item = Self> {
        let entries = self.table.get(list).and_then(|entries| entries.get_ref().as_array());
        let tables = entries.into_iter().flat_map(|entries| entries.iter());
        tables.filter_map(move |entry| Some(Self { table: entry.get_ref().as_table()?, list, ..self }))
    }

    /// A table that is there, of the whole or of the entry.
    pub(super) fn subtable(self, name: &str) -> Option<Range<usize>> {
        self.table.get(self.name_within(name)?).map(Spanned::span)
    }

    /// The name of a table as this one knows it; empty for itself.
    fn name_within(self, table: &str) -> Option<&str> {
        Some(table.strip_prefix(self.list)?.trim_start_matches('.'))
    }

    /// What the files give, whether it is right or not.
    pub(super) fn value(self, key: &Key) -> Option<&'a Spanned<DeValue<'a>>> {
        let table = match self.name_within(key.table)? {
            "" => self.table,
            below => self.table.get(below)?.get_ref().as_table()?,
        };
        table.get(key.name)
    }

    /// Where the key's value is. None if the file does not give it; an empty list gives nothing, but no program is wrong.
    pub(super) fn span(self, key: &Key) -> Option<Range<usize>> {
        let gives =
            |value: &DeValue<'_>| key.kind == Kind::Command || value.as_array().is_none_or(|items| !items.is_empty());
        self.value(key).filter(|value| gives(value.get_ref())).map(Spanned::span)
    }

    pub(super) fn place(self, key: &Key) -> Option<Place> {
        self.span(key).map(|span| self.sources.place(&span))
    }

    /// A text as it is written.
    pub(super) fn written(self, key: &Key) -> Option<&'a str> {
        self.value(key)?.get_ref().as_str()
    }

    /// The items of a list of texts as they are written.
    pub(super) fn items(self, key: &Key) -> impl Iterator<Item = (&'a str, Range<usize>)> {
        let items = self.value(key).and_then(|value| value.get_ref().as_array());
        items
            .into_iter()
            .flat_map(|items| items.iter())
            .filter_map(|item| Some((item.get_ref().as_str()?, item.span())))
    }

    pub(super) fn note_positions(self, note: impl FnOnce(&mut Positions)) {
        note(&mut self.notes.borrow_mut().positions);
    }

    pub(super) fn problem(self, span: &Range<usize>, key: String, message: impl Into<String>, hint: impl Into<String>) {
        let problem =
            Problem { place: self.sources.place(span), key: Some(key), message: message.into(), hint: hint.into() };
        self.notes.borrow_mut().problems.push(problem);
    }

    /// A problem of a key's value; none if the file does not give it.
    pub(super) fn problem_of(self, key: &Key, message: impl Into<String>, hint: impl Into<String>) {
        if let Some(span) = self.span(key) {
            self.problem(&span, key.path(), message, hint);
        }
    }

    pub(super) fn wrong(self, span: &Range<usize>, key: &Key, wrong: Wrong) {
        let found = if key.is_near_a_secret() { "something else" } else { &with_redacted_urls(&wrong.found) };
        let message = format!("expected {}, found {found}", wrong.expected);
        self.problem(span, key.path(), message, wrong.hint);
    }

    /// A key without which what stands at `span` means nothing.
    pub(super) fn missing(self, key: &Key, span: &Range<usize>, needed_by: &str) {
        self.problem(span, key.path(), format!("missing key: {needed_by} needs it"), key.hint());
    }

    /// Of two or more ways to the same thing: only one of them may be given. What is said of a second one has the names
    /// of the first and of the last.
    pub(super) fn one_of(self, ways: &[&Key], problem: impl FnOnce(&str, &str) -> (String, String)) {
        let given: Vec<&Key> = ways.iter().copied().filter(|key| self.span(key).is_some()).collect();
        if let [first, .., last] = given.as_slice() {
            let (message, hint) = problem(first.name, last.name);
            self.problem_of(last, message, hint);
        }
    }

    /// The value as `take` understands it. None if it is not given, or wrong.
    pub(super) fn taken<T>(self, key: &Key, take: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let value = self.value(key)?;
        take(value.get_ref().as_str()?).map_err(|wrong| self.wrong(&value.span(), key, wrong)).ok()
    }

    /// A text of the key's kind.
    pub(super) fn text(self, key: &Key) -> Option<String> {
        self.taken(key, |text| values::check(key.kind, text).map(|()| text.to_owned()))
    }

    /// A text of the key's kind, or the key's default.
    pub(super) fn text_or_default(self, key: &Key) -> String {
        self.text(key).unwrap_or_else(|| key.default_text().unwrap_or_default().to_owned())
    }

    /// One of the key's words. None if it is not given, or no such word.
    pub(super) fn word(self, key: &Key) -> Option<&'a str> {
        self.taken(key, |text| values::choice(key.kind, text))?;
        self.written(key)
    }

    /// The word that is given, or the key's default, as what it stands for. None only if no value has that word.
    pub(super) fn choice<T: DeserializeOwned>(self, key: &Key) -> Option<T> {
        let word = self.word(key).or_else(|| key.default_text())?;
        let chosen = meaning(word);
        if chosen.is_err() {
            let message = format!("{} is a word without a meaning", quoted(word));
            self.problem(&self.span(key).unwrap_or_default(), key.path(), message, "report this fault");
        }
        chosen.ok()
    }

    pub(super) fn duration(self, key: &Key) -> SignedDuration {
        self.duration_or(key, key.default_duration())
    }

    /// Where the default depends on other keys.
    pub(super) fn duration_or(self, key: &Key, default: SignedDuration) -> SignedDuration {
        self.taken(key, |text| values::duration(key.kind, text)).unwrap_or(default)
    }

    pub(super) fn percent(self, key: &Key) -> u8 {
        let default = key.default_text().and_then(|text| values::percent(text).ok());
        self.taken(key, values::percent).or(default).unwrap_or_default()
    }

    pub(super) fn integer<T: TryFrom<i64> + Default>(self, key: &Key) -> T {
        let default = || key.default.parse().ok().and_then(|number: i64| T::try_from(number).ok()).unwrap_or_default();
        let given = self.value(key).and_then(|value| {
            let number = value.get_ref().as_integer()?;
            Some((i64::from_str_radix(number.as_str(), number.radix()).ok()?, value.span()))
        });
        let Some((number, span)) = given else { return default() };
        let within = if let Kind::Integer(min, max) = key.kind { (min..=max).contains(&number) } else { true };
        match T::try_from(number) {
            Ok(number) if within => number,
            _ => {
                self.wrong(&span, key, Wrong::new(key.kind.expected(), number.to_string(), key.hint()));
                default()
            }
        }
    }

    pub(super) fn is_on(self, key: &Key) -> bool {
        let given = self.value(key).and_then(|value| value.get_ref().as_bool());
        given.unwrap_or(key.default == "true")
    }

    /// One of the key's words: the first where `true` is given. Nothing is chosen where `false` is, or nothing.
    pub(super) fn switch<T: DeserializeOwned + Default>(self, key: &Key) -> T {
        let given = self.value(key).and_then(|value| value.get_ref().as_bool());
        let first = if let Kind::Switch([first, ..]) = key.kind { Some(*first) } else { None };
        match given {
            Some(true) => first.and_then(|word| meaning(word).ok()).unwrap_or_default(),
            Some(false) => T::default(),
            None => self.choice(key).unwrap_or_default(),
        }
    }

    /// The right ones of a list's items.
    pub(super) fn taken_items<T>(self, key: &Key, take: impl Fn(&str) -> Result<T, Wrong>) -> Vec<T> {
        let taken = |(item, span): (&str, Range<usize>)| take(item).map_err(|wrong| self.wrong(&span, key, wrong)).ok();
        self.items(key).filter_map(taken).collect()
    }

    pub(super) fn list(self, key: &Key) -> Vec<String> {
        self.taken_items(key, |item| values::check(key.kind, item).map(|()| item.to_owned()))
    }

    /// A program by its absolute path, and its arguments: whatever a `PATH` says, the same program is run.
    pub(super) fn program(self, key: &Key) -> Option<Vec<String>> {
        let span = self.span(key)?;
        let argv: Vec<(&str, Range<usize>)> = self.items(key).collect();
        let Some((program, at)) = argv.first() else {
            self.wrong(&span, key, Wrong::new(Kind::Command.expected(), "an empty list", key.hint()));
            return None;
        };
        values::path(program).map_err(|wrong| self.wrong(at, key, wrong)).ok()?;
        Some(argv.iter().map(|(argument, _)| (*argument).to_owned()).collect())
    }
}

/// What a word of a choice stands for.
fn meaning<T: DeserializeOwned>(word: &str) -> Result<T, value::Error> {
    T::deserialize(word.into_deserializer())
}

/// What a table means that gives nothing: every key's default.
pub(super) fn of_nothing<T>(read: impl FnOnce(Reader<'_>) -> T) -> T {
    let (sources, nothing, notes) = (Sources::default(), DeTable::new(), RefCell::default());
    read(Reader::new(&sources, &nothing, &notes))
}

/// The entries of `[[service]]`, in the order of the files.
pub(super) fn services(file: Reader<'_>) -> impl Iterator<Item = Reader<'_>> {
    file.entries(keys::UNIT.table)
}
