//! What a boot owes, in words.

use jiff::tz::TimeZone;

use super::words::{instant, one_line};
use crate::model::{BootReason, Owed, reasons_in_words};

/// For the first line of a report; none if nothing is owed. What only a person's session runs is said, and is no
/// reason to boot.
pub(super) fn sentence(owed: &[Owed]) -> Option<String> {
    let words = in_words(owed)?;
    let asks = owed.iter().any(|owed| owed.reason.asks_for_reboot());
    Some(if asks { format!("a boot is owed ({words})") } else { words })
}

/// The reasons, and since when the oldest of them is known; none if nothing is owed.
pub fn told(owed: &[Owed], zone: &TimeZone) -> Option<String> {
    let oldest = owed.iter().map(|owed| owed.since).min()?;
    Some(format!("{}; since {}", in_words(owed)?, instant(oldest, zone)))
}

fn in_words(owed: &[Owed]) -> Option<String> {
    let reasons: Vec<&BootReason> = owed.iter().map(|owed| &owed.reason).collect();
    let words = reasons_in_words(reasons);
    (!words.is_empty()).then(|| one_line(&words.join("; ")))
}
