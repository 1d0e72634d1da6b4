//! How a host is started anew, and the least way that pays what is owed. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BootReason, KernelPlan, PackageAction, UpgradePlan, without_architecture};

/// A way of starting a host anew: the later one does all that the earlier one does, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// systemd ends every process, its own program too, and starts all but the kernel anew.
    Soft,
    /// The firmware, the boot loader and the kernel as well.
    #[default]
    Full,
}

impl Restart {
    pub fn name(self) -> &'static str {
        match self {
            Self::Soft => "soft reboot",
            Self::Full => "reboot",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde wants
    pub fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

/// What keeps this host from a soft reboot, whatever is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SoftHindrance {
    /// systemd cannot, or does not count them (before 256): nobody could tell afterwards that there was one.
    NotCounted,
    /// It would start another system, which lies in `/run/nextroot`.
    OtherRoot,
    /// Nobody could tell: the host's words.
    Unknown(String),
}

/// Why a full reboot is made where a soft one was allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum WhyFull {
    /// Only a boot of the kernel pays it.
    Owed { reason: BootReason },
    /// Packages of which only a boot of the kernel takes notice, though no look tells of them: modules, firmware.
    Packages { names: Vec<String> },
    /// The boot loader would start another kernel than the one that runs.
    OtherKernel { release: String },
    /// The boot loader is to start a kernel once, on trial.
    Trial,
    /// Nothing owes it that is known: `[reboot] when = "always"`.
    NothingOwed,
    /// A kernel is built from its source.
    KernelBuilt,
    /// Its systemd, or what lies in `/run`, keeps it from a soft reboot.
    Host { hindrance: SoftHindrance },
    /// The kernels could not be looked at: the host's words.
    Unknown { why: String },
}

/// The restart that a run asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RestartChoice {
    pub restart: Restart,
    /// Why it is more than was allowed at least; empty where it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<WhyFull>,
}

impl RestartChoice {
    /// Full, and nobody allowed less.
    #[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde wants
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// What the choice is made of.
#[derive(Debug, Clone, Copy)]
pub struct RestartInputs<'a> {
    /// The least that the configuration allows.
    pub least: Restart,
    /// Or why nobody could look, in the host's words.
    pub seen: Result<KernelsSeen<'a>, &'a str>,
    /// What is upgraded with the run.
    pub upgrade: &'a UpgradePlan,
    /// The boot loader starts a kernel on trial.
    pub tries_kernel: bool,
    /// A kernel is yet to be built from its source.
    pub builds_kernel: bool,
    /// None if the host can.
    pub hindrance: Option<&'a SoftHindrance>,
}

/// What a look at the kernels tells of the next boot.
#[derive(Debug, Clone, Copy)]
pub struct KernelsSeen<'a> {
    /// What a boot owes, each with its kind.
    pub owed: &'a [BootReason],
    /// `uname -r`.
    pub running: &'a str,
    /// The kernel that a boot would start.
    pub next: &'a KernelPlan,
}

/// The least restart that pays what is owed. What is not known to be paid by less is paid by a full reboot.
pub fn least_restart(inputs: &RestartInputs<'_>) -> RestartChoice {
    if inputs.least == Restart::Full {
        return RestartChoice::default();
    }
    let mut because = match inputs.seen {
        Ok(seen) => of_kernels(&seen),
        Err(why) => vec![WhyFull::Unknown { why: why.to_owned() }],
    };
    let names: Vec<String> = read_by_kernel(inputs.upgrade).map(str::to_owned).collect();
    because.extend((!names.is_empty()).then_some(WhyFull::Packages { names }));
    because.extend(inputs.tries_kernel.then_some(WhyFull::Trial));
    because.extend(inputs.builds_kernel.then_some(WhyFull::KernelBuilt));
    because.extend(inputs.hindrance.map(|hindrance| WhyFull::Host { hindrance: hindrance.clone() }));
    let restart = if because.is_empty() { Restart::Soft } else { Restart::Full };
    RestartChoice { restart, because }
}

fn of_kernels(seen: &KernelsSeen<'_>) -> Vec<WhyFull> {
    let owed = || seen.owed.iter().filter(|reason| reason.asks_for_reboot());
    let mut because: Vec<WhyFull> = owed()
        .filter(|reason| reason.outlives_soft_reboot())
        .map(|reason| WhyFull::Owed { reason: reason.clone() })
        .collect();
    let told =
        |release: &str| owed().any(|one| matches!(one, BootReason::Kernel { release: told, .. } if told == release));
    let next = seen.next;
    let is_other = next.managed_here && next.expected != seen.running && !told(&next.expected);
    because.extend(is_other.then(|| WhyFull::OtherKernel { release: next.expected.clone() }));
    because.extend(owed().next().is_none().then_some(WhyFull::NothingOwed));
    because
}

