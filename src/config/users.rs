//! How `[preflight]` has active users counted.

use super::keys::{self, Key};
use super::reader::Reader;
use super::settings::{UserCount, UserSource};
use crate::model::UnitName;

impl Reader<'_> {
    /// `mongodb` is the first MongoDB of the file.
    pub(super) fn users(self, mongodb: Option<&UnitName>) -> Option<UserCount> {
        let limit = self.integer(&keys::USERS_LIMIT);
        let url = self.text(&keys::USERS_URL);
        let collection = self.text(&keys::USERS_COLLECTION);
        let field = self.text_or_default(&keys::USERS_FIELD);
        let within = self.duration(&keys::USERS_WITHIN);
        let is_given = |key| self.span(key).is_some();
        if !is_given(&keys::USERS_COLLECTION) {
            self.alone(&keys::USERS_FIELD, &keys::USERS_COLLECTION);
            self.alone(&keys::USERS_WITHIN, &keys::USERS_COLLECTION);
        }
        match (is_given(&keys::USERS_URL), is_given(&keys::USERS_COLLECTION)) {
            (true, true) => {
                let message = "expected one way to count users, found users-url and users-collection";
                self.problem_of(&keys::USERS_COLLECTION, message, "keep one of the two");
                None
            }
            (false, false) => {
                self.alone(&keys::USERS_LIMIT, &keys::USERS_URL);
                None
            }
            (true, false) => Some(UserCount { source: UserSource::Page { url: url? }, limit }),
            (false, true) => {
                let Some(unit) = mongodb.cloned() else {
                    let message = "expected a [[service]] with kind = \"mongodb\", found none";
                    let hint = "users-collection is asked for there; or count by users-url";
                    self.problem_of(&keys::USERS_COLLECTION, message, hint);
                    return None;
                };
                let source = UserSource::Documents { unit, collection: collection?, field, within };
                Some(UserCount { source, limit })
            }
        }
    }

    /// A key that means nothing without the other one.
    fn alone(self, key: &Key, other: &Key) {
        self.problem_of(key, format!("only with {}, found it alone", other.name), other.hint());
    }
}
