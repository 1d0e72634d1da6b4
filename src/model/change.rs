//! What a run changed on the host and must undo.

use serde::{Deserialize, Serialize};

use super::{BootId, OneShotBoot, SliceLimits, UnitName};

/// One change, recorded before it is made and struck out after it is undone. Every change of the host here lives in `/run`
/// or in the memory of systemd or the kernel, so that a reboot undoes it too; [`Self::outlives_boot`] names what is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The unit cannot start: a condition in a runtime drop-in is not met.
    Held(UnitName),
    /// Nobody can stop the unit by its name.
    Protected(UnitName),
    /// The unit was active, and was stopped.
    Stopped(UnitName),
    /// The unit is no service of the run, was active, and is held and stopped with one: it is bound to it, or would start it.
    TakenAlong {
        unit: UnitName,
        /// The service of the run.
        with: UnitName,
    },
    /// The timer of another patch tool was active, and was stopped for the run. Whether it starts at boot is not touched.
    Paused(UnitName),
    /// The slice of all work has limits of ours, at run time.
    Limited {
        slice: UnitName,
        /// What it had before.
        before: SliceLimits,
    },
    /// Who logs in reads that services are down.
    Announced,
    /// Nobody can begin to work on packages: the locks of apt and dpkg are in our hands, for the reboot that follows.
    PackagesLocked,
    /// Monitoring, which is elsewhere, was told to be quiet.
    Silenced {
        /// Program and arguments that have it speak again.
        end: Vec<String>,
    },
    /// A kernel is loaded, which a reboot by kexec starts.
    KernelLoaded,
    /// The boot loader starts a new kernel once, and the old one after that.
    OneShotBoot(OneShotBoot),
    /// Packages are written that are not on disk before all of them are. Whoever finds it on another boot installs them again.
    Unsynced {
        /// In whose memory they are.
        boot: BootId,
    },
}

impl Change {
    /// The unit that was changed, if it is one.
    pub fn unit(&self) -> Option<&UnitName> {
        match self {
            Self::Held(unit) | Self::Protected(unit) | Self::Stopped(unit) | Self::Paused(unit) => Some(unit),
            Self::TakenAlong { unit, .. } => Some(unit),
            Self::Limited { slice, .. } => Some(slice),
            Self::Announced
            | Self::PackagesLocked
            | Self::Silenced { .. }
            | Self::KernelLoaded
            | Self::OneShotBoot(_)
            | Self::Unsynced { .. } => None,
        }
    }

    /// Whether it changes what the other one changes, so that only the first of them knows what was before.
    pub fn is_of_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Limited { .. }, Self::Limited { .. }) => true,
            (Self::TakenAlong { unit, .. }, Self::TakenAlong { unit: other, .. }) => unit == other,
            (one, other) => one == other,
        }
    }

    /// Whether a soft reboot undoes it, once the holds are let go: files below `/run` stay, and so does what is set at run
    /// time.
    pub fn ends_with_processes(&self) -> bool {
        match self {
            Self::Held(_)
            | Self::Protected(_)
            | Self::Stopped(_)
            | Self::TakenAlong { .. }
            | Self::Paused(_)
            | Self::PackagesLocked => true,
            Self::Limited { .. }
            | Self::Announced
            | Self::Silenced { .. }
            | Self::KernelLoaded
            | Self::OneShotBoot(_)
            | Self::Unsynced { .. } => false,
        }
    }

    /// Whether another boot does not undo it.
    pub fn outlives_boot(&self) -> bool {
        matches!(self, Self::Silenced { .. } | Self::OneShotBoot(_) | Self::Unsynced { .. })
    }
}
