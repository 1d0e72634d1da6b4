//! One table of all files: what a later file says amends what the earlier ones say.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::Problem;
use super::keys;
use super::schema;
use super::sources::Sources;

impl Sources {
    /// All files as if they were one. Its types are right, and its keys are known.
    ///
    /// # Errors
    ///
    /// What is wrong with any of the files.
    pub(super) fn merged(&self) -> Result<DeTable<'_>, Vec<Problem>> {
        let (mut whole, mut problems) = (DeTable::new(), self.lacks().to_vec());
        let mut is_whole = problems.is_empty();
        for source in self.iter() {
            match DeTable::parse(&source.text) {
                Ok(table) => {
                    let table = moved(table.into_inner(), source.start);
                    problems.extend(schema::check(self, &table));
                    amend(&mut whole, table, "");
                }
                Err(error) => {
                    problems.push(schema::syntax(source, &error));
                    is_whole = false;
                }
            }
        }
        if is_whole {
            problems.extend(schema::required(self, &whole));
        }
        if problems.is_empty() { Ok(whole) } else { Err(problems) }
    }
}

/// The table with spans that count from `start` on.
fn moved(table: DeTable<'_>, start: usize) -> DeTable<'_> {
    let moved = |(key, value)| (Spanned::new(shifted(&key, start), key.into_inner()), moved_value(value, start));
    table.into_iter().map(moved).collect()
}

fn moved_value(value: Spanned<DeValue<'_>>, start: usize) -> Spanned<DeValue<'_>> {
    let span = shifted(&value, start);
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved(table, start)),
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| moved_value(item, start)).collect()),
        plain => plain,
    };
    Spanned::new(span, value)
}

fn shifted<T>(value: &Spanned<T>, start: usize) -> Range<usize> {
    let span = value.span();
    span.start + start..span.end + start
}

/// Puts the keys of a later file over those of the earlier ones. `name` is the name of both tables.
fn amend<'s>(earlier: &mut DeTable<'s>, later: DeTable<'s>, name: &str) {
    for (key, value) in later {
        let path = if name.is_empty() { key.get_ref().to_string() } else { format!("{name}.{}", key.get_ref()) };
        let span = value.span();
        match (earlier.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.into_inner(), keys::identity(&path))
        {
            (Some(DeValue::Table(earlier)), DeValue::Table(later), _) => amend(earlier, later, &path),
            (Some(DeValue::Array(earlier)), DeValue::Array(later), Some(identity)) => {
                amend_entries(earlier, later, &path, identity);
            }
            (_, value, _) => drop(earlier.insert(key, Spanned::new(span, value))),
        }
    }
}

/// Each entry of a later file amends the first one of the earlier files that is the same and that this file did not
/// amend yet, or is added. So what one file says twice is there twice, as in the only file.
fn amend_entries<'s>(earlier: &mut DeArray<'s>, later: DeArray<'s>, list: &str, identity: &[&str]) {
    let mut open: Vec<usize> = (0..earlier.len()).collect();
    for entry in later {
        let wanted = identify(&entry, identity);
        let same = open.iter().position(|at| identify(&earlier[*at], identity) == wanted);
        let span = entry.span();
        let same = same.and_then(|at| earlier.get_mut(open.remove(at))).map(Spanned::get_mut);
        match (same, entry.into_inner()) {
            (Some(DeValue::Table(earlier)), DeValue::Table(later)) => amend(earlier, later, list),
            (_, entry) => earlier.push(Spanned::new(span, entry)),
        }
    }
}

/// What an entry is told from others by.
fn identify(entry: &Spanned<DeValue<'_>>, identity: &[&str]) -> Vec<Option<Value>> {
    let table = entry.get_ref().as_table();
    identity.iter().map(|key| Some(json(table?.get(*key)?.get_ref()))).collect()
}

/// A value as JSON has it.
pub(super) fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => Value::from(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        // No key takes these; the schema has told so.
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Value::Null,
    }
}
