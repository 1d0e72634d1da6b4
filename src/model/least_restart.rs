//! The least restart that pays what is owed, and why it is not less. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::restart::read_by;
use super::{
    BootReason, KernelPlan, KexecHindrance, PackageAction, Restart, SoftHindrance, UpgradePlan, without_architecture,
};

/// Why more is done than the least that was allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum WhyMore {
    /// No less pays it.
    Owed { reason: BootReason },
    /// Packages of which only a boot of the kernel takes notice, though no look tells of them: modules.
    Packages { names: Vec<String> },
    /// Packages that firmware and boot loader are of, or what a device keeps until its power goes.
    Firmware { names: Vec<String> },
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
    /// The host cannot be started by kexec, or its kernel could not be loaded.
    Kexec { hindrance: KexecHindrance },
    /// The kernels could not be looked at: the host's words.
    Unknown { why: String },
}

/// The restart that a run asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RestartChoice {
    pub restart: Restart,
    /// Why it is more than was allowed at least; empty where it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<WhyMore>,
}

impl RestartChoice {
    /// The full one in place of kexec.
    #[must_use]
    pub fn without_kexec(mut self, hindrance: KexecHindrance) -> Self {
        self.restart = Restart::Full;
        self.because.push(WhyMore::Kexec { hindrance });
        self
    }

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
    /// What keeps the host from a soft reboot; none if nothing does.
    pub no_soft: Option<&'a SoftHindrance>,
    /// What keeps it from kexec; none if nothing does.
    pub no_kexec: Option<&'a KexecHindrance>,
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
        Err(why) => vec![WhyMore::Unknown { why: why.to_owned() }],
    };
    let names = upgraded(inputs.upgrade, Restart::Kexec);
    because.extend((!names.is_empty()).then_some(WhyMore::Packages { names }));
    let names = upgraded(inputs.upgrade, Restart::Full);
    because.extend((!names.is_empty()).then_some(WhyMore::Firmware { names }));
    because.extend(inputs.tries_kernel.then_some(WhyMore::Trial));
    because.extend(inputs.builds_kernel.then_some(WhyMore::KernelBuilt));
    because.extend(inputs.no_soft.map(|hindrance| WhyMore::Host { hindrance: hindrance.clone() }));
    because.retain(|why| why.asks_for() > inputs.least);
    let restart = because.iter().map(WhyMore::asks_for).max().unwrap_or(inputs.least);
    let choice = RestartChoice { restart, because };
    match inputs.no_kexec.filter(|_| restart == Restart::Kexec) {
        Some(hindrance) => choice.without_kexec(hindrance.clone()),
        None => choice,
    }
}

fn of_kernels(seen: &KernelsSeen<'_>) -> Vec<WhyMore> {
    let owed = || seen.owed.iter().filter(|reason| reason.asks_for_reboot());
    let mut because: Vec<WhyMore> = owed().map(|reason| WhyMore::Owed { reason: reason.clone() }).collect();
    let told =
        |release: &str| owed().any(|one| matches!(one, BootReason::Kernel { release: told, .. } if told == release));
    let next = seen.next;
    let is_other = next.managed_here && next.expected != seen.running && !told(&next.expected);
    because.extend(is_other.then(|| WhyMore::OtherKernel { release: next.expected.clone() }));
    because.extend(owed().next().is_none().then_some(WhyMore::NothingOwed));
    because
}

/// The names of upgraded packages whose files nothing less than this restart reads.
fn upgraded(upgrade: &UpgradePlan, restart: Restart) -> Vec<String> {
    let changed = upgrade.changes.iter().filter(|change| change.action != PackageAction::Remove);
    let names = changed.map(|change| without_architecture(&change.name));
    names.filter(|name| read_by(name) == Some(restart)).map(str::to_owned).collect()
}

impl WhyMore {
    /// The least restart that it leaves.
    fn asks_for(&self) -> Restart {
        match self {
            Self::Owed { reason } => reason.paid_by(),
            Self::Packages { .. }
            | Self::OtherKernel { .. }
            | Self::NothingOwed
            | Self::KernelBuilt
            | Self::Host { .. } => Restart::Kexec,
            Self::Firmware { .. } | Self::Trial | Self::Kexec { .. } | Self::Unknown { .. } => Restart::Full,
        }
    }
}

impl fmt::Display for WhyMore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owed { reason } => reason.fmt(f),
            Self::Packages { names } => write!(f, "only the kernel reads what is upgraded of {}", names.join(", ")),
            Self::Firmware { names } => write!(f, "only a full reboot reads what is upgraded of {}", names.join(", ")),
            Self::OtherKernel { release } => write!(f, "a boot starts kernel {release}"),
            Self::Trial => f.write_str("a kernel is tried, which the boot loader starts"),
            Self::NothingOwed => f.write_str("what owes the reboot is not known"),
            Self::KernelBuilt => f.write_str("a kernel is built from its source"),
            Self::Host { hindrance } => hindrance.fmt(f),
            Self::Kexec { hindrance } => hindrance.fmt(f),
            Self::Unknown { why } => write!(f, "the kernels could not be looked at: {why}"),
        }
    }
}

#[cfg(test)]
mod tests;
