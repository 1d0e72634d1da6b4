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
        (Restart::Soft, Some(Restart::Full | Restart::Kexec)) => {
            Some("a soft reboot was asked for, and the host rebooted".to_owned())
        }
        (Restart::Kexec, Some(Restart::Full)) => Some("kexec was asked for, and the host rebooted in full".to_owned()),
        (Restart::Full, Some(Restart::Kexec)) => {
            Some("a full one was asked for, and the host was rebooted by kexec".to_owned())
        }
        (Restart::Kexec, _) => {
            let more = if because.is_empty() { String::new() } else { format!("; not less: {because}") };
            Some(format!("by kexec: the kernel starts anew, firmware and boot loader are left out{more}"))
        }
        (Restart::Soft, _) => {
            Some("soft reboot: only programs and libraries owed it, and all but the kernel starts anew".to_owned())
        }
        (Restart::Full, _) => (!because.is_empty()).then(|| format!("full, though less was allowed: {because}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::Story;

    #[test]
    fn what_was_asked_for_and_what_came_are_told() {
        let built = Story::healthy().report().reboot.unwrap();
        let (soft, kexec, full) = (Some(Restart::Soft), Some(Restart::Kexec), Some(Restart::Full));
        for (restart, because, restarted, says) in [
            (full, "", full, ""),
            (full, "no kexec: kexec-tools is not installed", full, "full, though less was allowed: no kexec"),
            (full, "", kexec, "a full one was asked for, and the host was rebooted by kexec"),
            (kexec, "", kexec, "by kexec: the kernel starts anew, firmware and boot loader are left out"),
            (kexec, "kernel 6.2 is installed, 6.1 runs", kexec, "are left out; not less: kernel 6.2 is installed"),
            (kexec, "", full, "kexec was asked for, and the host rebooted in full"),
            (kexec, "", None, "by kexec"),
            (soft, "", soft, "soft reboot: only programs"),
            (soft, "", full, "a soft reboot was asked for, and the host rebooted"),
        ] {
            let restart_because = if because.is_empty() { Vec::new() } else { vec![because.to_owned()] };
            let told = words(&RebootStory { restart, restart_because, restarted, ..built.clone() });
            assert_eq!(told.is_none(), says.is_empty(), "{told:?}");
            assert!(told.as_deref().unwrap_or_default().contains(says), "{told:?}");
        }
        assert_eq!(words(&RebootStory { restart: None, ..built }), None);
    }
}
