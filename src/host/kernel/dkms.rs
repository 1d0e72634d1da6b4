//! Reads `dkms status`.

use crate::model::{DkmsModule, DkmsState, compare_versions};

/// Reads the output of `dkms status`, which is written `module/version, kernel, arch: state` since dkms 3 and
/// `module, version, kernel, arch: state` before. Notes in brackets after the state are dropped; warnings are no lines
/// of this form and are left out.
pub(super) fn parse_status(text: &str) -> Vec<DkmsModule> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<DkmsModule> {
    // Versions may hold a colon, as an epoch does; a state never does.
    let (subject, state) = line.trim().rsplit_once(": ")?;
    let mut fields = subject.split(',').map(str::trim).filter(|field| !field.is_empty());
    let first = fields.next()?;
    let module = if first.contains('/') { first.to_owned() } else { format!("{first}/{}", fields.next()?) };
    if module.contains(char::is_whitespace) {
        return None;
    }
    let state = state.split(" (").next().unwrap_or(state).trim();
    let state = match state {
        "" => return None,
        "added" => DkmsState::Added,
        "built" => DkmsState::Built,
        "installed" => DkmsState::Installed,
        other => DkmsState::Other(other.to_owned()),
    };
    Some(DkmsModule { module, kernel: fields.next().map(str::to_owned), state })
}

/// Whether this program of DKMS counts a module that excludes a kernel as one that failed, and so fails the hook of that
/// kernel's package. 3.0.10 of Debian 12 does, 3.2.2 of Debian 13 skips the module, with a status of its own.
pub(super) fn fails_for_excluded(program: &str) -> bool {
    let mut own = program.lines().filter_map(|line| line.trim().strip_prefix("echo $\"dkms-")?.strip_suffix('"'));
    own.next().is_some_and(|version| version.starts_with("3.0.") && compare_versions(version, "3.0.10").is_le())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dkms_that_fails_for_an_excluded_module_is_known_by_its_version() {
        for (line, fails) in [
            ("            echo $\"dkms-3.0.10\"", true),
            ("            echo \"dkms-3.2.2\"", false),
            ("            echo $\"dkms-3.0.11\"", false),
            ("            echo $\"dkms-2.8.7\"", false),
            ("", false),
        ] {
            assert_eq!(fails_for_excluded(&format!("#!/bin/bash\n{line}\n")), fails, "{line}");
        }
    }

    #[test]
    fn both_formats_are_read() {
        let module = |module: &str, kernel: Option<&str>, state| {
            Some(DkmsModule { module: module.into(), kernel: kernel.map(str::to_owned), state })
        };
        let bookworm = Some("6.1.0-56-amd64");
        for (line, expected) in [
            ("zfs/2.1.11, 6.1.0-56-amd64, x86_64: installed", module("zfs/2.1.11", bookworm, DkmsState::Installed)),
            (
                "zfs/2.1.11, 6.1.0-56-amd64, x86_64: installed (Original modules exist)",
                module("zfs/2.1.11", bookworm, DkmsState::Installed),
            ),
            (
                "lab/1, 6.1.0-56-amd64, x86_64: installed (Differences between built and installed modules)",
                module("lab/1", bookworm, DkmsState::Installed),
            ),
            ("lab/1, 6.1.0-56-amd64, x86_64: built", module("lab/1", bookworm, DkmsState::Built)),
            ("lab/1: added", module("lab/1", None, DkmsState::Added)),
            ("lab/1:2.0-3: added", module("lab/1:2.0-3", None, DkmsState::Added)),
            ("lab/1: broken", module("lab/1", None, DkmsState::Other("broken".into()))),
            ("wireguard, 1.0.2, 5.10.0-9-amd64, x86_64: installed", {
                module("wireguard/1.0.2", Some("5.10.0-9-amd64"), DkmsState::Installed)
            }),
            ("wireguard, 1.0.2: added", module("wireguard/1.0.2", None, DkmsState::Added)),
            ("", None),
            ("Error! Could not locate dkms.conf file.", None),
            ("Deprecated feature: REMAKE_INITRD (/var/lib/dkms/lab/1/source/dkms.conf)", None),
        ] {
            assert_eq!(parse_line(line), expected, "{line}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            "lab-tour/1.0, 6.1.0-56-cloud-amd64, x86_64: installed\nzfs, 2.1.11, 6.1.0-50-amd64, x86_64: built (WARNING! Diff between built and installed module!)\nlab/1: added\n",
        ];
        crate::host::hostile::survives(&samples, |text| {
            assert!(parse_status(text).len() <= text.lines().count());
        });
    }
}
