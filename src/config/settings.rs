//! Valid settings. Saved beside the run, so that a run that crosses a reboot ends under the settings it began with.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::model::{
    Channel, DatabaseAccess, Hook, HookId, HookPoint, Limits, PlannedService, ReadinessProbe, Restart, RunOptions,
    ServiceKind, UnitName, WantedProof, Wave, start_waves, stop_waves,
};
use crate::window::{Blackout, Schedule, Window};
pub use kernel::KernelSettings;

/// Everything that a run needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Services in dependency order: a service comes after everything in its `after`.
    pub services: Vec<ServiceSettings>,
    /// When the host may be patched; always where there is none.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// When it must not be, whatever the windows say.
    #[serde(default)]
    pub blackouts: Vec<Blackout>,
    /// Limits of long work.
    pub limits: Limits,
    pub upgrade: UpgradeSettings,
    pub kernel: KernelSettings,
    pub reboot: RebootSettings,
    pub verify: VerifySettings,
    /// Checks whose blockers count as warnings.
    pub allowed_checks: Vec<String>,
    /// What the checks measure against.
    #[serde(default)]
    pub preflight: PreflightSettings,
    /// Finished runs that are kept.
    pub keep_runs: u32,
    /// Programs of the administrator, in the order in which they are called at each point.
    #[serde(default)]
    pub hooks: Vec<Hook>,
    /// How those who are logged in are told.
    #[serde(default)]
    pub announce: AnnounceSettings,
    /// How monitoring is silenced; none if it is not.
    #[serde(default)]
    pub silence: Option<SilenceSettings>,
    #[serde(default)]
    pub notify: Vec<Channel>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceSettings {
    pub unit: UnitName,
    pub kind: ServiceKind,
    /// The services that must be ready before it.
    pub after: Vec<UnitName>,
    /// How long it may take to stop before the run is given up.
    pub stop_timeout: SignedDuration,
    /// How long it may take from the start until it is ready.
    pub start_timeout: SignedDuration,
    /// When it counts as ready.
    pub readiness: ReadinessProbe,
    /// How long one probe may take.
    #[serde(default = "default_probe_timeout")]
    pub probe_timeout: SignedDuration,
    /// How to reach the server; only for [`ServiceKind::Mongodb`].
    pub database: Option<DatabaseAccess>,
    /// How long connections of stopped services may linger in the server; only for [`ServiceKind::Mongodb`].
    pub drain_timeout: SignedDuration,
    /// How to treat the server and its clients; only for [`ServiceKind::Mongodb`].
    #[serde(default)]
    pub mongodb: MongodbSettings,
    /// What must prove its clean end; none for [`ServiceKind::Mongodb`], which has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_proof: Option<WantedProof>,
}

/// What to do about operations that are still running when the drain time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LongOperations {
    /// Wait on, as long as the stop may take, and then end the run.
    #[default]
    Wait,
    /// End them with `killOp`.
    Kill,
    Abort,
}

/// What to do about clients that are still connected when the drain time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftoverClients {
    /// Name them and go on: the server closes their connections when it ends.
    #[default]
    Report,
    /// End their operations and their users' sessions first.
    Kill,
    Abort,
}

/// How to treat a MongoDB server and its clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MongodbSettings {
    /// An operation that runs longer is a long one.
    pub operation_limit: SignedDuration,
    /// What to do about long operations.
    pub long_operations: LongOperations,
    /// What to do about clients that stay.
    pub leftover_clients: LeftoverClients,
    /// More client connections than this are worth a warning.
    pub client_limit: u32,
    /// How far a member of a replica set may be behind its primary.
    pub max_lag: SignedDuration,
    /// `DATABASE.COLLECTION` that is compared before and after.
    pub canary: Option<String>,
}

/// Before it could be set.
fn default_probe_timeout() -> SignedDuration {
    keys::PROBE_TIMEOUT.default_duration()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebootWhen {
    /// When the kernel, `/run/reboot-required` or an upgraded core package asks for it.
    Needed,
    /// After every run that upgraded something, and when it is needed.
    Always,
    Never,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RebootSettings {
    pub when: RebootWhen,
    /// How long the host may take to go down before the reboot counts as one that did not happen; by default as long as
    /// [`keys::GRACE`] says. `machine::decide` awaits it, `steps::reboot` has a unit watch that it ends, and the report
    /// of a reboot that was taken back names it.
    pub grace: SignedDuration,
    /// When to reboot without waiting for services, counted from the request; never where none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_after: Option<SignedDuration>,
    /// The least restart that is allowed.
    #[serde(default)]
    pub least: Restart,
    /// Whether a run that does not reboot restarts what still runs replaced files, where that is safe.
    #[serde(default = "yes")]
    pub restart_outdated: bool,
}

/// What an older version did not save is the default.
fn yes() -> bool {
    true
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifySettings {
    /// How long all services must stay ready, without a restart, before the verdict.
    pub settle: SignedDuration,
    /// How long the boot may take before the services' own timeouts begin to count.
    pub boot_timeout: SignedDuration,
    /// What to do about services that do not come back.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// What to do about services that do not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    #[default]
    Report,
    /// Restart each once, dependencies first, and say so.
    Restart,
    /// Boot a new kernel on trial, and once more into the one before where the host is not well under it.
    PreviousKernel,
}

/// How those who are logged in are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnounceSettings {
    /// How long they are given.
    pub grace: SignedDuration,
    /// What they read; `{time}` and `{host}` are filled in.
    pub message: String,
}

/// Two programs: one has monitoring be quiet, the other has it speak again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceSettings {
    /// Program and arguments before the first stop.
    pub begin: Vec<String>,
    /// Program and arguments at the end of the run, however it ends.
    pub end: Vec<String>,
    /// How long each may run.
    pub timeout: SignedDuration,
    /// Whether they are in the sandbox of hooks; not in a run that an older version began.
    #[serde(default)]
    pub sandbox: bool,
}

/// What the checks measure against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreflightSettings {
    /// MiB that the file systems of packages must have free.
    pub min_free_mib: u32,
    /// Automatic restarts of a service that are no storm yet.
    pub max_restarts: u32,
    /// Connections of clients that are usual.
    pub max_connections: u32,
    /// Archives besides Debian's and Ubuntu's that packages are expected from.
    pub trusted_origins: Vec<String>,
    /// Checkouts from which services run.
    pub deployments: Vec<String>,
    /// How active users are counted; none if they are not.
    pub users: Option<UserCount>,
}

