//! What a boot owes: what is installed, and in force only after one.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Restart;
use super::restart::read_by;

/// Why the host needs a boot. Data, so that it can be kept, compared and struck out; [`reasons_in_words`] says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum BootReason {
    /// A kernel is installed, and another one runs.
    Kernel {
        /// The release that is installed.
        release: String,
        /// What runs: the release, or its version where that alone differs.
        running: String,
        /// The version that is installed, where that alone differs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// It comes with the upgrade.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        comes: bool,
    },
    /// `/run/reboot-required` is there.
    RebootRequired {
        /// The packages that asked, as far as they are named.
        packages: Vec<String>,
    },
    /// A package was upgraded that only a boot reads: microcode, the initrd's parts, an image of the release that runs.
    ReadAtBoot {
        package: String,
        /// The version that this boot has read; none if it was not installed.
        from: Option<String>,
    },
    /// A package was upgraded that nearly everything maps. A forecast: whoever looks at what runs replaces it by
    /// [`Self::OldCode`], or by nothing.
    Upgraded { package: String, from: Option<String> },
    /// Something still runs files that were replaced, and only a boot ends that.
    OldCode {
        /// A unit, or a session of a person.
        by: String,
        /// It ends without a boot: when its person logs out, or once it is restarted. No run reboots for it alone.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        passing: bool,
    },
    /// The CPU has older microcode than the one that is installed.
    Microcode {
        loaded: String,
        /// What it would get.
        installed: String,
    },
}

/// A reason, and since when it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// When it was first recorded on this boot.
    pub since: Timestamp,
    pub reason: BootReason,
}

impl BootReason {
    /// Whether a run reboots for it.
    pub fn asks_for_reboot(&self) -> bool {
        !matches!(self, Self::OldCode { passing: true, .. })
    }

    /// What it is about, in a word or two.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Kernel { release, .. } => format!("kernel {release}").into(),
            Self::RebootRequired { packages } if packages.is_empty() => "/run/reboot-required".into(),
            Self::RebootRequired { packages } => packages.join(", ").into(),
            Self::ReadAtBoot { package, .. } | Self::Upgraded { package, .. } => package.into(),
            Self::OldCode { by, .. } => by.into(),
            Self::Microcode { .. } => "microcode".into(),
        }
    }

    /// The least restart after which it is owed no more.
    pub fn paid_by(&self) -> Restart {
        match self {
            Self::Upgraded { .. } | Self::OldCode { .. } => Restart::Soft,
            // The flag lies in `/run`, which goes with the kernel; what has set it may want more.
            Self::RebootRequired { packages } => {
                packages.iter().filter_map(|package| read_by(package)).max().unwrap_or(Restart::Kexec)
            }
            // The kernel loads microcode from the initrd.
            Self::Kernel { .. } | Self::ReadAtBoot { .. } | Self::Microcode { .. } => Restart::Kexec,
        }
    }

    /// Whether all but the kernel being started anew leaves it as it is.
    pub fn outlives_soft_reboot(&self) -> bool {
        self.paid_by() > Restart::Soft
    }

    /// Whether a look at what runs tells if it is (still) so.
    pub fn shows_in_what_runs(&self) -> bool {
        matches!(self, Self::Upgraded { .. } | Self::OldCode { .. })
    }
}

impl fmt::Display for BootReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { release, running, version, comes } => {
                let version = version.as_ref().map(|version| format!(" as {version}")).unwrap_or_default();
                let verb = if *comes { "comes with the upgrade" } else { "is installed" };
                write!(f, "kernel {release} {verb}{version}, {running} runs")
            }
            Self::RebootRequired { packages } if packages.is_empty() => f.write_str("/run/reboot-required is set"),
            Self::RebootRequired { packages } => {
                write!(f, "/run/reboot-required is set (by {})", packages.join(", "))
            }
            Self::ReadAtBoot { package, .. } | Self::Upgraded { package, .. } => write!(f, "upgraded: {package}"),
            Self::OldCode { by, .. } => write!(f, "{by} still runs replaced files"),
            Self::Microcode { loaded, installed } => {
                write!(f, "the CPU has microcode {loaded}, and {installed} is installed")
            }
        }
    }
}

/// Names in one sentence; the rest is counted.
const NAMED: usize = 6;

