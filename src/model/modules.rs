//! Which modules of DKMS a kernel lacks. One rule for all who ask: the checks, the plan, the build, the last look. Pure.

use std::collections::BTreeSet;

use super::{DkmsModule, DkmsState, compare_versions};

impl DkmsModule {
    /// Its name without its version, as in `zfs`.
    pub fn name(&self) -> &str {
        self.module.split('/').next().unwrap_or(&self.module)
    }

    /// Its version, as in `2.1.11`.
    pub fn version(&self) -> &str {
        self.module.split_once('/').map_or("", |(_, version)| version)
    }

    /// Whether this kernel can load it.
    pub fn is_ready_for(&self, kernel: &str) -> bool {
        self.kernel.as_deref() == Some(kernel) && self.state == DkmsState::Installed
    }
}

/// The modules that are installed for a kernel, by their names.
pub fn modules_of<'a>(modules: &'a [DkmsModule], kernel: &str) -> BTreeSet<&'a str> {
    modules.iter().filter(|module| module.is_ready_for(kernel)).map(DkmsModule::name).collect()
}

/// What `next` lacks of all that `before`, the kernel that runs, had when the run began; each as DKMS wants it named, as in
/// `zfs/2.1.11`.
///
/// What the running kernel does without, the next one can do without: a module that DKMS knows and has built for no kernel,
/// or for another flavour only, is nobody's need. Of several versions of a module any one will do.
///
/// `had` is what DKMS said when the run began, `now` what it says: the upgrade may have brought another version, and may
/// have taken the module away with a build that failed.
pub fn missing_modules(had: &[DkmsModule], now: &[DkmsModule], before: &str, next: &str) -> Vec<String> {
    let ready = modules_of(now, next);
    let needed = modules_of(had, before).into_iter().filter(|name| !ready.contains(name));
    needed.map(|name| version_to_build(had, now, before, name)).collect()
}

/// The version that the running kernel has; where it has lost it, the newest that is known.
fn version_to_build(had: &[DkmsModule], now: &[DkmsModule], before: &str, name: &str) -> String {
    let of_name = |modules: &'_ [DkmsModule], wanted: &dyn Fn(&DkmsModule) -> bool| {
        let found = modules.iter().filter(|module| module.name() == name && wanted(module));
        found
            .max_by(|left, right| compare_versions(left.version(), right.version()))
            .map(|module| module.module.clone())
    };
    of_name(now, &|module| module.is_ready_for(before))
        .or_else(|| of_name(now, &|module| !matches!(module.state, DkmsState::Other(_))))
        .or_else(|| of_name(had, &|module| module.is_ready_for(before)))
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "6.1.0-50-amd64";
    const NEW: &str = "6.1.0-56-amd64";

    /// As `dkms status` says it, shortened: `zfs/2.1 OLD installed`.
    fn status(lines: &[&str]) -> Vec<DkmsModule> {
        let module = |line: &&str| {
            let mut words = line.split(' ');
            let module = words.next().unwrap().to_owned();
            let kernel = words.next().filter(|kernel| *kernel != "-");
            let kernel = kernel.map(|kernel| kernel.replace("OLD", OLD).replace("NEW", NEW));
            let state = match words.next().unwrap_or("added") {
                "added" => DkmsState::Added,
                "built" => DkmsState::Built,
                "installed" => DkmsState::Installed,
                other => DkmsState::Other(other.to_owned()),
            };
            DkmsModule { module, kernel, state }
        };
        lines.iter().map(module).collect()
    }

    #[test]
    fn the_next_kernel_must_have_what_the_one_before_has() {
        /// What it is, what DKMS says, what the kernel that runs lacks, and what a new one does.
        type Row = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);
        let rows: [Row; 13] = [
            ("nothing is known", &[], &[], &[]),
            ("built for what runs only", &["zfs/2.1 OLD installed"], &[], &["zfs/2.1"]),
            ("built for both", &["zfs/2.1 OLD installed", "zfs/2.1 NEW installed"], &[], &[]),
            ("not installed, only built", &["zfs/2.1 OLD installed", "zfs/2.1 NEW built"], &[], &["zfs/2.1"]),
            ("excluded by BUILD_EXCLUSIVE_KERNEL, or without AUTOINSTALL", &["byhand/1 -"], &[], &[]),
            ("its source is gone, and it was never built", &["gone/1 - broken"], &[], &[]),
            ("its source is gone, and it is installed", &["gone/1 OLD installed"], &[], &["gone/1"]),
            ("two versions, the newer installed", &["drv/1 -", "drv/2 OLD installed"], &[], &["drv/2"]),
            ("two versions, the older installed", &["drv/1 OLD installed", "drv/2 -"], &[], &["drv/1"]),
            ("another version than before is there", &["drv/1 OLD installed", "drv/2 NEW installed"], &[], &[]),
            ("one of the names of another", &["drv/1 OLD installed", "drv-extra/1 NEW installed"], &[], &["drv/1"]),
            ("built for another flavour", &["drv/1 6.1.0-50-cloud-amd64 installed"], &[], &[]),
            ("a word that is not known", &["drv/1 OLD installed", "drv/1 NEW installed-weak"], &[], &["drv/1"]),
        ];
        for (what, lines, running, new) in rows {
            let modules = status(lines);
            assert_eq!(missing_modules(&modules, &modules, OLD, OLD), running, "{what}");
            assert_eq!(missing_modules(&modules, &modules, OLD, NEW), new, "{what}");
        }
    }

    #[test]
    fn what_the_upgrade_made_of_a_module_counts() {
        let had = status(&["zfs/2.1.9 OLD installed", "lab/1 OLD installed"]);
        for (what, now, running, new) in [
            ("another version came", &["zfs/2.1.11 OLD installed"][..], vec!["lab/1"], vec!["lab/1", "zfs/2.1.11"]),
            (
                "its build failed",
                &["zfs/2.1.11 -", "lab/1 OLD installed"],
                vec!["zfs/2.1.11"],
                vec!["lab/1", "zfs/2.1.11"],
            ),
            ("both are gone", &[], vec!["lab/1", "zfs/2.1.9"], vec!["lab/1", "zfs/2.1.9"]),
            (
                "one came that nobody had",
                &["zfs/2.1.9 OLD installed", "lab/1 OLD installed", "new/1 OLD installed"],
                vec![],
                { vec!["lab/1", "zfs/2.1.9"] },
            ),
        ] {
            let now = status(now);
            assert_eq!(missing_modules(&had, &now, OLD, OLD), running, "{what}");
            assert_eq!(missing_modules(&had, &now, OLD, NEW), new, "{what}");
        }
    }
}
