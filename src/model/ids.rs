//! Identifiers that are checked once, where they enter.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A text that is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: expected {expected}")]
pub struct InvalidId {
    what: &'static str,
    text: String,
    expected: &'static str,
}

impl InvalidId {
    pub(super) fn new(what: &'static str, text: &str, expected: &'static str) -> Self {
        Self { what, text: text.to_owned(), expected }
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId::new($what, text, $expected))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Names one run in every event, log line, unit and file. Sorts by the time of its minting.
    RunId,
    "run ID",
    "a date, a time and four hexadecimal digits, as in 20261123t231000z-0f3a",
    |text| {
        let bytes = text.as_bytes();
        bytes.len() == 21
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                8 => *byte == b't',
                15 => *byte == b'z',
                16 => *byte == b'-',
                17.. => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
                _ => byte.is_ascii_digit(),
            })
    }
);

impl RunId {
    /// Mints an ID; `salt` tells apart two runs minted in the same second.
    pub fn mint(now: Timestamp, salt: u16) -> Self {
        Self(format!("{}-{salt:04x}", now.strftime("%Y%m%dt%H%M%Sz")))
    }

    /// When it was minted, to the second; none if the digits are no date.
    pub fn minted(&self) -> Option<Timestamp> {
        let (date, _) = self.0.split_once('-')?;
        Timestamp::strptime("%Y%m%dt%H%M%Sz%z", format!("{date}+0000")).ok()
    }
}

id!(
    /// The kernel's ID of one boot (`/proc/sys/kernel/random/boot_id`): a UUID, never compared unless it is valid.
    BootId,
    "boot ID",
    "a lower-case UUID",
    |text| {
        let bytes = text.as_bytes();
        bytes.len() == 36
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
            })
    }
);

id!(
    /// A systemd unit's full name, with its suffix.
    UnitName,
    "unit name",
    "a name with its suffix, as in mongod.service",
    |text| {
        let suffixes = [
            ".service", ".socket", ".timer", ".target", ".mount", ".automount", ".swap", ".path", ".slice", ".scope",
        ];
        let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        text.len() <= 255
            && text.chars().all(allowed)
            && suffixes.iter().any(|suffix| text.strip_suffix(suffix).is_some_and(|stem| !stem.is_empty()))
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_identifiers_are_taken() {
        for good in ["mongod.service", "app@1.service", "dev-sda\\x2d1.mount"] {
            assert!(good.parse::<UnitName>().is_ok(), "{good}");
        }
        for bad in ["", "mongod", ".service", "../x.service", "a b.service", "a/b.service"] {
            assert!(bad.parse::<UnitName>().is_err(), "{bad}");
        }
        assert!("6c6f1e2a-0b0f-4d53-9d5b-0a2f1e6f7a10".parse::<BootId>().is_ok());
        for bad in ["", "6c6f1e2a0b0f4d539d5b0a2f1e6f7a10", "6C6F1E2A-0b0f-4d53-9d5b-0a2f1e6f7a10", "\n"] {
            assert!(bad.parse::<BootId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn minted_run_ids_are_valid_and_sort_by_time() {
        let early = RunId::mint(Timestamp::UNIX_EPOCH, 0xffff);
        let late = RunId::mint("2026-11-23T23:10:00Z".parse().unwrap(), 0);
        assert_eq!(late.as_str(), "20261123t231000z-0000");
        assert!(early < late);
        assert_eq!(late.minted(), Some("2026-11-23T23:10:00Z".parse().unwrap()));
        assert_eq!("20261399t231000z-0000".parse::<RunId>().unwrap().minted(), None);
        assert_eq!(late.as_str().parse::<RunId>().unwrap(), late);
    }
}