/// The reasons as people say them, each kind once.
pub fn reasons_in_words<'a>(reasons: impl IntoIterator<Item = &'a BootReason>) -> Vec<String> {
    let (mut said, mut upgraded, mut old) = (Vec::new(), Vec::new(), Vec::new());
    for reason in reasons {
        match reason {
            BootReason::ReadAtBoot { package, .. } | BootReason::Upgraded { package, .. } => upgraded.push(package),
            BootReason::OldCode { by, .. } => old.push(by),
            other => said.push(other.to_string()),
        }
    }
    let named = |names: &[&String]| {
        let shown: Vec<&str> = names.iter().take(NAMED).map(|name| name.as_str()).collect();
        match names.len().saturating_sub(NAMED) {
            0 => shown.join(", "),
            rest => format!("{} and {rest} more", shown.join(", ")),
        }
    };
    said.extend((!upgraded.is_empty()).then(|| format!("upgraded: {}", named(&upgraded))));
    said.extend((!old.is_empty()).then(|| format!("replaced files are still run by {}", named(&old))));
    said
}

/// What is owed now: each of `seen` with the time since which it is known, and of what was known all that such a look
/// cannot tell. `None` in place of a look means that nobody could: then all that was known stays.
pub fn after_a_look(known: &[Owed], seen: Option<&[BootReason]>, now: Timestamp) -> Vec<Owed> {
    let Some(seen) = seen else { return known.to_vec() };
    let stays = known.iter().filter(|owed| !owed.reason.shows_in_what_runs() || seen.contains(&owed.reason));
    let mut owed: Vec<Owed> = stays.cloned().collect();
    for reason in seen {
        if owed.iter().all(|known| known.reason != *reason) {
            owed.push(Owed { since: now, reason: reason.clone() });
        }
    }
    owed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<BootReason> {
        let text = |text: &str| text.to_owned();
        vec![
            BootReason::Kernel { release: text("6.1.0-43"), running: text("6.1.0-42"), version: None, comes: false },
            BootReason::RebootRequired { packages: vec![text("libc6")] },
            BootReason::ReadAtBoot { package: text("intel-microcode"), from: Some(text("1")) },
            BootReason::Upgraded { package: text("libssl3"), from: None },
            BootReason::OldCode { by: text("dbus.service"), passing: false },
            BootReason::OldCode { by: text("root on pts/0"), passing: true },
            BootReason::Microcode { loaded: text("0x1"), installed: text("0x2") },
        ]
    }

    #[test]
    fn each_reason_is_saved_and_read_back() {
        let since = "2026-11-23T03:00:00Z".parse().unwrap();
        for reason in all() {
            let owed = Owed { since, reason };
            let text = serde_json::to_string(&owed).unwrap();
            assert_eq!(serde_json::from_str::<Owed>(&text).unwrap(), owed, "{text}");
        }
    }

    #[test]
    fn reasons_of_a_kind_are_one_sentence() {
        assert_eq!(
            reasons_in_words(&all()),
            [
                "kernel 6.1.0-43 is installed, 6.1.0-42 runs",
                "/run/reboot-required is set (by libc6)",
                "the CPU has microcode 0x1, and 0x2 is installed",
                "upgraded: intel-microcode, libssl3",
                "replaced files are still run by dbus.service, root on pts/0",
            ]
        );
    }

    #[test]
    fn a_look_decides_about_what_runs_and_about_nothing_else() {
        let (then, now) = ("2026-11-23T03:00:00Z".parse().unwrap(), "2026-11-24T03:00:00Z".parse().unwrap());
        let known: Vec<Owed> = all().into_iter().map(|reason| Owed { since: then, reason }).collect();
        // Unknown is not gone.
        assert_eq!(after_a_look(&known, None, now), known);
        let dbus = BootReason::OldCode { by: "dbus.service".into(), passing: false };
        let init = BootReason::OldCode { by: "systemd (PID 1)".into(), passing: false };
        let owed = after_a_look(&known, Some(&[dbus.clone(), init.clone()]), now);
        let of = |reason: &BootReason| owed.iter().find(|owed| owed.reason == *reason).map(|owed| owed.since);
        assert_eq!((of(&dbus), of(&init)), (Some(then), Some(now)));
        let kept = owed.iter().filter(|owed| !owed.reason.shows_in_what_runs()).count();
        assert_eq!((kept, owed.len()), (4, 6), "{owed:?}");
    }
}
