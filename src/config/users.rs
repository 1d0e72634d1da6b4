//! How `[preflight]` has active users counted.

use std::ops::Range;

use toml::Spanned;

use super::check::Check;
use super::file::Preflight;
use super::keys::{self, Key};
use super::settings::{UserCount, UserSource};
use super::values;
use crate::model::UnitName;

impl Check<'_> {
    /// `mongodb` is the first MongoDB of the file.
    pub(super) fn users(&mut self, given: &Preflight, mongodb: Option<&UnitName>) -> Option<UserCount> {
        let limit = self.integer(&keys::USERS_LIMIT, given.users_limit.as_ref());
        let url = self.text(&keys::USERS_URL, given.users_url.as_ref(), values::url);
        let collection = self.text(&keys::USERS_COLLECTION, given.users_collection.as_ref(), values::collection);
        let field = self.text(&keys::USERS_FIELD, given.users_field.as_ref(), values::field);
        let within = self.duration(&keys::USERS_WITHIN, given.users_within.as_ref());
        let span = |value: &Option<Spanned<String>>| value.as_ref().map(Spanned::span);
        if given.users_collection.is_none() {
            self.needs(&keys::USERS_FIELD, span(&given.users_field), &keys::USERS_COLLECTION);
            self.needs(&keys::USERS_WITHIN, span(&given.users_within), &keys::USERS_COLLECTION);
        }
        match (&given.users_url, &given.users_collection) {
            (Some(_), Some(both)) => {
                let message = "expected one way to count users, found users-url and users-collection";
                self.problem(&both.span(), keys::USERS_COLLECTION.path(), message, "keep one of the two");
                None
            }
            (None, None) => {
                self.needs(&keys::USERS_LIMIT, given.users_limit.as_ref().map(Spanned::span), &keys::USERS_URL);
                None
            }
            (Some(_), None) => Some(UserCount { source: UserSource::Page { url: url? }, limit }),
            (None, Some(counted)) => {
                let Some(unit) = mongodb.cloned() else {
                    let message = "expected a [[service]] with kind = \"mongodb\", found none";
                    let hint = "users-collection is asked for there; or count by users-url";
                    self.problem(&counted.span(), keys::USERS_COLLECTION.path(), message, hint);
                    return None;
                };
                let field = field.or(given.users_field.is_none().then(|| "lastSeen".to_owned()))?;
                let source = UserSource::Documents { unit, collection: collection?, field, within };
                Some(UserCount { source, limit })
            }
        }
    }

    fn needs(&mut self, key: &Key, given: Option<Range<usize>>, other: &Key) {
        if let Some(span) = given {
            let hint = format!("for example: {} = {}", other.name, other.example);
            self.problem(&span, key.path(), format!("only with {}, found it alone", other.name), hint);
        }
    }
}
