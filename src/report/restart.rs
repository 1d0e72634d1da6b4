//! How the host was started anew, in words.

use super::words::one_line;
use super::{RebootStory, Report, phrases};
use crate::model::Restart;

/// Since when the times of the services count; none where they came back without a restart.
pub(super) fn since(report: &Report) -> Option<&'static str> {
    let softly = report.reboot.as_ref().is_some_and(|reboot| reboot.restarted == Some(Restart::Soft));
    match (phrases::was_rebooted(report), softly) {
        (true, _) => Some("the boot"),
        (false, true) => Some("the soft reboot"),
        (false, false) => None,
    }
}

/// Which restart was asked for and made, and why; none where nobody allowed less than a full one.
pub(super) fn words(reboot: &RebootStory) -> Option<String> {
    let asked = reboot.restart?;
    let because = one_line(&reboot.restart_because.join("; "));
    match (asked, reboot.restarted) {
        (Restart::Soft, Some(Restart::Full)) => Some("a soft reboot was asked for, and the host rebooted".to_owned()),
        (Restart::Soft, _) => {
            Some("soft reboot: only programs and libraries owed it, and all but the kernel starts anew".to_owned())
        }
        (Restart::Full, _) => (!because.is_empty()).then(|| format!("full, though less was allowed: {because}")),
    }
}
