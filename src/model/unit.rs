//! What systemd says of a unit. Unknown strings are kept, never taken for something else.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::UnitName;

macro_rules! systemd_words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`.")] $variant,)+
            /// A word that this version does not know.
            Other(String),
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                word.to_owned().into()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                })
            }
        }
    };
}

systemd_words!(
    /// `LoadState`.
    LoadState { Loaded = "loaded", NotFound = "not-found", BadSetting = "bad-setting", Error = "error", Masked = "masked" }
);

systemd_words!(
    /// `ActiveState`.
    ActiveState {
        Active = "active", Reloading = "reloading", Inactive = "inactive", Failed = "failed",
        Activating = "activating", Deactivating = "deactivating",
    }
);

systemd_words!(
    /// The result in `JobRemoved`.
    JobResult {
        Done = "done", Canceled = "canceled", Timeout = "timeout", Failed = "failed",
        Dependency = "dependency", Skipped = "skipped",
    }
);

/// Something that systemd has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingJob {
    /// Of which unit. Kinds of units that no configuration can name have jobs too.
    pub unit: String,
    /// systemd's word: `start`, `stop`, `restart` and others.
    pub kind: String,
    /// It is at it; else it waits for others.
    pub is_running: bool,
}

impl std::fmt::Display for PendingJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.kind, self.unit)
    }
}

/// One unit at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitState {
    /// `LoadState`.
    pub load: LoadState,
    /// `ActiveState`.
    pub active: ActiveState,
    /// `SubState`.
    pub sub: String,
    /// `UnitFileState`, as in `enabled`; empty for transient units.
    pub unit_file: String,
    /// `Service.Result`, as in `success`, `exit-code`, `timeout`, `signal`; none for other kinds of unit.
    pub result: Option<String>,
    /// `ExecMainStatus` with `ExecMainCode` 1 (exited); none if the process was killed or never ran.
    pub exit_status: Option<i32>,
    /// `MainPID`; none if no main process runs.
    pub main_pid: Option<u32>,
    /// `NRestarts`.
    pub restarts: u32,
    /// `ControlGroup`; empty where none exists.
    pub control_group: String,
    /// Processes in the control group, children of the main process too.
    pub processes: u32,
    /// `TimeoutStopUSec`; none for infinity.
    pub stop_timeout: Option<SignedDuration>,
    /// `ActiveEnterTimestampMonotonic` in microseconds since this boot began; none for never.
    pub active_since_usec: Option<u64>,
    /// `InactiveExitTimestampMonotonic`: when the last activation began, in microseconds since this boot
    /// began.
    pub activation_began_usec: Option<u64>,
    /// `InvocationID` in hexadecimal; changes with every start.
    pub invocation: String,
    /// `After`.
    pub after: Vec<UnitName>,
    /// `NeedDaemonReload`.
    pub needs_daemon_reload: bool,
    /// When systemd starts it again by itself; none for other kinds of unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartRule>,
    /// `Type` of a service, as in `forking`; empty for other kinds of unit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_type: String,
}

/// A process in a unit's control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitProcess {
    pub pid: u32,
    /// Its name, of 15 bytes at most (`/proc/PID/comm`); empty where it is gone by now.
    pub name: String,
    /// The process ID by which it knows itself: another one in a PID namespace of its own, as in a container.
    pub own_pid: u32,
}

/// When systemd starts a service again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRule {
    /// `Restart`, as in `on-failure`.
    pub policy: String,
    /// `RestartUSec`.
    pub delay: SignedDuration,
    /// `StartLimitBurst`: starts within the interval before systemd gives up.
    pub burst: u32,
    /// `StartLimitIntervalUSec`; zero for no limit.
    pub interval: SignedDuration,
}

impl UnitState {
    /// Down for certain: neither running nor on its way up or down, and without a process.
    pub fn is_down(&self) -> bool {
        self.is_inactive() && self.processes == 0
    }

    /// systemd has done with it, whatever processes it left behind.
    pub fn is_inactive(&self) -> bool {
        matches!(self.active, ActiveState::Inactive | ActiveState::Failed)
    }

    /// No boot starts it. Static, generated and alias units are started by others, and a transient one has no unit file.
    pub fn is_started_by_nobody(&self) -> bool {
        matches!(self.unit_file.as_str(), "disabled" | "masked")
    }

    /// `active` and nothing else; reloading counts, since the service runs.
    pub fn is_up(&self) -> bool {
        matches!(self.active, ActiveState::Active | ActiveState::Reloading)
    }

    /// systemd calls it active, and nothing of it runs: `RemainAfterExit=`, as every init script has it, outlives what was
    /// started. Not so a job that is done (`Type=oneshot`), which may have started something elsewhere.
    pub fn is_hollow(&self) -> bool {
        let wants_a_process = !matches!(self.service_type.as_str(), "" | "oneshot");
        self.is_up() && !self.has_process() && wants_a_process
    }

    /// The same, of a unit that had a process before: then it must have one, whatever its kind.
    pub fn is_hollow_after(&self, before: &Self) -> bool {
        self.is_hollow() || self.is_up() && !self.has_process() && before.is_up() && before.has_process()
    }

    fn has_process(&self) -> bool {
        self.processes > 0 || self.main_pid.is_some()
    }

    /// What an administrator would read in `systemctl status`, and whether it means something.
    pub fn described(&self) -> String {
        let hollow = if self.is_hollow() { ", and no process of it runs" } else { "" };
        format!("{} ({}){hollow}", self.active, self.sub)
    }
}

/// How a unit hangs together with others, and what starts it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitRelations {
    /// `After`.
    pub after: Vec<UnitName>,
    /// `Requires`, `Requisite` and `BindsTo`.
    pub needs: Vec<UnitName>,
    /// `Wants` and `PartOf`.
    pub wants: Vec<UnitName>,
    /// `RequiresMountsFor`: paths that must be there, whatever mounts them.
    pub mounts_for: Vec<String>,
    /// `WantedBy`, `RequiredBy`, `RequisiteOf` and `BoundBy`: who starts it.
    pub wanted_by: Vec<UnitName>,
    /// `TriggeredBy`: sockets, timers and paths that start it when it is asked for.
    pub triggered_by: Vec<UnitName>,
    /// `RequiredBy`, `RequisiteOf`, `BoundBy`, `ConsistsOf` and `PropagatesStopTo`: what a stop of it stops.
    pub stops: Vec<UnitName>,
    /// `UpheldBy`: units that start it again and again.
    pub upheld_by: Vec<UnitName>,
    /// It is active, or about to be.
    pub is_active: bool,
    /// `Id`: its own name, where it was asked for by an alias; none if systemd does not tell.
    pub id: Option<UnitName>,
    /// `Transient`: made by a program (`systemd-run`), and deleted by its stop.
    pub is_transient: bool,
    /// `RefuseManualStop`, or `RefuseManualStart`: whichever job systemd will not do.
    pub refuses: Vec<String>,
    /// A service whose stop runs a program of its own (`ExecStop`).
    pub has_stop_program: bool,
    /// It runs, or is about to: an order that goes by way of it holds.
    pub takes_part: bool,
    /// Exists, and is not masked.
    pub is_loaded: bool,
    /// Its conditions were met when it was last started, or it never was.
    pub conditions_met: bool,
    /// `UnitFileState`.
    pub unit_file: String,
    /// `Type` of a service; empty for other units.
    pub service_type: String,
    /// A service with a name on D-Bus (`BusName`), of whatever type.
    pub has_bus_name: bool,
}

/// All units at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitSurvey {
    /// `Manager.Version`.
    pub systemd_version: String,
    /// `Manager.SystemState`, as in `running`, `degraded`, `starting`.
    pub system_state: String,
    /// Units that are active.
    pub active: Vec<UnitName>,
    pub failed: Vec<UnitName>,
    /// `Manager.Virtualization`, as in `kvm` or `systemd-nspawn`; empty on bare metal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub virtualization: String,
}

impl UnitSurvey {
    /// Whether the kernel is that of a host around this one.
    pub fn is_container(&self) -> bool {
        is_container(&self.virtualization)
    }
}

/// systemd's words for containers (systemd-detect-virt(1)).
pub fn is_container(virtualization: &str) -> bool {
    const CONTAINERS: [&str; 11] = [
        "container-other",
        "docker",
        "lxc",
        "lxc-libvirt",
        "openvz",
        "podman",
        "pouch",
        "proot",
        "rkt",
        "systemd-nspawn",
        "wsl",
    ];
    CONTAINERS.contains(&virtualization)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(active: &str, service_type: &str, processes: u32, main_pid: Option<u32>) -> UnitState {
        let text = r#"{"load":"loaded","active":"x","sub":"y","unit_file":"enabled","result":"success","exit_status":0,
            "main_pid":null,"restarts":0,"control_group":"","processes":0,"stop_timeout":null,"active_since_usec":1,
            "activation_began_usec":1,"invocation":"","after":[],"needs_daemon_reload":false}"#;
        let state: UnitState = serde_json::from_str(text).unwrap();
        assert_eq!(state.service_type, "", "an older version did not save it");
        UnitState { active: active.into(), service_type: service_type.into(), processes, main_pid, ..state }
    }

    #[test]
    fn a_unit_is_hollow_where_its_kind_or_its_past_wants_a_process() {
        let (own, none) = (Some(7), None);
        for (active, kind, processes, main, hollow, hollow_after_one_with_a_process) in [
            ("active", "notify", 1, own, false, false),
            ("reloading", "notify", 0, none, true, true),
            // An init script whose daemon runs, and one whose daemon has ended.
            ("active", "forking", 1, none, false, false),
            ("active", "forking", 0, none, true, true),
            // A job that is done, as for compose; and one that had started a server of its own.
            ("active", "oneshot", 0, none, false, true),
            ("active", "oneshot", 3, none, false, false),
            // Where control groups cannot be seen, the main process can.
            ("active", "simple", 0, own, false, false),
            ("inactive", "forking", 0, none, false, false),
            ("failed", "notify", 0, none, false, false),
            ("active", "", 0, none, false, true),
        ] {
            let now = state(active, kind, processes, main);
            let told = format!("{active} {kind} {processes} {main:?}");
            assert_eq!(now.is_hollow(), hollow, "{told}");
            assert_eq!(
                now.is_hollow_after(&state("active", kind, 2, none)),
                hollow_after_one_with_a_process,
                "{told}, after one that had processes"
            );
            assert_eq!(now.described().contains("no process"), hollow, "{told}");
            assert!(hollow || !now.is_hollow_after(&state("active", kind, 0, none)), "{told}");
            let text = serde_json::to_string(&now).unwrap();
            assert_eq!(serde_json::from_str::<UnitState>(&text).unwrap(), now, "{told}");
        }
    }

    /// What an older version did not save, it did not look at.
    #[test]
    fn what_was_added_later_is_read_back_and_may_be_missing() {
        let rule = RestartRule {
            policy: "on-failure".into(),
            delay: SignedDuration::from_millis(100),
            burst: 5,
            interval: SignedDuration::from_secs(10),
        };
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<RestartRule>(&text).unwrap(), rule);
        let mut survey = UnitSurvey { virtualization: "kvm".into(), ..UnitSurvey::default() };
        let text = serde_json::to_string(&survey).unwrap();
        assert_eq!(serde_json::from_str::<UnitSurvey>(&text).unwrap(), survey);
        survey.virtualization.clear();
        let older = text.replace(",\"virtualization\":\"kvm\"", "");
        assert_eq!(serde_json::from_str::<UnitSurvey>(&older).unwrap(), survey);
    }
}
