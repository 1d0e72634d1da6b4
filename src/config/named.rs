//! What a person can name of the configuration.

use std::str::FromStr;

use super::keys::{KEYS, Key, TABLES};
use super::values::quoted;
use crate::model::nearest;

/// A key, as in `limits.cpu`, or a table with all below it, as in `service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named(String);

impl Named {
    /// Every table and every key, in the order of the documentation, with what a key means.
    pub fn all() -> impl Iterator<Item = (String, Option<&'static str>)> {
        TABLES.into_iter().flat_map(|table| {
            let keys = KEYS.iter().filter(move |key| key.table == table);
            [(table.to_owned(), None)].into_iter().chain(keys.map(|key| (key.dotted(), Some(key.about))))
        })
    }

    /// Whether it is that key, or a table that has it.
    pub fn covers(&self, key: &Key) -> bool {
        self.is(key) || key.is_below(&self.0)
    }

    /// Whether it is just that key.
    pub fn is(&self, key: &Key) -> bool {
        key.dotted() == self.0
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all: Vec<String> = Self::all().map(|(name, _)| name).collect();
        if all.iter().any(|name| name == text) {
            return Ok(Self(text.to_owned()));
        }
        let of_that_name = KEYS.iter().find(|key| key.name == text).map(Key::dotted);
        let near = of_that_name.or_else(|| nearest(text, all.iter().map(String::as_str)).map(str::to_owned));
        let hint = near.map_or("see patchday.toml(5)".to_owned(), |near| format!("did you mean {near}?"));
        Err(format!("there is no key and no table {}; {hint}", quoted(text)))
    }
}
