//! What `[reboot]` means.

use super::keys;
use super::reader::Reader;
use super::settings::RebootSettings;
use super::values::{self, Wrong, quoted};

impl Reader<'_> {
    pub(super) fn reboot(self) -> Option<RebootSettings> {
        let grace = self.duration(&keys::GRACE);
        Some(RebootSettings {
            when: self.choice(&keys::WHEN)?,
            grace,
            least: self.choice(&keys::LEAST)?,
            restart_outdated: self.is_on(&keys::RESTART_OUTDATED),
            // Who forces a reboot before its grace period is over has given it none.
            force_after: self.taken(&keys::FORCE_AFTER, |text| {
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