/// Upgraded packages whose files only the kernel reads, when it starts or when it finds a device.
fn read_by_kernel(upgrade: &UpgradePlan) -> impl Iterator<Item = &str> {
    let changed = upgrade.changes.iter().filter(|change| change.action != PackageAction::Remove);
    changed
        .map(|change| without_architecture(&change.name))
        .filter(|name| name.starts_with("firmware-") || name.starts_with("linux-firmware") || name.ends_with("-dkms"))
}

impl fmt::Display for SoftHindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCounted => f.write_str("this systemd counts no soft reboots (256 and newer do)"),
            Self::OtherRoot => f.write_str("/run/nextroot holds another system, which would be started"),
            Self::Unknown(why) => write!(f, "whether this host can is unknown: {why}"),
        }
    }
}

impl fmt::Display for WhyFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owed { reason } => reason.fmt(f),
            Self::Packages { names } => write!(f, "only the kernel reads what is upgraded of {}", names.join(", ")),
            Self::OtherKernel { release } => write!(f, "a boot starts kernel {release}"),
            Self::Trial => f.write_str("a kernel is tried, which the boot loader starts"),
            Self::NothingOwed => f.write_str("what owes the reboot is not known"),
            Self::KernelBuilt => f.write_str("a kernel is built from its source"),
            Self::Host { hindrance } => hindrance.fmt(f),
            Self::Unknown { why } => write!(f, "the kernels could not be looked at: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PackageChange;

    fn upgrade(names: &[&str]) -> UpgradePlan {
        let change = |name: &&str| PackageChange {
            name: (*name).into(),
            action: PackageAction::Upgrade,
            from: Some("1".into()),
            to: Some("2".into()),
            origin: None,
        };
        UpgradePlan { changes: names.iter().map(change).collect(), ..UpgradePlan::default() }
    }

    /// What it shows, the least that is allowed, what is owed, what is upgraded, what hinders; the restart, and why.
    type Case<'a> = (&'a str, Restart, Vec<BootReason>, &'a [&'a str], Option<SoftHindrance>, Restart, &'a [&'a str]);

    #[test]
    fn less_than_a_full_reboot_only_where_programs_alone_owe_it() {
        let text = |text: &str| text.to_owned();
        let upgraded = BootReason::Upgraded { package: text("libc6"), from: None };
        let old = BootReason::OldCode { by: text("dbus.service"), passing: false };
        let init = BootReason::OldCode { by: text("systemd (PID 1)"), passing: false };
        let passing = BootReason::OldCode { by: text("root on pts/0"), passing: true };
        let kernel = BootReason::Kernel { release: text("6.2"), running: text("6.1"), version: None, comes: false };
        let rebuilt = BootReason::Kernel {
            release: text("6.1"),
            running: text("6.1.1"),
            version: Some(text("6.1.2")),
            comes: true,
        };
        let flag = BootReason::RebootRequired { packages: vec![text("libc6")] };
        let initrd = BootReason::ReadAtBoot { package: text("initramfs-tools"), from: None };
        let microcode = BootReason::Microcode { loaded: text("1"), installed: text("2") };
        let (soft, full) = (Restart::Soft, Restart::Full);
        let programs = [upgraded.clone(), old.clone(), init];
        let with = |more: &BootReason| vec![old.clone(), more.clone()];
        let cases: Vec<Case> = vec![
            ("nobody allows less", full, programs.to_vec(), &[], None, full, &[]),
            ("programs, systemd among them", soft, programs.to_vec(), &["libc6", "dbus"], None, soft, &[]),
            ("a kernel", soft, with(&kernel), &[], None, full, &["kernel 6.2 is installed, 6.1 runs"]),
            (
                "a kernel rebuilt",
                soft,
                with(&rebuilt),
                &[],
                None,
                full,
                &["kernel 6.1 comes with the upgrade as 6.1.2, 6.1.1 runs"],
            ),
            ("the flag", soft, with(&flag), &[], None, full, &["/run/reboot-required is set (by libc6)"]),
            ("the initrd", soft, with(&initrd), &[], None, full, &["upgraded: initramfs-tools"]),
            ("microcode", soft, vec![microcode], &[], None, full, &["the CPU has microcode 1, and 2 is installed"]),
            ("nothing known", soft, vec![], &[], None, full, &["what owes the reboot is not known"]),
            ("what passes", soft, vec![passing], &[], None, full, &["what owes the reboot is not known"]),
            (
                "modules and firmware",
                soft,
                programs.to_vec(),
                &["zfs-dkms", "firmware-realtek:amd64", "linux-image-6.1-amd64"],
                None,
                full,
                &["only the kernel reads what is upgraded of zfs-dkms, firmware-realtek"],
            ),
            (
                "an older systemd",
                soft,
                programs.to_vec(),
                &[],
                Some(SoftHindrance::NotCounted),
                full,
                &["this systemd counts no soft reboots (256 and newer do)"],
            ),
            (
                "another system",
                soft,
                programs.to_vec(),
                &[],
                Some(SoftHindrance::OtherRoot),
                full,
                &["/run/nextroot holds another system, which would be started"],
            ),
        ];
        for (case, least, owed, packages, hindrance, restart, because) in cases {
            let choice = least_restart(&RestartInputs {
                least,
                seen: Ok(KernelsSeen { owed: &owed, running: "6.1", next: &KernelPlan::default() }),
                upgrade: &upgrade(packages),
                tries_kernel: false,
                builds_kernel: false,
                hindrance: hindrance.as_ref(),
            });
            let told: Vec<String> = choice.because.iter().map(ToString::to_string).collect();
            assert_eq!(
                (choice.restart, told.iter().map(String::as_str).collect::<Vec<_>>()),
                (restart, because.to_vec()),
                "{case}"
            );
        }
    }

    #[test]
    fn a_boot_that_would_start_another_kernel_is_a_full_one() {
        let old = [BootReason::OldCode { by: "dbus.service".into(), passing: false }];
        for (expected, managed_here, restart) in
            [("6.1", true, Restart::Soft), ("6.0", true, Restart::Full), ("6.0", false, Restart::Soft)]
        {
            let next = KernelPlan { expected: expected.into(), managed_here, ..KernelPlan::default() };
            let choice = least_restart(&RestartInputs {
                least: Restart::Soft,
                seen: Ok(KernelsSeen { owed: &old, running: "6.1", next: &next }),
                upgrade: &UpgradePlan::default(),
                tries_kernel: false,
                builds_kernel: false,
                hindrance: None,
            });
            assert_eq!(choice.restart, restart, "{next:?}");
        }
    }

    #[test]
    fn what_the_run_itself_does_with_kernels_asks_for_a_full_one() {
        let old = [BootReason::OldCode { by: "dbus.service".into(), passing: false }];
        let seen = Ok(KernelsSeen { owed: &old, running: "6.1", next: &KernelPlan::default() });
        for (seen, tries_kernel, builds_kernel, because) in [
            (seen, false, false, vec![]),
            (seen, true, false, vec![WhyFull::Trial]),
            (seen, false, true, vec![WhyFull::KernelBuilt]),
            (Err("no answer"), true, false, vec![WhyFull::Unknown { why: "no answer".into() }, WhyFull::Trial]),
        ] {
            let choice = least_restart(&RestartInputs {
                least: Restart::Soft,
                seen,
                upgrade: &UpgradePlan::default(),
                tries_kernel,
                builds_kernel,
                hindrance: None,
            });
            assert_eq!((choice.restart == Restart::Full, choice.because), (!because.is_empty(), because));
        }
    }

    #[test]
    fn a_choice_is_saved_and_read_back() {
        let because = vec![
            WhyFull::Owed { reason: BootReason::RebootRequired { packages: Vec::new() } },
            WhyFull::Packages { names: vec!["zfs-dkms".into()] },
            WhyFull::OtherKernel { release: "6.0".into() },
            WhyFull::Trial,
            WhyFull::NothingOwed,
            WhyFull::KernelBuilt,
            WhyFull::Host { hindrance: SoftHindrance::NotCounted },
            WhyFull::Host { hindrance: SoftHindrance::Unknown("no answer".into()) },
            WhyFull::Unknown { why: "no answer".into() },
        ];
        for choice in [RestartChoice::default(), RestartChoice { restart: Restart::Full, because }] {
            let text = serde_json::to_string(&choice).unwrap();
            assert_eq!(serde_json::from_str::<RestartChoice>(&text).unwrap(), choice, "{text}");
        }
        assert!(RestartChoice::default().is_plain() && Restart::Soft < Restart::Full);
    }
}
