//! The packages of a plan.

use super::Plan;
use crate::model::{PackageAction, PackageChange, Step, UpgradePlan};
use crate::report::words::one_line;
use crate::ui::{Mark, Paint, Style};
use crate::window::clock_time;

/// Packages that are named; the rest is counted.
const NAMED: usize = 12;

pub(super) fn section(plan: &Plan<'_>, style: &Style) -> Vec<String> {
    let upgrade = plan.upgrade;
    let of = |action: PackageAction| upgrade.changes.iter().filter(move |change| change.action == action);
    let mut lines = Vec::new();
    if upgrade.is_empty() {
        lines.push(format!("  {} nothing to upgrade", style.mark(Mark::Done)));
    }
    if let Some(selection) = plan.selection.words() {
        lines.extend(style.field("selection", &one_line(&selection)));
    }
    if plan.steps.contains(&Step::UpgradeBase) {
        lines.extend(style.field("durability", "by batch: what booting needs file by file, the rest at its end"));
    }
    if let Some(fetched) = plan.fetched {
        let words = format!("{}; nothing newer counts", clock_time(fetched, plan.zone));
        lines.extend(style.field("fetched", &words));
    }
    let security: Vec<&PackageChange> = upgrade.changes.iter().filter(|change| change.is_security()).collect();
    for (name, changes) in [
        ("upgrade", of(PackageAction::Upgrade).collect::<Vec<_>>()),
        ("install", of(PackageAction::Install).collect()),
        ("security", security),
    ] {
        if !changes.is_empty() {
            lines.extend(style.field(name, &named(changes.iter().map(|change| change.name.as_str()))));
        }
    }
    // Removals are never only counted: each may be one too many.
    let removals: Vec<&str> = upgrade.removals().collect();
    if !removals.is_empty() {
        let text = format!("{}: {}", removals.len(), one_line(&removals.join(", ")));
        lines.extend(style.field("remove", &text).iter().map(|line| style.paint(Paint::Warn, line)));
    }
    lines.extend(table(upgrade, style));
    lines.extend(left_out(upgrade, style));
    for (name, packages) in [("kept back", &upgrade.kept_back), ("phased", &upgrade.phased)] {
        if !packages.is_empty() {
            lines.extend(style.field(name, &named(packages.iter().map(String::as_str))));
        }
    }
    lines
}

/// What is for security is never only counted.
fn left_out(upgrade: &UpgradePlan, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    if !upgrade.left_out.is_empty() {
        let names = upgrade.left_out.iter().map(|change| change.name.as_str());
        lines.extend(style.field("left out", &named(names)));
    }
    let security = upgrade.left_out.iter().filter(|change| change.is_security()).map(|change| change.name.as_str());
    let security: Vec<&str> = security.collect();
    let security = (!security.is_empty()).then(|| format!("for security: {}", security.join(", ")));
    let unknown = upgrade.left_out_unknown.as_ref().map(|why| format!("not known: {why}"));
    let warnings = security.into_iter().chain(unknown).flat_map(|text| style.field("left out", &one_line(&text)));
    lines.extend(warnings.map(|line| style.paint(Paint::Warn, &line)));
    lines
}

/// What a row of the table takes beside name and version: margins, the size, and "security".
const BESIDE: usize = 26;

/// A count, and the first names.
pub(super) fn named<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let shown = one_line(&names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", "));
    match names.len().saturating_sub(NAMED) {
        0 => format!("{}: {shown}", names.len()),
        rest => format!("{}: {shown} and {rest} more", names.len()),
    }
}

/// Each package: what it is now, what it will be, how much is fetched, where it comes from. Security first.
fn table(upgrade: &UpgradePlan, style: &Style) -> Vec<String> {
    let mut changes: Vec<&PackageChange> =
        upgrade.changes.iter().filter(|change| change.action != PackageAction::Remove).collect();
    changes.sort_by_key(|change| (!change.is_security(), change.name.clone()));
    let versions = |change: &PackageChange| match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{from} {} {to}", style.arrow()),
        (None, Some(to)) => format!("new: {to}"),
        _ => String::new(),
    };
    let widest = |texts: &mut dyn Iterator<Item = usize>, limit: usize| texts.max().unwrap_or(0).min(limit);
    let shown = &changes[..changes.len().min(NAMED)];
    let name = widest(&mut shown.iter().map(|change| change.name.chars().count()), 24);
    let room = style.width.saturating_sub(name + BESIDE);
    let version = widest(&mut shown.iter().map(|change| versions(change).chars().count()), room);
    let row = |change: &&PackageChange| {
        let size = upgrade.sizes.get(&change.name).map_or("-".to_owned(), |size| match size.download {
            0 => "fetched".to_owned(),
            download => bytes(download),
        });
        let origin = if change.is_security() { "security" } else { "" };
        let name = style.fit(&one_line(&change.name), name);
        let version = style.fit(&one_line(&versions(change)), version);
        format!("    {name}  {version}  {size:>8}  {origin}").trim_end().to_owned()
    };
    let mut lines: Vec<String> = shown.iter().map(row).collect();
    if changes.len() > NAMED {
        let rest = changes.len() - NAMED;
        lines.push(style.paint(Paint::Dim, &format!("    and {rest} more: patchday plan --json")));
    }
    if upgrade.download_bytes() > 0 {
        lines.extend(style.field("to fetch", &bytes(upgrade.download_bytes())));
    }
    lines
}

/// As people write sizes of files.
pub(super) fn bytes(number: u64) -> String {
    match number as f64 {
        few if few < 1e6 => format!("{:.0} kB", few / 1e3),
        some if some < 9.95e6 => format!("{:.1} MB", some / 1e6),
        some if some < 9.995e8 => format!("{:.0} MB", some / 1e6),
        many => format!("{:.1} GB", many / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_a_package_fits_on_the_screen() {
        let change = |name: &str, origin: &str| PackageChange {
            name: name.into(),
            action: PackageAction::Upgrade,
            from: Some("1:2024.10.11+dfsg-1ubuntu0.24.04.12~bpo12+1".into()),
            to: Some("1:2024.10.11+dfsg-1ubuntu0.24.04.13~bpo12+1".into()),
            origin: Some(origin.into()),
        };
        let changes =
            vec![change("openssl", "Debian-Security:12/stable-security"), change("tzdata", "Debian:12/stable")];
        let upgrade = UpgradePlan { changes, ..UpgradePlan::default() };
        for width in [40, 80, 100] {
            let rows = table(&upgrade, &Style { width, ..Style::plain() });
            assert!(rows[0].ends_with("security"), "{rows:?}");
            assert!(rows.iter().all(|row| row.chars().count() <= width), "{width}: {rows:#?}");
        }
    }
}
