//! What `[upgrade]` leaves out.

use super::check;
use crate::model::{Archive, PackageChange, names_package, nearest, without_architecture};

check!(
    SECURITY_LEFT_OUT,
    Packages,
    "security-left-out",
    Warning,
    120,
    "[upgrade] leaves out no update for security",
    "A name in `exclude` or an archive in `exclude-origins` stays there for as long as no one looks, and a hole that is known \
     to all stays open. Upgrade the package on a day of its own, or take it out of the list.",
    |check, inputs| {
        let plan = inputs.upgrade().await?;
        if let Some(why) = &plan.left_out_unknown {
            return Ok(Some(check.found("what [upgrade] leaves out is not known").evidence(why.clone())));
        }
        let left: Vec<&PackageChange> = plan.left_out.iter().filter(|change| change.is_security()).collect();
        let Some(first) = left.first() else { return Ok(None) };
        let finding = check.found("[upgrade] leaves out what is for security").lines(left.iter().map(|one| one.told()));
        let command = format!("apt-cache policy {}", first.name);
        Ok(Some(finding.remedy("upgrade it by hand, or take it out of what is left out", command)))
    }
);

check!(
    SELECTION_KNOWN,
    Packages,
    "selection-known",
    Info,
    60,
    "[upgrade] exclude and exclude-origins name what this host has",
    "A misspelt name leaves nothing out. A package that is not installed may be meant, since an excluded one is not installed \
     either; a pattern may find nothing this month.",
    |check, inputs| {
        let (selection, packages) = (&inputs.settings.upgrade.selection, &inputs.host.packages);
        let mut lines: Vec<String> = Vec::new();
        if !selection.exclude.is_empty() {
            let (installed, own) = (packages.installed().await?, packages.architecture().await?);
            let is_unknown = |name: &&String| !installed.keys().any(|package| names_package(name, package, &own));
            let known = || installed.keys().map(|package| without_architecture(package));
            lines.extend(selection.exclude.iter().filter(is_unknown).map(|name| {
                let plain = without_architecture(name);
                // Of another architecture than the one that is meant.
                let is_here = known().any(|known| known == plain);
                unknown(name, "is not installed", nearest(plain, known()).filter(|_| !is_here))
            }));
        }
        if !selection.exclude_origins.is_empty() {
            let archives = packages.archives().await?;
            let is_unknown = |name: &&String| !archives.iter().any(|archive| archive.is_called(name));
            let names = || archives.iter().flat_map(|archive: &Archive| &archive.names).map(String::as_str);
            lines.extend(
                selection
                    .exclude_origins
                    .iter()
                    .filter(is_unknown)
                    .map(|name| unknown(name, "names no archive of this host", nearest(name, names()))),
            );
        }
        let finding = check.found("[upgrade] leaves out what this host does not have").lines(lines.clone());
        Ok((!lines.is_empty()).then(|| finding.remedy("look for a misspelt name", "apt-cache policy")))
    }
);

/// What is said of a name that is not known, and of a pattern, which nothing is near to.
fn unknown(name: &str, why: &str, near: Option<&str>) -> String {
    match near {
        _ if name.contains(['*', '?']) => format!("{name:?} finds nothing"),
        Some(near) => format!("{name:?} {why}; did you mean {near:?}?"),
        None => format!("{name:?} {why}"),
    }
}
