//! What every key is, and which file says so.

use std::borrow::Cow;
use std::cell::RefCell;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::keys::{self, KEYS, Key, TABLES};
use super::kind::Kind;
use super::merge::json;
use super::place::Place;
use super::reader::Reader;
use super::settings::Settings;
use super::sources::Sources;
use crate::model::{server_of, with_redacted_urls};

/// A key, what it is, and who says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    pub key: &'static Key,
    /// The entry of its list, counted from 1; none for a table that is there once.
    pub entry: Option<usize>,
    /// None if it is not set and has no default, or would mean nothing here.
    pub value: Option<Value>,
    /// Where it is set; none if it is not.
    pub place: Option<Place>,
}

impl Effective {
    /// The value for others to see: URLs in it are without what may be secret.
    pub fn shown(&self) -> Option<Value> {
        // Whoever knows the whole of a webhook's URL may call it.
        let is_secret = self.key.kind == Kind::Url && self.key.is_near_a_secret();
        let harmless = if is_secret { server_of } else { with_redacted_urls };
        let shown = |value: &Value| value.as_str().map_or_else(|| value.clone(), |text| harmless(text).into());
        self.value.as_ref().map(|value| match value {
            Value::Array(items) => items.iter().map(shown).collect(),
            plain => shown(plain),
        })
    }
}

impl Sources {
    /// Every key, table by table and entry by entry, in the order of the documentation. `whole` is what the files have made,
    /// and was judged.
    pub(super) fn effective(&self, whole: &DeTable<'_>, cpus: u32, known_checks: &[&str]) -> Vec<Effective> {
        let once = whole.iter().filter(|(name, _)| keys::identity(name.get_ref()).is_none());
        let table = once.map(|(name, table)| (name.clone(), table.clone())).collect();
        let once = Part { sources: self, table, list: "", cpus, known_checks };
        let mut effective = Vec::new();
        for table in TABLES.into_iter().filter(|table| !table.contains('.')) {
            if keys::identity(table).is_none() {
                effective.extend(once.keys(table, None));
                continue;
            }
            let entries = whole.get(table).and_then(|entries| entries.get_ref().as_array());
            for (number, entry) in (1..).zip(entries.into_iter().flat_map(|entries| entries.iter())) {
                let part = Part { table: only(table, entry.clone()), list: table, ..once };
                effective.extend(part.keys(table, Some(number)));
            }
        }
        effective
    }
}

/// The table of a file that has nothing but this entry of a list.
fn only<'s>(list: &'static str, entry: Spanned<DeValue<'s>>) -> DeTable<'s> {
    DeTable::from_iter([(named(list), Spanned::new(0..0, DeValue::Array([entry].into_iter().collect())))])
}

fn named<'s>(name: &'static str) -> Spanned<Cow<'s, str>> {
    Spanned::new(0..0, Cow::Borrowed(name))
}

/// What can be understood by itself: all tables that are there once, or one entry of a list.
struct Part<'s> {
    sources: &'s Sources,
    table: DeTable<'s>,
    list: &'static str,
    cpus: u32,
    known_checks: &'s [&'s str],
}

impl<'s> Part<'s> {
    /// The keys of a table, and of those below it.
    fn keys(&self, table: &str, entry: Option<usize>) -> Vec<Effective> {
        let notes = RefCell::default();
        let whole = Reader::new(self.sources, &self.table, &notes);
        let reader = if self.list.is_empty() { Some(whole) } else { whole.entries(self.list).next() };
        let (before, mut effective) = (self.meaning(&self.table), Vec::new());
        for key in KEYS.iter().filter(|key| key.is_below(table)) {
            let given = reader.and_then(|reader| reader.value(key));
            let place = given.map(|given| self.sources.place(&given.span()));
            let value = given.map(|given| json(given.get_ref())).or_else(|| self.default(key, reader?, &before));
            effective.push(Effective { key, entry, value, place });
        }
        effective
    }

    /// The default that is in force: the one that changes nothing where it is set. So the readers alone know on what a
    /// default depends, and where a key would mean nothing.
    fn default(&self, key: &Key, reader: Reader<'_>, before: &Meaning) -> Option<Value> {
        let defaults = key.defaults().into_iter().filter_map(|default| DeValue::parse(default).ok());
        let other = KEYS.iter().find(|other| other.table == key.table && Some(other.name) == key.default_elsewhere());
        let others = other.and_then(|other| reader.value(other)).cloned();
        let is_in_force = |default: &Spanned<DeValue<'_>>| {
            let mut table = self.table.clone();
            table_of(&mut table, self.list, key).map(|within| within.insert(named(key.name), default.clone()));
            self.meaning(&table) == *before
        };
        defaults.chain(others).find(is_in_force).map(|default| json(default.get_ref()))
    }

    fn meaning(&self, table: &DeTable<'_>) -> Meaning {
        let (settings, notes) = self.sources.read(table, self.cpus, self.known_checks);
        (settings, notes.problems)
    }
}

/// Settings as far as they can be told, and what is wrong with a part that is torn out of its whole.
type Meaning = (Option<Settings>, Vec<Problem>);

/// The table that the key belongs into, which is made if it is not there.
fn table_of<'t, 's>(whole: &'t mut DeTable<'s>, list: &str, key: &Key) -> Option<&'t mut DeTable<'s>> {
    let within = if list.is_empty() {
        whole
    } else {
        let DeValue::Array(entries) = whole.get_mut(list)?.get_mut() else { return None };
        let DeValue::Table(entry) = entries.first_mut()?.get_mut() else { return None };
        entry
    };
    let below = key.table.strip_prefix(list)?.trim_start_matches('.');
    if below.is_empty() {
        return Some(within);
    }
    let table = within.entry(named(below)).or_insert_with(|| Spanned::new(0..0, DeValue::Table(DeTable::new())));
    if let DeValue::Table(table) = table.get_mut() { Some(table) } else { None }
}
