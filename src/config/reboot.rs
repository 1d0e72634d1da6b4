//! What `[reboot]` means.

use super::file::Reboot;
use super::keys;
use super::settings::{RebootSettings, RebootWhen};
use super::validate::Check;
use super::values::{self, Wrong, quoted};

impl Check<'_> {
    pub(super) fn reboot(&mut self, file: &Reboot) -> RebootSettings {
        let grace = self.duration(&keys::GRACE, file.grace.as_ref(), 600);
        RebootSettings {
            when: match self.word(&keys::WHEN, file.when.as_ref()) {
                Some("always") => RebootWhen::Always,
                Some("never") => RebootWhen::Never,
                _ => RebootWhen::Needed,
            },
            grace,
            restart_outdated: file.restart_outdated.unwrap_or(true),
            // Who forces a reboot before its grace period is over has given it none.
            force_after: self.taken(&keys::FORCE_AFTER, file.force_after.as_ref(), |text| {
                let taken = values::duration(keys::FORCE_AFTER.kind, text)?;
                let wrong = || {
                    let expected = format!("a duration that is not shorter than grace ({grace:#})");
                    Wrong::new(expected, quoted(text), "leave it out, and the reboot is never forced")
                };
                if taken < grace { Err(wrong()) } else { Ok(taken) }
            }),
        }
    }
}
