//! What a key of the configuration is, and which tables there are.

use jiff::SignedDuration;

use super::kind::Kind;
use super::values;

#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its table, as in `service.readiness`.
    pub table: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    /// Its default: in TOML, or in words if it depends on the host or on other keys.
    pub default: &'static str,
    /// Its default in a service of `kind = "mongodb"`, in TOML. None if that is the same.
    pub mongodb_default: Option<&'static str>,
    /// A valid value, in TOML.
    pub example: &'static str,
    pub about: &'static str,
}

impl Key {
    /// What to write, as a hint.
    pub(super) fn hint(&self) -> String {
        format!("for example: {} = {}", self.name, self.example)
    }

    /// Table and key, as in `[service.readiness] probe`.
    pub fn path(&self) -> String {
        path(self.table, self.name)
    }

    /// The default of a key that takes a text.
    pub(super) fn default_text(&self) -> Option<&'static str> {
        unquoted(self.default)
    }

    /// The default in a service that is a MongoDB.
    pub(super) fn mongodb_text(&self) -> Option<&'static str> {
        self.mongodb_default.and_then(unquoted).or_else(|| self.default_text())
    }

    /// The default of a key that takes a duration; no time at all if there is none.
    pub(super) fn default_duration(&self) -> SignedDuration {
        self.duration(self.default_text())
    }

    /// The default duration in a service that is a MongoDB.
    pub(super) fn mongodb_duration(&self) -> SignedDuration {
        self.duration(self.mongodb_text())
    }

    /// What may be its default, each in TOML; what is no TOML is no value.
    pub(super) fn defaults(&self) -> Vec<&'static str> {
        self.mongodb_default.into_iter().chain([self.default]).flat_map(literals).collect()
    }

    /// The name of the key of the same table whose value is the default.
    pub(super) fn default_elsewhere(&self) -> Option<&'static str> {
        self.default.split('`').nth(1)
    }

    /// As a person names it, as in `service.readiness.probe`.
    pub fn dotted(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    /// Whether what is written there may be a secret, by mistake or by its nature: then no error quotes it.
    pub(super) fn is_near_a_secret(&self) -> bool {
        self.name.ends_with("-file")
            || matches!(self.kind, Kind::Credential | Kind::Collection)
            || self.table == NOTIFY && self.kind == Kind::Url
    }

    /// Whether it belongs to that table, or to one below it.
    pub(super) fn is_below(&self, table: &str) -> bool {
        self.table.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Whether entries of its list are told apart by it.
    pub fn identifies(&self) -> bool {
        identity(self.table).is_some_and(|identity| identity.contains(&self.name))
    }

    fn duration(&self, text: Option<&str>) -> SignedDuration {
        text.and_then(|text| values::duration(self.kind, text).ok()).unwrap_or_default()
    }

    /// The key's entry in `docs/configuration.md`.
    pub fn entry(&self) -> String {
        let (name, kind) = (self.name, self.kind.expected());
        let default = match self.default {
            "required" | "none" => self.default.to_owned(),
            default if default.starts_with("the ") => default.to_owned(),
            default => format!("`{default}`"),
        };
        let of_mongodb = self.mongodb_default.map(|default| format!("; for mongodb `{default}`")).unwrap_or_default();
        format!(
            "### `{name}`\n\n{}\nTakes {kind}. Default: {default}{of_mongodb}. Example: `{name} = {}`\n",
            self.about, self.example
        )
    }
}

/// A text without the quotes that TOML has around it.
fn unquoted(toml: &'static str) -> Option<&'static str> {
    toml.strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('"'))
}

/// A default in TOML, or what is quoted in one in words.
fn literals(default: &'static str) -> Vec<&'static str> {
    if !default.contains('"') {
        return vec![default];
    }
    let quotes: Vec<usize> = default.match_indices('"').map(|(at, _)| at).collect();
    quotes.chunks_exact(2).filter_map(|pair| default.get(pair[0]..=pair[1])).collect()
}

/// Table and key, as in `[service.readiness] probe`.
pub(super) fn path(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{} {name}", header(table)) }
}

/// The table's header, as in `[[service]]` or `[limits]`.
pub fn header(table: &str) -> String {
    if identity(table).is_some() { format!("[[{table}]]") } else { format!("[{table}]") }
}

pub(super) const SERVICE: &str = "service";
pub(super) const NOTIFY: &str = "notify";
pub(super) const READINESS: &str = "service.readiness";
pub(super) const MONGODB: &str = "service.mongodb";
pub(super) const WINDOW: &str = "window";
pub(super) const BLACKOUT: &str = "blackout";
pub(super) const HOOK: &str = "hook";

/// Tables that may be there more than once, and the names of the keys by which one entry is told from another: an entry
/// of a later file amends the one of an earlier file that has the same values of these, or lacks them too.
const LISTS: [(&str, &[&str]); 5] = [
    (SERVICE, &["unit"]),
    (WINDOW, &["calendar"]),
    (BLACKOUT, &["from", "reason"]),
    (HOOK, &["point", "command"]),
    (NOTIFY, &["kind", "to", "url", "url-file", "url-credential", "file"]),
];

/// The keys by which entries of this table are told apart; none if it is there only once.
pub(super) fn identity(table: &str) -> Option<&'static [&'static str]> {
    LISTS.iter().find(|(list, _)| *list == table).map(|(_, identity)| *identity)
}

/// Tables in the order of the documentation.
pub const TABLES: [&str; 16] = [
    SERVICE,
    READINESS,
    MONGODB,
    WINDOW,
    BLACKOUT,
    "limits",
    "upgrade",
    "kernel",
    "reboot",
    "verify",
    "preflight",
    "report",
    "announce",
    "silence",
    HOOK,
    NOTIFY,
];
