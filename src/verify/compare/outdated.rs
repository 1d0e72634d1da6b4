//! What the upgrade has not reached. A boot reaches everything, but for what was upgraded behind it.

use super::{Between, Difference, Now};
use crate::model::{Finding, FindingKey, Reading, Severity};

pub(super) fn compare(now: &Now, between: &Between<'_>, differences: &mut Vec<Difference>) {
    let outdated = match &now.outdated {
        Reading::Known(None) => return,
        Reading::Known(Some(outdated)) => outdated,
        Reading::Unknown(why) => {
            let title = "Patchday could not see what runs with files that were replaced";
            let finding = Finding::new(FindingKey::Outdated, Severity::Info, title).about("running code").evidence(why);
            differences.push(finding.remedy("look by hand", "grep -l 'r-xp.*(deleted)' /proc/[0-9]*/maps").into());
            return;
        }
    };
    let kinds = [("", &outdated.services), ("session of ", &outdated.sessions), ("container ", &outdated.containers)];
    let all = kinds.iter().flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind}{name}")));
    // A coordinator ends with its run.
    let all: Vec<String> = all.filter(|name| !name.starts_with("patchday")).collect();
    if let Some(first) = all.first() {
        let title = match all.as_slice() {
            [only] => format!("{only} runs with files that were replaced"),
            all => format!("{} services and sessions run with files that were replaced", all.len()),
        };
        let reboot_is_due = !between.rebooted && !between.reboot_reasons.is_empty();
        let hint = if reboot_is_due {
            "the reboot that is still needed ends that"
        } else {
            "restart it, or let the next run reboot"
        };
        let finding = Finding::new(FindingKey::Outdated, Severity::Info, title).about(first).lines(&all);
        differences.push(finding.remedy(hint, "patchday plan").into());
    }
    if let Some((loaded, newer)) = &outdated.microcode {
        let title = format!("the CPU has microcode {loaded}, and {newer} is installed");
        let hint = if between.rebooted { "see why the boot did not load it" } else { "the next boot loads it" };
        let finding = Finding::new(FindingKey::Microcode, Severity::Info, title).about("microcode");
        differences.push(finding.remedy(hint, "journalctl -k -g microcode").into());
    }
}
