//! A hold: nobody patches this host until then.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Somebody's word that no run may begin for a while. It ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// When it was said.
    pub since: Timestamp,
    pub until: Timestamp,
    pub reason: String,
    pub by: String,
}

impl Hold {
    /// Whether it holds at that time.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held by {}: {}", self.by, self.reason)
    }
}

/// One line of the record of holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldEntry {
    /// A hold began, in place of any other.
    Held(Hold),
    /// It was taken back.
    Released { at: Timestamp, by: String },
}