/// How active users are counted, and how many may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCount {
    #[serde(flatten)]
    pub source: UserSource,
    /// More than this, and no run begins.
    pub limit: u64,
}

/// Who counts active users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UserSource {
    /// A page of the application answers with the number.
    Page { url: String },
    /// Documents of the last minutes.
    Documents {
        /// The service that is the server.
        unit: UnitName,
        /// `DATABASE.COLLECTION`.
        collection: String,
        /// The field with the time at which the user was last seen.
        field: String,
        /// How long ago that may be.
        within: SignedDuration,
    },
}

/// What `decide` needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// See [`RebootSettings::grace`].
    pub reboot_grace: SignedDuration,
    /// See [`RebootSettings::force_after`].
    pub reboot_force_after: Option<SignedDuration>,
    /// Boots that a run may see, its own reboot among them, before it is only reported.
    pub max_boots: u32,
}

impl Settings {
    /// The part that `decide` needs.
    pub fn policy(&self) -> Policy {
        Policy { reboot_grace: self.reboot.grace, reboot_force_after: self.reboot.force_after, max_boots: 2 }
    }

    /// Whether a run with these options may reboot the host. Whether it has to is only known after the upgrade.
    pub fn may_reboot(&self, options: &RunOptions) -> bool {
        self.reboot.when != RebootWhen::Never && !options.no_reboot
    }

    /// Windows and blackouts, in the host's time zone.
    pub fn schedule<'a>(&'a self, zone: &'a TimeZone) -> Schedule<'a> {
        Schedule { windows: &self.windows, blackouts: &self.blackouts, zone }
    }

    /// The services as a run records them.
    pub fn planned_services(&self) -> Vec<PlannedService> {
        let planned = |service: &ServiceSettings| PlannedService {
            unit: service.unit.clone(),
            kind: service.kind,
            after: service.after.clone(),
        };
        self.services.iter().map(planned).collect()
    }

    /// The hooks of a point, each with its name in a run.
    pub fn hooks_at(&self, point: HookPoint) -> impl Iterator<Item = (HookId, &Hook)> {
        let hooks = self.hooks.iter().filter(move |hook| hook.point == point);
        (1..).zip(hooks).map(move |(number, hook)| (HookId { point, number }, hook))
    }

    pub fn hook(&self, id: HookId) -> Option<&Hook> {
        self.hooks_at(id.point).find(|(known, _)| *known == id).map(|(_, hook)| hook)
    }

    /// Every program of the administrator that a run may call, once.
    pub fn called_commands(&self) -> Vec<&[String]> {
        let hooks = self.hooks.iter().map(|hook| &hook.command);
        let silence = self.silence.iter().flat_map(|silence| [&silence.begin, &silence.end]);
        let build = self.kernel.source.iter().filter_map(|source| source.command.as_ref());
        let probes = self.services.iter().filter_map(|service| match &service.readiness {
            ReadinessProbe::Command { argv } => Some(argv),
            _ => None,
        });
        let proofs = self.services.iter().filter_map(|service| match &service.stop_proof {
            Some(WantedProof::Command { argv }) => Some(argv),
            _ => None,
        });
        let mut commands: Vec<&[String]> = hooks
            .chain(silence)
            .chain(build)
            .chain(probes)
            .chain(proofs)
            .map(Vec::as_slice)
            .filter(|command| !command.is_empty())
            .collect();
        commands.sort_unstable();
        commands.dedup();
        commands
    }

    /// The settings of one service.
    pub fn service(&self, unit: &UnitName) -> Option<&ServiceSettings> {
        self.services.iter().find(|service| &service.unit == unit)
    }

    /// The services in the waves in which they start.
    pub fn start_waves(&self) -> Vec<Wave> {
        start_waves(&self.waits())
    }

    /// The services in the waves in which they stop.
    pub fn stop_waves(&self) -> Vec<Wave> {
        stop_waves(&self.waits())
    }

    /// The services in dependency order, each with those that it waits for. That one uses a server which stands before it
    /// is not always told, so that it is taken to.
    fn waits(&self) -> Vec<(UnitName, Vec<UnitName>)> {
        let is_server =
            |service: &ServiceSettings| service.kind == ServiceKind::Mongodb || service.stop_proof.is_some();
        let mut servers = Vec::new();
        let mut waits = Vec::new();
        for service in &self.services {
            let mut after = service.after.clone();
            if is_server(service) {
                servers.push(service.unit.clone());
            } else {
                after.extend(servers.iter().filter(|server| !service.after.contains(server)).cloned());
            }
            waits.push((service.unit.clone(), after));
        }
        waits
    }
}

mod kernel;
mod upgrade;

pub use upgrade::{Ahead, Durability, StopOrder, UpgradeSettings};

#[cfg(test)]
mod tests;
