//! `[[hook]]`.

use serde::Deserialize;
use toml::Spanned;

use super::keys::{self, Key, Kind};
use super::validate::Check;
use super::values::{self, Wrong};
use crate::model::{Hook, HookPoint, HookPolicy};

const TIMEOUT_SECONDS: i64 = 60;

/// `[[hook]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HookTable {
    point: Spanned<String>,
    command: Spanned<Vec<Spanned<String>>>,
    timeout: Option<Spanned<String>>,
    policy: Option<Spanned<String>>,
}

impl Check<'_> {
    /// The program by its absolute path: whatever a `PATH` says, the same program is run.
    pub(super) fn program(&mut self, key: &Key, given: &Spanned<Vec<Spanned<String>>>) -> Option<Vec<String>> {
        let argv = given.get_ref();
        let Some(program) = argv.first() else {
            let hint = format!("for example: {} = {}", key.name, key.example);
            self.wrong(&given.span(), key, Wrong::new(Kind::Command.expected(), "an empty list", hint));
            return None;
        };
        self.text(key, Some(program), values::path)?;
        Some(argv.iter().map(|argument| argument.get_ref().clone()).collect())
    }

    pub(super) fn hook(&mut self, given: &HookTable) -> Option<Hook> {
        let name = self.word(&keys::HOOK_POINT, Some(&given.point));
        let point = HookPoint::ALL.into_iter().find(|point| Some(point.name()) == name);
        let command = self.program(&keys::HOOK_COMMAND, &given.command);
        let timeout = self.duration(&keys::HOOK_TIMEOUT, given.timeout.as_ref(), TIMEOUT_SECONDS);
        let policy = match self.word(&keys::HOOK_POLICY, given.policy.as_ref()) {
            Some("must-succeed") => HookPolicy::MustSucceed,
            Some("ignore") => HookPolicy::Ignore,
            _ => HookPolicy::Warn,
        };
        Some(Hook { point: point?, command: command?, timeout, policy })
    }
}
