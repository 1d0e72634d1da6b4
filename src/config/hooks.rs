//! `[[hook]]`, `[silence]` and `[announce]`.

use super::keys;
use super::reader::{Reader, of_nothing};
use super::settings::{AnnounceSettings, SilenceSettings};
use crate::model::Hook;

impl Reader<'_> {
    pub(super) fn announce(self) -> AnnounceSettings {
        AnnounceSettings {
            grace: self.duration(&keys::ANNOUNCE_GRACE),
            message: self.text_or_default(&keys::ANNOUNCE_MESSAGE),
        }
    }

    /// Both programs or none: a silence that nobody ends is worse than alarms.
    pub(super) fn silence(self) -> Option<SilenceSettings> {
        let timeout = self.duration(&keys::SILENCE_TIMEOUT);
        let programs = [&keys::SILENCE_BEGIN, &keys::SILENCE_END];
        let all = [programs[0], programs[1], &keys::SILENCE_TIMEOUT, &keys::SILENCE_SANDBOX];
        let first = all.into_iter().find_map(|key| Some((key, self.span(key)?)));
        if let (Some((given, span)), Some(lacking)) = (first, programs.into_iter().find(|key| self.span(key).is_none()))
        {
            self.missing(lacking, &span, given.name);
            return None;
        }
        let (begin, end) = (self.program(&keys::SILENCE_BEGIN), self.program(&keys::SILENCE_END));
        Some(SilenceSettings { begin: begin?, end: end?, timeout, sandbox: self.is_on(&keys::SILENCE_SANDBOX) })
    }

    pub(super) fn hook(self) -> Option<Hook> {
        let (point, policy) = (self.choice(&keys::HOOK_POINT), self.choice(&keys::HOOK_POLICY));
        let command = self.program(&keys::HOOK_COMMAND);
        let timeout = self.duration(&keys::HOOK_TIMEOUT);
        let sandbox = self.is_on(&keys::HOOK_SANDBOX);
        Some(Hook { point: point?, command: command?, timeout, policy: policy?, sandbox })
    }
}

impl Default for AnnounceSettings {
    fn default() -> Self {
        of_nothing(|file| file.announce())
    }
}
