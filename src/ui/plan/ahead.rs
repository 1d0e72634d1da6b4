//! What of a plan can come while the services run, and what each mode would take.

use jiff::SignedDuration;
use serde::Serialize;

use super::Plan;
use super::packages::named;
use crate::model::WaitingPackage;
use crate::report::words::{one_line, roughly};
use crate::ui::{Paint, Style};

/// Packages whose reasons are shown; the rest is counted.
const SHOWN: usize = 12;

/// A way of doing the upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mode {
    /// `stop-first`, `late-stop`, or the word of `[upgrade] ahead`.
    pub name: &'static str,
    /// How long the services are away.
    pub downtime: SignedDuration,
    /// The configuration says so.
    pub is_set: bool,
    pub is_recommended: bool,
}

/// Both lists; of what waits with the reasons.
pub(super) fn section(plan: &Plan<'_>, style: &Style) -> Vec<String> {
    let Some(choice) = plan.ahead else { return Vec::new() };
    let mut lines = match choice.ahead.as_slice() {
        [] => style.field("can come", "nothing"),
        ahead => style.field("can come", &named(ahead.iter().map(String::as_str))),
    };
    if let Some(why) = &choice.all_waits {
        lines.extend(style.field("all waits", &one_line(why)));
        return lines;
    }
    if choice.waits.is_empty() {
        return lines;
    }
    lines.extend(style.field("waits", &choice.waits.len().to_string()));
    let shown = &choice.waits[..choice.waits.len().min(SHOWN)];
    lines.extend(shown.iter().flat_map(|one| row(one, style)));
    if choice.waits.len() > SHOWN {
        let rest = choice.waits.len() - SHOWN;
        lines.push(style.paint(Paint::Dim, &format!("    and {rest} more: patchday plan --json")));
    }
    lines
}

fn row(one: &WaitingPackage, style: &Style) -> Vec<String> {
    style.wrap(&format!("    {}: {}", one_line(&one.package), one_line(&one.why)), 6)
}

/// How long the services are away in every mode, side by side.
pub(super) fn modes(modes: &[Mode], style: &Style) -> Vec<String> {
    let told = modes.iter().map(|mode| {
        let words = match (mode.is_set, mode.is_recommended) {
            (true, true) => " (set, recommended)",
            (true, false) => " (set)",
            (false, true) => " (recommended)",
            (false, false) => "",
        };
        format!("{} {}{words}", mode.name, roughly(mode.downtime))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { Vec::new() } else { style.field("modes", &told.join(", ")) }
}
