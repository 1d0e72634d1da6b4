//! `[[hook]]`, `[silence]` and `[announce]`.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::check::Check;
use super::keys::{self, Key};
use super::kind::Kind;
use super::settings::{AnnounceSettings, SilenceSettings};
use super::values::{self, Wrong, quoted};
use crate::model::Hook;

/// `[[hook]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HookTable {
    point: Spanned<String>,
    command: Spanned<Vec<Spanned<String>>>,
    timeout: Option<Spanned<String>>,
    policy: Option<Spanned<String>>,
    sandbox: Option<bool>,
}

/// `[announce]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AnnounceTable {
    grace: Option<Spanned<String>>,
    message: Option<Spanned<String>>,
}

/// `[silence]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SilenceTable {
    begin: Option<Spanned<Vec<Spanned<String>>>>,
    end: Option<Spanned<Vec<Spanned<String>>>>,
    timeout: Option<Spanned<String>>,
    sandbox: Option<Spanned<bool>>,
}

impl Check<'_> {
    pub(super) fn announce(&mut self, given: &AnnounceTable) -> AnnounceSettings {
        let AnnounceSettings { message, .. } = AnnounceSettings::default();
        AnnounceSettings {
            grace: self.duration(&keys::ANNOUNCE_GRACE, given.grace.as_ref()),
            message: self.text(&keys::ANNOUNCE_MESSAGE, given.message.as_ref(), message_text).unwrap_or(message),
        }
    }

    /// Both programs or none: a silence that nobody ends is worse than alarms.
    pub(super) fn silence(&mut self, given: &SilenceTable) -> Option<SilenceSettings> {
        let timeout = self.duration(&keys::SILENCE_TIMEOUT, given.timeout.as_ref());
        match (&given.begin, &given.end) {
            (Some(begin), Some(end)) => {
                let begin = self.program(&keys::SILENCE_BEGIN, begin);
                let end = self.program(&keys::SILENCE_END, end);
                let sandbox = given.sandbox.as_ref().is_none_or(|sandbox| *sandbox.get_ref());
                Some(SilenceSettings { begin: begin?, end: end?, timeout, sandbox })
            }
            (Some(begin), None) => self.alone(&begin.span(), &keys::SILENCE_END, "begin"),
            (None, Some(end)) => self.alone(&end.span(), &keys::SILENCE_BEGIN, "end"),
            (None, None) => {
                let timeout = given.timeout.as_ref().map(|timeout| (timeout.span(), "timeout"));
                let sandbox = given.sandbox.as_ref().map(|sandbox| (sandbox.span(), "sandbox"));
                timeout.or(sandbox).and_then(|(span, name)| self.alone(&span, &keys::SILENCE_BEGIN, name))
            }
        }
    }

    pub(super) fn alone<T>(&mut self, span: &Range<usize>, lacking: &Key, given: &str) -> Option<T> {
        let hint = format!("for example: {} = {}", lacking.name, lacking.example);
        self.problem(span, lacking.path(), format!("missing key: {given} needs it"), hint);
        None
    }

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
        let point = self.choice(&keys::HOOK_POINT, Some(&given.point));
        let command = self.program(&keys::HOOK_COMMAND, &given.command);
        let timeout = self.duration(&keys::HOOK_TIMEOUT, given.timeout.as_ref());
        let policy = self.choice(&keys::HOOK_POLICY, given.policy.as_ref());
        Some(Hook {
            point: point?,
            command: command?,
            timeout,
            policy: policy?,
            sandbox: keys::HOOK_SANDBOX.is_on(given.sandbox),
        })
    }
}

/// Terminals show it: one line, and nothing that would command them.
fn message_text(text: &str) -> Result<(), Wrong> {
    let other = text.split('{').skip(1).find(|rest| !rest.starts_with("time}") && !rest.starts_with("host}"));
    if text.trim().is_empty() || text.chars().any(char::is_control) || other.is_some() {
        let hint = "only {time} and {host} stand between braces, and it is one line";
        return Err(Wrong::new(Kind::Words.expected(), quoted(text), hint));
    }
    Ok(())
}
