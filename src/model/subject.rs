//! What a finding is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ListeningSocket, UnitName};

/// What a finding is about. Written as the text that it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Subject {
    /// A unit of systemd.
    Unit(UnitName),
    /// A mount point, or a file.
    Path(String),
    /// Anything else: a socket, a package, the clock.
    Other(String),
}

impl Subject {
    /// The address on which a program listens.
    pub fn socket(socket: &ListeningSocket) -> Self {
        Self::Other(format!("{} {}", socket.protocol, socket.address))
    }

    /// The unit that it is: of a mount point the unit that mounts it.
    pub fn unit(&self) -> Option<UnitName> {
        match self {
            Self::Unit(unit) => Some(unit.clone()),
            Self::Path(point) => format!("{}.mount", unit_of_mount(point)).parse().ok(),
            Self::Other(_) => None,
        }
    }
}

/// The name of the unit that systemd makes of a mount point, without its suffix: `/srv/data` is `srv-data`.
pub fn unit_of_mount(point: &str) -> String {
    let trimmed = point.trim_matches('/');
    if trimmed.is_empty() {
        return "-".to_owned();
    }
    let mut name = String::new();
    for (at, byte) in trimmed.bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            _ if byte.is_ascii_alphanumeric() || b":_.".contains(&byte) => name.push(char::from(byte)),
            _ => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    name
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        match text.parse() {
            _ if text.starts_with('/') => Self::Path(text),
            Ok(unit) => Self::Unit(unit),
            Err(_) => Self::Other(text),
        }
    }
}

impl From<&str> for Subject {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<&String> for Subject {
    fn from(text: &String) -> Self {
        text.clone().into()
    }
}

impl From<&UnitName> for Subject {
    fn from(unit: &UnitName) -> Self {
        Self::Unit(unit.clone())
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => unit.fmt(formatter),
            Self::Path(text) | Self::Other(text) => formatter.write_str(text),
        }
    }
}
