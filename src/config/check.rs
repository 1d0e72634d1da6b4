//! Takes values out of the file, one by one, and keeps what is wrong with them.

use std::ops::Range;

use jiff::SignedDuration;
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use toml::Spanned;

use super::error::Problem;
use super::keys::Key;
use super::kind::Kind;
use super::place::Position;
use super::values::{self, Wrong, quoted};

pub(super) struct Check<'a> {
    pub(super) text: &'a str,
    pub(super) problems: Vec<Problem>,
}

impl Check<'_> {
    pub(super) fn problem(
        &mut self,
        span: &Range<usize>,
        key: String,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let at = Some(Position::start(self.text, span));
        self.problems.push(Problem { at, key: Some(key), message: message.into(), hint: hint.into() });
    }

    pub(super) fn wrong(&mut self, span: &Range<usize>, key: &Key, wrong: Wrong) {
        let message = format!("expected {}, found {}", wrong.expected, wrong.found);
        self.problem(span, key.path(), message, wrong.hint);
    }

    /// A value that `take` understands; none where it is not given or wrong.
    pub(super) fn taken<T>(
        &mut self,
        key: &Key,
        value: Option<&Spanned<String>>,
        take: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let value = value?;
        take(value.get_ref()).map_err(|wrong| self.wrong(&value.span(), key, wrong)).ok()
    }

    pub(super) fn text(
        &mut self,
        key: &Key,
        value: Option<&Spanned<String>>,
        take: impl Fn(&str) -> Result<(), Wrong>,
    ) -> Option<String> {
        self.taken(key, value, |text| take(text).map(|()| text.to_owned()))
    }

    pub(super) fn word<'v>(&mut self, key: &Key, value: Option<&'v Spanned<String>>) -> Option<&'v str> {
        self.taken(key, value, |text| values::choice(key.kind, text))?;
        value.map(|value| value.get_ref().as_str())
    }

    /// The word that is given, or the key's default, as what it stands for. None only where no value has that word.
    pub(super) fn choice<T: DeserializeOwned>(&mut self, key: &Key, value: Option<&Spanned<String>>) -> Option<T> {
        let word = self.word(key, value).or_else(|| key.default_text())?;
        let chosen: Result<T, value::Error> = T::deserialize(word.into_deserializer());
        if chosen.is_err() {
            let span = value.map(Spanned::span).unwrap_or_default();
            self.problem(
                &span,
                key.path(),
                format!("{} is a word without a meaning", quoted(word)),
                "report this fault",
            );
        }
        chosen.ok()
    }

    pub(super) fn duration(&mut self, key: &Key, value: Option<&Spanned<String>>) -> SignedDuration {
        let default = key.default_text().and_then(|text| values::duration(key.kind, text).ok());
        self.duration_or(key, value, default.unwrap_or_default())
    }

    /// Where the default depends on other keys.
    pub(super) fn duration_or(
        &mut self,
        key: &Key,
        value: Option<&Spanned<String>>,
        default: SignedDuration,
    ) -> SignedDuration {
        self.taken(key, value, |text| values::duration(key.kind, text)).unwrap_or(default)
    }

    pub(super) fn integer<T: TryFrom<i64> + Default>(&mut self, key: &Key, value: Option<&Spanned<i64>>) -> T {
        let default = || key.default.parse().ok().and_then(|number: i64| T::try_from(number).ok()).unwrap_or_default();
        let Some(value) = value else { return default() };
        let within = if let Kind::Integer(min, max) = key.kind { (min..=max).contains(value.get_ref()) } else { true };
        match T::try_from(*value.get_ref()) {
            Ok(number) if within => number,
            _ => {
                let found = value.get_ref().to_string();
                let hint = format!("for example: {} = {}", key.name, key.example);
                self.wrong(&value.span(), key, Wrong::new(key.kind.expected(), found, hint));
                default()
            }
        }
    }

    pub(super) fn list(
        &mut self,
        key: &Key,
        values: &[Spanned<String>],
        take: impl Fn(&str) -> Result<(), Wrong>,
    ) -> Vec<String> {
        values.iter().filter_map(|value| self.text(key, Some(value), &take)).collect()
    }

    pub(super) fn percent(&mut self, key: &Key, value: Option<&Spanned<String>>) -> u8 {
        let default = key.default_text().and_then(|text| values::percent(text).ok());
        self.taken(key, value, values::percent).or(default).unwrap_or_default()
    }
}
