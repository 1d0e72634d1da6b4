//! What `[reboot]` means.

use super::check::Check;
use super::file::Reboot;
use super::keys;
use super::settings::RebootSettings;
use super::values::{self, Wrong, quoted};

impl Check<'_> {
    pub(super) fn reboot(&mut self, file: &Reboot) -> Option<RebootSettings> {
        let grace = self.duration(&keys::GRACE, file.grace.as_ref());
        Some(RebootSettings {
            when: self.choice(&keys::WHEN, file.when.as_ref())?,
            grace,
            restart_outdated: keys::RESTART_OUTDATED.is_on(file.restart_outdated),
            // Who forces a reboot before its grace period is over has given it none.
            force_after: self.taken(&keys::FORCE_AFTER, file.force_after.as_ref(), |text| {
                let taken = values::duration(keys::FORCE_AFTER.kind, text)?;
                let wrong = || {
                    let expected = format!("a duration that is not shorter than grace ({grace:#})");
                    Wrong::new(expected, quoted(text), "leave it out, and the reboot is never forced")
                };
                if taken < grace { Err(wrong()) } else { Ok(taken) }
            }),
        })
    }
}
