//! Programs of the administrator that a run calls: hooks, and the pair that silences monitoring.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::InvalidId;

/// Where in a run hooks are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookPoint {
    /// Before the first service is stopped.
    BeforeStop,
    /// All services are down, and nothing is upgraded yet.
    AfterStop,
    /// The host is ready to reboot; only where it will.
    BeforeReboot,
    /// The host is judged.
    AfterVerify,
}

impl HookPoint {
    /// Every point, in the order of a run.
    pub const ALL: [Self; 4] = [Self::BeforeStop, Self::AfterStop, Self::BeforeReboot, Self::AfterVerify];

    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeStop => "before-stop",
            Self::AfterStop => "after-stop",
            Self::BeforeReboot => "before-reboot",
            Self::AfterVerify => "after-verify",
        }
    }
}

/// What a hook that does not succeed means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookPolicy {
    /// The run must not go on.
    MustSucceed,
    /// It is told as something that went wrong.
    Warn,
    /// It is told, and no more.
    Ignore,
}

/// A hook of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Where it is called.
    pub point: HookPoint,
    /// Program (an absolute path) and arguments.
    pub command: Vec<String>,
    /// How long it may run.
    pub timeout: SignedDuration,
    /// What it means where it does not succeed.
    pub policy: HookPolicy,
    /// Whether it is in the sandbox of hooks; not in a run that an older version began.
    #[serde(default)]
    pub sandbox: bool,
}

/// Names a hook of a run, as in `after-stop:2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HookId {
    /// Where it is called.
    pub point: HookPoint,
    /// Its place among the hooks of that point, from 1.
    pub number: u32,
}

impl fmt::Display for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.point.name(), self.number)
    }
}

impl FromStr for HookId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parsed = text.split_once(':').and_then(|(name, number)| {
            let point = HookPoint::ALL.into_iter().find(|point| point.name() == name)?;
            Some(Self { point, number: number.parse().ok().filter(|number| *number > 0)? })
        });
        parsed.ok_or_else(|| InvalidId::new("hook", text, "a point and a number, as in after-stop:1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_hook() {
        for text in ["before-stop:1", "after-verify:12"] {
            assert_eq!(text.parse::<HookId>().unwrap().to_string(), text);
        }
        for wrong in ["before-stop", "before-stop:0", "before-lunch:1", "after-stop:x"] {
            assert!(wrong.parse::<HookId>().is_err(), "{wrong}");
        }
    }
}
