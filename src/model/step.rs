//! The steps of a run.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, IntoDeserializer, value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{HookId, HookPoint, InvalidId, Occasion, UnitName, Wave};

/// One step. The order in which a run takes them is the run's own list, never the order here.
///
/// Written as its name in kebab case: `stage-check`, `stop:mongod.service`, `stop:api.service,web.service`, `hook:after-stop:1`, `notify-end`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "kebab-case")]
pub enum Step {
    Preflight,
    /// Refresh the package lists, simulate, guard against removals, download.
    Fetch,
    /// Record what runs now.
    Baseline,
    /// Tell those who are logged in, and give them time.
    Announce,
    /// Ask again, right before the first stop, what the preflight has asked and what may have changed since.
    LookAgain,
    /// Have monitoring be quiet.
    Silence,
    /// Have monitoring speak again.
    EndSilence,
    /// Call a program of the administrator.
    #[serde(skip)]
    Hook(HookId),
    /// Remove old kernels where `/boot` is too tight for a new one.
    RemoveKernels,
    /// Install the new kernel while the services still run.
    Ahead,
    /// Hold and stop services side by side, and prove that each is down.
    #[serde(skip)]
    Stop(Wave),
    /// Upgrade what booting and a repair need, before the rest is installed without a sync for each file.
    UpgradeBase,
    Upgrade,
    /// Build a kernel from its source.
    KernelSource,
    /// Install the kernel that was built.
    InstallKernel,
    /// Modules for the kernel of the next boot.
    BuildKernel,
    /// The last look before the point of no return.
    StageCheck,
    /// Ask for a full reboot.
    Reboot,
    /// Prove that the host came back.
    Verify,
    /// Ask for a reboot into the kernel that ran before, since the host is not well under the new one.
    Revert,
    /// Go forward from interrupted or failed packaging work to a consistent package database.
    Repair,
    /// Bring back what the run stopped, in dependency order.
    Restore,
    /// See whether the services of a run that is not verified still serve.
    LastLook,
    Report,
    /// Tell those who wait. Never fails a run.
    #[serde(skip)]
    Notify(Occasion),
}

impl Step {
    /// Where in a run the hook is called; None for a step that is no hook.
    pub fn hook_point(&self) -> Option<HookPoint> {
        match self {
            Self::Hook(hook) => Some(hook.point),
            _ => None,
        }
    }

    /// Whether only the next boot says how it ended.
    pub fn asks_for_reboot(&self) -> bool {
        matches!(self, Self::Reboot | Self::Revert)
    }

    /// The step that stops this service and no other.
    pub fn stop(unit: UnitName) -> Self {
        Self::Stop(Wave::of(unit))
    }

    /// Whether it stops this service.
    pub fn stops(&self, unit: &UnitName) -> bool {
        matches!(self, Self::Stop(wave) if wave.contains(unit))
    }

    /// Whether it stops a service.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Stop(_))
    }

    /// A few words for people.
    pub fn title(&self) -> String {
        match self {
            Self::Preflight => "check the host".into(),
            Self::Fetch => "fetch the packages".into(),
            Self::Baseline => "record what runs".into(),
            Self::Stop(wave) => match wave.units() {
                [first, others @ ..] if others.len() > 1 => format!("stop {first} and {} more", others.len()),
                units => format!("stop {}", units.iter().map(UnitName::as_str).collect::<Vec<_>>().join(" and ")),
            },
            Self::Announce => "tell who is logged in".into(),
            Self::LookAgain => "look again before the stop".into(),
            Self::Silence => "silence the monitoring".into(),
            Self::EndSilence => "end the silence of the monitoring".into(),
            Self::Hook(HookId { point, number }) => match point {
                HookPoint::BeforeStop => format!("hook {number} before the stop"),
                HookPoint::AfterStop => format!("hook {number} after the stop"),
                HookPoint::BeforeReboot => format!("hook {number} before the reboot"),
                HookPoint::AfterVerify => format!("hook {number} after the verification"),
            },
            Self::RemoveKernels => "remove old kernels".into(),
            Self::Ahead => "install what can come ahead".into(),
            Self::UpgradeBase => "upgrade what booting needs".into(),
            Self::Upgrade => "upgrade the packages".into(),
            Self::KernelSource => "build the kernel from its source".into(),
            Self::InstallKernel => "install the kernel that was built".into(),
            Self::BuildKernel => "build for the kernel".into(),
            Self::StageCheck => "last look before the reboot".into(),
            Self::Reboot => "reboot".into(),
            Self::Verify => "verify what came back".into(),
            Self::Revert => "reboot into the kernel before".into(),
            Self::Repair => "repair the packages".into(),
            Self::Restore => "bring the services back".into(),
            Self::LastLook => "see whether the services stay".into(),
            Self::Report => "write the report".into(),
            Self::Notify(Occasion::Start) => "tell that services go down".into(),
            Self::Notify(Occasion::Reboot) => "tell that the host reboots".into(),
            Self::Notify(Occasion::End) => "tell how the run ended".into(),
            Self::Notify(Occasion::Test) => "try whether messages arrive".into(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop(wave) => write!(f, "stop:{wave}"),
            Self::Hook(hook) => write!(f, "hook:{hook}"),
            Self::Notify(occasion) => write!(f, "notify-{}", occasion.name()),
            // The derived one, which writes the name of a variant without content.
            plain => Self::serialize(plain, f),
        }
    }
}

impl FromStr for Step {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if let Some(wave) = text.strip_prefix("stop:") {
            return Ok(Self::Stop(wave.parse()?));
        }
        if let Some(hook) = text.strip_prefix("hook:") {
            return Ok(Self::Hook(hook.parse()?));
        }
        let unknown =
            |_: value::Error| InvalidId::new("step", text, "a step's name, as in upgrade or stop:mongod.service");
        match text.strip_prefix("notify-") {
            Some(occasion) => Occasion::deserialize(occasion.into_deserializer()).map(Self::Notify).map_err(unknown),
            None => Self::deserialize(text.into_deserializer()).map_err(unknown),
        }
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_reads_back_from_its_name() {
        for name in [
            "preflight",
            "look-again",
            "end-silence",
            "stage-check",
            "report",
            "notify-start",
            "notify-end",
            "stop:mongod.service",
            "stop:api.service,web.service",
            "hook:before-reboot:2",
        ] {
            assert_eq!(name.parse::<Step>().unwrap().to_string(), name);
            let json = format!("\"{name}\"");
            assert_eq!(serde_json::to_string(&serde_json::from_str::<Step>(&json).unwrap()).unwrap(), json);
        }
        for wrong in ["stop:", "stop", "hook:before-stop", "notify", "notify-never", "dance", ""] {
            assert!(wrong.parse::<Step>().is_err(), "{wrong}");
        }
    }
}
