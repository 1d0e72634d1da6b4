//! The stable labels of findings: scripts, schemas and `--allow` know them.

use std::fmt;

use serde::de::IntoDeserializer;
use serde::de::value::Error;
use serde::{Deserialize, Serialize};

/// What kind of finding it is. Written, and shown, in kebab case: `service-not-ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKey {
    /// A service did not come back.
    ServiceNotReady,
    /// A service runs, and its probe fails as it did before the run.
    ServiceNotReadyBefore,
    /// A service came back only because Patchday restarted it.
    ServiceRecovered,
    /// A service answers slower than before.
    ServiceSlow,
    /// A service was ready before one on which it depends.
    Order,
    /// systemd restarted a service before it stayed.
    Restarted,
    /// A unit failed since the baseline.
    UnitFailed,
    /// A unit failed between the baseline and the reboot, which made systemd forget it.
    UnitFailedMeanwhile,
    /// A unit ran before, and does not now.
    UnitGone,
    /// A timer was active before, and is not now.
    TimerMissing,
    /// No program listens on an address any more.
    SocketMissing,
    /// Another program listens on an address.
    SocketMoved,
    /// A file system is not mounted any more.
    MountMissing,
    /// Another file system is mounted there.
    MountChanged,
    /// A file system is read-only that was writable.
    MountReadOnly,
    /// Swap is off that was on.
    SwapMissing,
    /// An address is gone.
    AddressMissing,
    /// An address is at another interface.
    InterfaceRenamed,
    /// A route is gone.
    RouteMissing,
    /// Another kernel, or another build of it, runs than the one that was expected.
    KernelRelease,
    /// The new kernel did not pass, and the one before runs again.
    KernelFellBack,
    /// The boot loader still has a kernel on trial.
    KernelTrial,
    /// The kernel was started with another command line.
    CommandLine,
    /// A kernel module that a file asks for is not loaded.
    ModuleMissing,
    /// A kernel setting has another value.
    Sysctl,
    /// The CPU lost its protection against a vulnerability.
    CpuVulnerable,
    /// Newer microcode is installed than the CPU runs.
    Microcode,
    /// Packages are half installed.
    DpkgClean,
    /// A package is not at the version that was planned.
    PackageVersion,
    /// Configuration files wait to be merged.
    Conffiles,
    /// Programs run with files that were replaced.
    Outdated,
    /// A reboot is still needed.
    RebootPending,
    /// A package asks for a reboot, after the reboot.
    RebootRequired,
    /// A shutdown is scheduled.
    ShutdownScheduled,
    /// systemd still works at the boot.
    BootUnfinished,
    /// The clock was synchronized before, and is not now.
    Clock,
    /// An acknowledged write is missing, or could not be looked for.
    DatabaseCanary,
    /// The feature compatibility version is another one.
    DatabaseCompatibility,
    /// A member of a replica set is not in its place.
    DatabaseMember,
    /// The database had to recover at its start.
    DatabaseUnclean,
    /// A unit is active although no process of it runs.
    MongodHollow,
    /// mongod does not run, and no known reason was recognised.
    MongodUnknown,
    /// The label of a check, the key of a rule of the doctor, or a key of another version of Patchday.
    #[serde(untagged)]
    Labelled(String),
}

impl FindingKey {
    /// The key with this label.
    pub fn labelled(label: &str) -> Self {
        let known: Result<Self, Error> = Self::deserialize(label.into_deserializer());
        known.unwrap_or_else(|_| Self::Labelled(label.to_owned()))
    }
}

impl PartialEq<&str> for FindingKey {
    fn eq(&self, label: &&str) -> bool {
        *self == Self::labelled(label)
    }
}

impl fmt::Display for FindingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for (key, label) in [
            (FindingKey::ServiceNotReady, "service-not-ready"),
            (FindingKey::DpkgClean, "dpkg-clean"),
            (FindingKey::labelled("boot-space"), "boot-space"),
        ] {
            assert_eq!(key.to_string(), label);
            assert_eq!(FindingKey::labelled(label), key);
            let text = serde_json::to_string(&key).unwrap();
            assert_eq!(text, format!("\"{label}\""));
            assert_eq!(serde_json::from_str::<FindingKey>(&text).unwrap(), key);
        }
    }
}
