//! A plan in one line: how `plan` begins, and what `run` asks with.

use jiff::SignedDuration;

use super::packages::bytes;
use crate::model::{CheckResult, Restart, Severity, UpgradePlan};
use crate::report::Style;
use crate::report::words::{count, list, one_line, packages, roughly};

/// Names behind "reboot"; the rest is counted.
const NAMED: usize = 3;

/// What stands in the line. What is not known is left out.
#[derive(Debug, Clone, Copy)]
pub struct Headline<'a> {
    pub upgrade: &'a UpgradePlan,
    /// Whether the run may reboot.
    pub may_reboot: bool,
    /// Whether it would, for all that is known now.
    pub reboots: bool,
    /// Which restart that would be.
    pub restart: Restart,
    /// What the reboot is for, in a word or two each.
    pub reboot_for: &'a [String],
    /// How long the services are away; zero where none is stopped.
    pub downtime: SignedDuration,
    pub checks: &'a [CheckResult],
}

impl Headline<'_> {
    /// `28 packages (28 security), 23 MB · reboot: libssl3 · services away about 2 min · 0 blockers`.
    pub fn render(&self, style: &Style) -> String {
        let away = (!self.downtime.is_zero()).then(|| format!("services away about {}", roughly(self.downtime)));
        let parts = [Some(self.packages()), Some(self.reboot()), away, self.blockers()];
        let separator = if style.unicode { " · " } else { " | " };
        parts.into_iter().flatten().collect::<Vec<_>>().join(separator)
    }

    fn packages(&self) -> String {
        let changes = &self.upgrade.changes;
        if changes.is_empty() {
            return "nothing to upgrade".to_owned();
        }
        let security = changes.iter().filter(|change| change.is_security()).count();
        let size = match self.upgrade.download_bytes() {
            0 => String::new(),
            download => format!(", {}", bytes(download)),
        };
        packages(changes.len(), security) + &size
    }

    fn reboot(&self) -> String {
        match (self.may_reboot, self.reboots, self.reboot_for) {
            (false, ..) => "no reboot".to_owned(),
            (true, false, _) => "reboot: nothing asks for it yet".to_owned(),
            (true, true, []) => format!("{}: as configured", self.restart.name()),
            (true, true, names) => {
                let rest = names.len().saturating_sub(NAMED);
                let more = (rest > 0).then(|| format!("{rest} more"));
                let shown = names.iter().take(NAMED).cloned();
                format!("{}: {}", self.restart.name(), one_line(&list(shown.chain(more))))
            }
        }
    }

    /// None where no check was made.
    fn blockers(&self) -> Option<String> {
        let found = self.checks.iter().filter_map(|check| check.finding.as_ref());
        let blockers = found.filter(|finding| finding.severity == Severity::Blocker).count();
        (!self.checks.is_empty()).then(|| count(blockers, "blocker"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Finding, FindingKey, PackageAction, PackageChange, PackageSize};

    #[test]
    fn one_line_says_what_is_known_and_nothing_else() {
        let security = Some("Debian-Security:12/oldstable-security".to_owned());
        let change = |name: &str, origin| PackageChange {
            name: name.into(),
            action: PackageAction::Upgrade,
            from: Some("1".into()),
            to: Some("2".into()),
            origin,
        };
        let size = PackageSize { download: 23_400_000, installed: 1, files: None, has_script: false };
        let upgrade = UpgradePlan {
            changes: vec![change("libssl3", security), change("base-files", None)],
            sizes: [("libssl3".to_owned(), size)].into(),
            ..UpgradePlan::default()
        };
        let blocker = Finding::new(FindingKey::DpkgClean, Severity::Blocker, "dpkg was interrupted");
        let content = CheckResult { label: "fstab".into(), finding: None };
        let blocked = [content.clone(), CheckResult { label: "dpkg-clean".into(), finding: Some(blocker) }];
        let names = ["kernel 6.1.0-42", "libssl3", "libc6", "udev", "dbus"].map(str::to_owned);
        let (unsized_plan, nothing) = (UpgradePlan { sizes: [].into(), ..upgrade.clone() }, UpgradePlan::default());
        let full = Headline {
            upgrade: &upgrade,
            may_reboot: true,
            reboots: true,
            restart: Restart::Full,
            reboot_for: &names[1..2],
            downtime: SignedDuration::from_secs(118),
            checks: &[content],
        };
        for (headline, line) in [
            (full, "2 packages (1 security), 23 MB · reboot: libssl3 · services away about 2 min · 0 blockers"),
            (
                Headline { upgrade: &unsized_plan, reboot_for: &names, checks: &blocked, ..full },
                "2 packages (1 security) · reboot: kernel 6.1.0-42, libssl3, libc6 and 2 more · services away about \
                 2 min · 1 blocker",
            ),
            (
                Headline { upgrade: &nothing, reboots: false, downtime: SignedDuration::ZERO, checks: &[], ..full },
                "nothing to upgrade · reboot: nothing asks for it yet",
            ),
            (
                Headline { upgrade: &nothing, may_reboot: false, checks: &[], ..full },
                "nothing to upgrade · no reboot · services away about 2 min",
            ),
            (
                Headline { restart: Restart::Soft, ..full },
                "2 packages (1 security), 23 MB · soft reboot: libssl3 · services away about 2 min · 0 blockers",
            ),
            (
                Headline { reboot_for: &[], checks: &[], ..full },
                "2 packages (1 security), 23 MB · reboot: as configured · services away about 2 min",
            ),
        ] {
            assert_eq!(headline.render(&Style::plain()), line);
        }
        let ascii = Style { unicode: false, ..Style::plain() };
        assert!(full.render(&ascii).is_ascii());
    }
}
